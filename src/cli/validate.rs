//! `onward validate`: is a file what FHIR R4 and its profiles say it is?

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::CallerFault;
use crate::bars::necessity;
use crate::fhir::json::Limits;
use crate::intake::content::{self, Content};
use crate::issue::{Issue, Severity};
use crate::profile::library::Library;
use crate::profile::package;
use crate::profile::policy::Policy;
use crate::profile::program::Profile;
use crate::profile::validate::Request;

/// What `onward validate` takes.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// A FHIR package to check against: a .tgz or a folder; may be given more than once
    #[arg(long = "package", value_name = "P")]
    pub packages: Vec<PathBuf>,
    /// A profile that every resource must conform to, beside those that it declares
    #[arg(long = "profile", value_name = "URL")]
    pub profiles: Vec<String>,
    /// How strict to be
    #[arg(long, value_enum, default_value_t = Mode::Strict)]
    pub mode: Mode,
    /// How many files to check at once
    #[arg(long, default_value_t = default_jobs())]
    pub jobs: usize,
    /// Files, folders of .json, .ndjson and .xml files, or - for standard input
    #[arg(required = true, value_name = "FILE|DIR|-")]
    pub inputs: Vec<PathBuf>,
}

/// How strict to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Everything as R4 and the profiles have it.
    Strict,
    /// As this gateway takes BaRS messages.
    Bars,
    /// Only what cannot be understood is an error.
    Lenient,
}

impl Mode {
    fn policy(self) -> Policy {
        match self {
            Self::Strict => Policy::strict(),
            Self::Bars => Policy::bars(),
            Self::Lenient => Policy::lenient(),
        }
    }
}

fn default_jobs() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// One resource that was checked.
struct Checked {
    file: String,
    issues: Vec<Issue>,
}

impl Checked {
    fn is_valid(&self) -> bool {
        self.issues.iter().all(|issue| issue.severity != Severity::Error)
    }

    fn json(&self) -> Value {
        let issues: Vec<Value> = self.issues.iter().map(described).collect();
        json!({"file": self.file, "valid": self.is_valid(), "issues": issues})
    }
}

impl ValidateArgs {
    /// Runs it; answers 0 where everything is valid, else 1.
    pub fn run(&self, json: bool) -> anyhow::Result<i32> {
        let library = Library::load(&self.packages, &package::Limits::default());
        let load_errors: Vec<_> = library.issues.iter().filter(|issue| issue.severity == Severity::Error).collect();
        for issue in &load_errors {
            eprintln!("{issue}");
        }
        for fault in &library.faults {
            eprintln!("{} {}: {}", fault.url, fault.element, fault.text);
        }
        let profile = |url: &String| {
            let found = library.validator.program().profile(url);
            found.ok_or_else(|| CallerFault(format!("the profile {url} is in no package")))
        };
        let profiles: Vec<&Profile> = self.profiles.iter().map(profile).collect::<Result<_, _>>()?;
        let files = files(&self.inputs)?;
        let valid = self.check_all(&library, &profiles, &files, json)?;
        Ok(i32::from(!valid))
    }

    /// Checks all files, several at once; results are printed in the files' order.
    fn check_all(
        &self,
        library: &Library,
        profiles: &[&Profile],
        files: &[PathBuf],
        json: bool,
    ) -> anyhow::Result<bool> {
        let next = AtomicUsize::new(0);
        let policy = self.mode.policy();
        let (sender, receiver) = mpsc::sync_channel::<(usize, Vec<Checked>)>(256);
        let failure: Mutex<Option<anyhow::Error>> = Mutex::new(None);
        let mut summary = Summary::default();
        thread::scope(|scope| -> anyhow::Result<()> {
            for _ in 0..self.jobs.clamp(1, 64) {
                let sender = sender.clone();
                let (next, failure, policy) = (&next, &failure, &policy);
                scope.spawn(move || {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(file) = files.get(index) else { return };
                        let checked = check_file(library, profiles, policy, file);
                        let checked = checked.unwrap_or_else(|error| {
                            let mut first = failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                            first.get_or_insert(error);
                            Vec::new()
                        });
                        if sender.send((index, checked)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            print_in_order(&receiver, json, files.len(), &mut summary)
        })?;
        if let Some(error) = failure.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
            return Err(error);
        }
        summary.tell();
        Ok(summary.invalid == 0)
    }
}

/// Prints what comes, holding back what is ahead of its turn.
fn print_in_order(
    receiver: &mpsc::Receiver<(usize, Vec<Checked>)>,
    json: bool,
    total: usize,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let out = std::io::stdout();
    let mut out = std::io::BufWriter::new(out.lock());
    let bar = std::io::stderr().is_terminal().then(|| indicatif::ProgressBar::new(total as u64));
    let mut waiting: BTreeMap<usize, Vec<Checked>> = BTreeMap::new();
    let mut turn = 0;
    for (index, checked) in receiver {
        waiting.insert(index, checked);
        while let Some(checked) = waiting.remove(&turn) {
            turn += 1;
            for one in checked {
                summary.add(&one);
                match json {
                    true => writeln!(out, "{}", one.json())?,
                    false => write_text(&mut out, &one)?,
                }
            }
        }
        if let Some(bar) = &bar {
            bar.set_position(turn as u64);
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    out.flush()?;
    Ok(())
}

fn write_text(out: &mut impl Write, checked: &Checked) -> std::io::Result<()> {
    let verdict = if checked.is_valid() { "valid" } else { "INVALID" };
    writeln!(out, "{}: {verdict}", checked.file)?;
    for issue in &checked.issues {
        let (line, column) = issue.position.unwrap_or_default();
        let at = if issue.at.is_empty() { "-" } else { &issue.at };
        writeln!(out, "  {line}:{column} {} {} {at}: {}", severity(issue.severity), issue.code.id, issue.text)?;
        if !issue.rule.is_empty() {
            writeln!(out, "      {}", issue.rule)?;
        }
    }
    Ok(())
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Information => "information",
    }
}

fn described(issue: &Issue) -> Value {
    let (line, column) = issue.position.unzip();
    json!({
        "severity": severity(issue.severity),
        "code": issue.code.id,
        "type": issue.code.fhir,
        "expression": issue.at,
        "line": line,
        "column": column,
        "rule": if issue.rule.is_empty() { Value::Null } else { json!(issue.rule) },
        "text": issue.text,
        "hint": issue.hint(),
    })
}

/// Files by name; of folders, all below them that have a name of a kind that is read.
fn files(inputs: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for input in inputs {
        if input.as_os_str() == "-" {
            found.push(input.clone());
        } else if input.is_dir() {
            below(input, &mut found)?;
        } else if input.is_file() {
            found.push(input.clone());
        } else {
            return Err(CallerFault(format!("there is no file or folder {}", input.display())).into());
        }
    }
    Ok(found)
}

fn below(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| entry.map(|it| it.path())).collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
        if path.is_dir() {
            below(&path, found)?;
        } else if matches!(kind, "json" | "ndjson" | "xml") {
            found.push(path);
        }
    }
    Ok(())
}

fn check_file(library: &Library, profiles: &[&Profile], policy: &Policy, path: &Path) -> anyhow::Result<Vec<Checked>> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        std::io::stdin().lock().read_to_end(&mut bytes)?;
    } else {
        bytes = std::fs::read(path)?;
    }
    if path.extension().is_some_and(|kind| kind == "ndjson") {
        let lines = bytes.split(|byte| *byte == b'\n').enumerate();
        let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
        let check =
            |(index, line): (usize, &[u8])| check(library, profiles, policy, format!("{name}:{}", index + 1), line);
        return Ok(lines.map(check).collect());
    }
    Ok(vec![check(library, profiles, policy, name, &bytes)])
}

fn check(library: &Library, profiles: &[&Profile], policy: &Policy, file: String, bytes: &[u8]) -> Checked {
    let limits = Limits { bytes_max: 256 << 20, depth_max: 256, values_max: 16 << 20 };
    let issues = match content::read(bytes, &limits) {
        Err(issue) => vec![issue],
        Ok(content) => checked(library, profiles, policy, &content, &limits),
    };
    Checked { file, issues }
}

fn checked(
    library: &Library,
    profiles: &[&Profile],
    policy: &Policy,
    content: &Content<'_>,
    limits: &Limits,
) -> Vec<Issue> {
    match library.validator.read(&content.json, &content.limits(limits)) {
        Err(error) => vec![content.fault(&error)],
        Ok(tape) => {
            let report = library
                .validator
                .check(&tape, &Request { profiles, now: Some(jiff::Timestamp::now()), ..Request::default() });
            let mut issues = content.issues.clone();
            let mut found = report.issues;
            found.extend(necessity::unmet(&tape));
            issues.extend(content.placed(found.in_order()));
            policy.apply(issues).iter().cloned().collect()
        }
    }
}

/// How often each rule was broken.
#[derive(Default)]
struct Summary {
    files: usize,
    invalid: usize,
    rules: BTreeMap<(String, &'static str, &'static str), usize>,
}

impl Summary {
    fn add(&mut self, checked: &Checked) {
        self.files += 1;
        self.invalid += usize::from(!checked.is_valid());
        for issue in &checked.issues {
            *self.rules.entry((issue.rule.to_string(), issue.code.id, severity(issue.severity))).or_default() += 1;
        }
    }

    fn tell(&self) {
        eprintln!("{} checked, {} valid, {} invalid", self.files, self.files - self.invalid, self.invalid);
        if self.files < 2 {
            return;
        }
        let mut rules: Vec<_> = self.rules.iter().collect();
        rules.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for ((rule, code, severity), count) in rules {
            eprintln!("{count:8} {severity:11} {code} {rule}");
        }
    }
}
