//! `onward profiles`: FHIR packages, and what they say.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{CallerFault, print, print_json, say, table};
use crate::issue::Severity;
use crate::profile::library::Library;
use crate::profile::package::{Limits, LoadIssue, Package, Packages};

mod add;
mod diff;
mod schema;
mod show;

/// Look at profiles, check packages of them, and bring packages in.
#[derive(Debug, Subcommand)]
pub enum ProfilesCommand {
    /// List the packages that are loaded.
    List(Sources),
    /// Check a package and copy it into a folder that a gateway loads.
    Add(add::AddArgs),
    /// Say everything that is wrong with packages; exit code 1 where they could not be used.
    Check(CheckArgs),
    /// Print the elements of a profile.
    Show(show::ShowArgs),
    /// Print a profile as a JSON Schema 2020-12.
    Schema(schema::SchemaArgs),
    /// Say how two profiles or packages differ, element by element; exit code 1 where they do.
    Diff(diff::DiffArgs),
}

/// What is loaded besides that which is built in.
#[derive(Debug, Default, Args)]
pub struct Sources {
    /// A package: a .tgz, or a folder of one or more
    #[arg(long = "package", value_name = "PATH")]
    pub packages: Vec<PathBuf>,
}

/// What `onward profiles check` takes.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The packages, loaded together
    #[arg(required = true, value_name = "PACKAGE")]
    pub paths: Vec<PathBuf>,
    /// What they build on
    #[command(flatten)]
    pub sources: Sources,
}

impl ProfilesCommand {
    /// Runs it; answers the exit code.
    pub fn run(&self, json: bool) -> anyhow::Result<i32> {
        match self {
            Self::List(sources) => list(sources, json),
            Self::Add(args) => args.run(json),
            Self::Check(args) => args.run(json),
            Self::Show(args) => args.run(json),
            Self::Schema(args) => args.run(),
            Self::Diff(args) => args.run(json),
        }
    }
}

impl Sources {
    /// Loads them; what is wrong goes to standard error.
    fn load(&self) -> Result<Packages, CallerFault> {
        load(&self.packages)
    }
}

fn load(paths: &[PathBuf]) -> Result<Packages, CallerFault> {
    let (packages, issues) = Packages::load(paths, &Limits::default());
    issues.iter().for_each(|issue| say(&issue.to_string()));
    match issues.iter().filter(|issue| issue.severity == Severity::Error).count() {
        0 => Ok(packages),
        errors => Err(CallerFault(format!("the packages have {errors} errors"))),
    }
}

fn list(sources: &Sources, json: bool) -> anyhow::Result<i32> {
    let packages = sources.load()?;
    if json {
        print_json(&packages.packages().iter().map(package_json).collect::<Vec<_>>())?;
    } else {
        let heading = ["PACKAGE", "VERSION", "DEFINITIONS", "VALUE SETS", "CODE SYSTEMS", "MESSAGES", "PATH"];
        print(&table::render(&heading, &packages.packages().iter().map(line).collect::<Vec<_>>()))?;
    }
    Ok(0)
}

fn line(package: &Package) -> Vec<String> {
    let count = |name: &str| package.counts.get(name).copied().unwrap_or_default().to_string();
    vec![
        package.name.clone().unwrap_or_default(),
        package.version.clone().unwrap_or_default(),
        count("StructureDefinition"),
        count("ValueSet"),
        count("CodeSystem"),
        count("MessageDefinition"),
        path(package).unwrap_or_else(|| "built in".into()),
    ]
}

fn path(package: &Package) -> Option<String> {
    Some(package.path.display().to_string()).filter(|path| !path.is_empty())
}

fn package_json(package: &Package) -> Value {
    json!({
        "name": package.name, "version": package.version, "path": path(package),
        "dependencies": package.dependencies, "counts": package.counts,
    })
}

impl CheckArgs {
    fn run(&self, json: bool) -> anyhow::Result<i32> {
        let paths: Vec<PathBuf> = self.sources.packages.iter().chain(&self.paths).cloned().collect();
        let library = Library::load(&paths, &Limits::default());
        let issues: Vec<LoadIssue> = library.issues.iter().cloned().chain(library.whole().check()).collect();
        let faults: Vec<_> = library.faults_of_added().collect();
        let errors = issues.iter().filter(|issue| issue.severity == Severity::Error).count() + faults.len();
        let others = issues.len() + faults.len() - errors;
        let faults = faults.iter().map(|it| (it.url.as_str(), it.element.as_str(), it.text.as_str()));
        if json {
            let faults = faults.map(|(url, element, text)| fault_json(url, element, text));
            print_json(&issues.iter().map(issue_json).chain(faults).collect::<Vec<_>>())?;
        } else {
            print(&issues.iter().map(|issue| format!("{issue}\n")).collect::<String>())?;
            print(
                &faults.map(|(url, element, text)| format!("error: {url}: {element}: {text}\n")).collect::<String>(),
            )?;
            say(&format!("{errors} errors, {others} warnings and remarks"));
        }
        Ok(i32::from(errors != 0))
    }
}

fn issue_json(issue: &LoadIssue) -> Value {
    let severity = match issue.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Information => "information",
    };
    json!({
        "severity": severity, "package": issue.package, "file": issue.file, "element": issue.element,
        "fault": issue.fault.name(), "text": issue.text,
    })
}

/// What the compiler found.
fn fault_json(url: &str, element: &str, text: &str) -> Value {
    json!({"severity": "error", "definition": url, "element": element, "fault": "not-compiled", "text": text})
}
