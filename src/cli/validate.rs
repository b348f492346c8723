//! `onward validate`: is a file what FHIR R4 and its profiles say it is?

use std::collections::{BTreeMap, HashMap};
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use clap::{Args, ValueEnum};
use serde::Serialize;

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

    /// As it is printed.
    fn render(&self, json: bool, out: &mut Vec<u8>) -> anyhow::Result<()> {
        if !json {
            return Ok(write_text(out, self)?);
        }
        let issues = self.issues.iter().map(Told::of).collect();
        serde_json::to_writer(&mut *out, &Line { file: &self.file, valid: self.is_valid(), issues })?;
        out.push(b'\n');
        Ok(())
    }
}

/// A file, as JSON.
#[derive(Serialize)]
struct Line<'c> {
    file: &'c str,
    valid: bool,
    issues: Vec<Told<'c>>,
}

/// A problem, as JSON.
#[derive(Serialize)]
struct Told<'c> {
    severity: &'static str,
    code: &'static str,
    r#type: &'static str,
    expression: &'c str,
    line: Option<u32>,
    column: Option<u32>,
    rule: Option<&'c str>,
    text: &'c str,
    hint: Option<&'static str>,
}

impl<'c> Told<'c> {
    fn of(issue: &'c Issue) -> Self {
        let (line, column) = issue.position.unzip();
        Self {
            severity: severity(issue.severity),
            code: issue.code.id,
            r#type: issue.code.fhir,
            expression: &issue.at,
            line,
            column,
            rule: Some(&*issue.rule).filter(|rule| !rule.is_empty()),
            text: &issue.text,
            hint: issue.hint(),
        }
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
        for fault in library.faults_of_added() {
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
        let (sender, receiver) = mpsc::sync_channel::<(usize, Vec<u8>)>(256);
        let work = |sender: mpsc::SyncSender<(usize, Vec<u8>)>| -> anyhow::Result<Summary> {
            let (mut summary, mut failure) = (Summary::default(), None);
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(file) = files.get(index) else { break };
                let mut printed = Vec::new();
                let mut one = |checked: Checked| {
                    summary.add(&checked);
                    checked.render(json, &mut printed)
                };
                // A file that cannot be read is told at the end; the others are checked all the same.
                if let Err(error) = check_file(library, profiles, &policy, file, &mut one) {
                    failure.get_or_insert(error);
                }
                if sender.send((index, printed)).is_err() {
                    break;
                }
            }
            failure.map_or(Ok(summary), Err)
        };
        let mut summary = Summary::default();
        thread::scope(|scope| -> anyhow::Result<()> {
            let (work, count) = (&work, self.jobs.clamp(1, 64));
            let workers: Vec<_> = (0..count).map(|_| (sender.clone(), work)).collect();
            let workers: Vec<_> = workers.into_iter().map(|(sender, work)| scope.spawn(move || work(sender))).collect();
            drop(sender);
            print_in_order(&receiver, files.len())?;
            for worker in workers {
                let done = worker.join().map_err(|_| anyhow::anyhow!("a worker ended before its time"))?;
                summary.merge(done?);
            }
            Ok(())
        })?;
        summary.tell();
        Ok(summary.invalid == 0)
    }
}

/// Prints what comes, holding back what is ahead of its turn.
fn print_in_order(receiver: &mpsc::Receiver<(usize, Vec<u8>)>, total: usize) -> anyhow::Result<()> {
    let out = std::io::stdout();
    let mut out = std::io::BufWriter::new(out.lock());
    let bar = std::io::stderr().is_terminal().then(|| indicatif::ProgressBar::new(total as u64));
    let mut waiting: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
    let mut turn = 0;
    for (index, printed) in receiver {
        waiting.insert(index, printed);
        while let Some(printed) = waiting.remove(&turn) {
            turn += 1;
            out.write_all(&printed)?;
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

/// Checks a file, or each line of an NDJSON file, and hands on what was found.
fn check_file(
    library: &Library,
    profiles: &[&Profile],
    policy: &Policy,
    path: &Path,
    one: &mut dyn FnMut(Checked) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
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
        return lines.map(check).try_for_each(one);
    }
    one(check(library, profiles, policy, name, &bytes))
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
    rules: HashMap<Box<str>, Vec<(&'static str, Severity, usize)>>,
}

impl Summary {
    fn add(&mut self, checked: &Checked) {
        self.files += 1;
        self.invalid += usize::from(!checked.is_valid());
        checked.issues.iter().for_each(|issue| self.count(&issue.rule, issue.code.id, issue.severity, 1));
    }

    fn count(&mut self, rule: &str, code: &'static str, severity: Severity, count: usize) {
        let of = match self.rules.get_mut(rule) {
            Some(of) => of,
            None => self.rules.entry(rule.into()).or_default(),
        };
        match of.iter_mut().find(|(own, as_bad, _)| *own == code && *as_bad == severity) {
            Some((.., so_far)) => *so_far += count,
            None => of.push((code, severity, count)),
        }
    }

    fn merge(&mut self, other: Self) {
        self.files += other.files;
        self.invalid += other.invalid;
        for (rule, of) in other.rules {
            of.into_iter().for_each(|(code, severity, count)| self.count(&rule, code, severity, count));
        }
    }

    fn tell(&self) {
        eprintln!("{} checked, {} valid, {} invalid", self.files, self.files - self.invalid, self.invalid);
        if self.files < 2 {
            return;
        }
        let mut rules = Vec::new();
        for (rule, of) in &self.rules {
            rules.extend(of.iter().map(|one| (&**rule, *one)));
        }
        rules.sort_by_key(|(rule, (code, _, count))| (std::cmp::Reverse(*count), *rule, *code));
        for (rule, (code, bad, count)) in rules {
            eprintln!("{count:8} {:11} {code} {rule}", severity(bad));
        }
    }
}
