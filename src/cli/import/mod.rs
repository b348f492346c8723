//! `onward import patients`: the first load of what a hospital's system knows.
//!
//! Every record goes through the same door as a message of a feed: it is decided in the transaction that keeps it. So
//! a file can be imported while the gateway runs, and again: what is known already changes nothing.

mod chart;
mod records;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use uuid::Uuid;

use self::chart::Chart;
use self::records::Records;
use super::matching::spinner;
use super::place::Place;
use super::{CallerFault, print, print_json, say, table};
use crate::booking::decision::{Change, Decision};
use crate::booking::index::{Likeness, TaskKind};
use crate::store::{Pending, Store, Verdict};

/// Records on their way to the store at once.
const UNDER_WAY: usize = 4096;
/// So many refused records are told by their place, the rest is counted.
const TOLD_MAX: usize = 10;

/// Bring records in.
#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Import patients: CSV, NDJSON of FHIR Patients, or a batch of HL7 v2.
    Patients(PatientsArgs),
}

/// What `onward import patients` takes.
#[derive(Debug, Args)]
pub struct PatientsArgs {
    /// The file; what is in it is told by its end (.csv, .ndjson, .hl7)
    pub file: PathBuf,
    /// Whose records they are: the ODS code of the organisation
    #[arg(long, value_name = "ODS", default_value = "import")]
    pub source: String,
    /// System of the local numbers, as the organisation's feed has it [default: urn:x-sender:ODS:ODS]
    #[arg(long, value_name = "URI")]
    pub system: Option<String>,
    /// The channel as which HL7 v2 is read
    #[arg(long, value_name = "NAME")]
    pub channel: Option<String>,
    /// A column of a CSV file for a field: `family_name=nom`
    #[arg(long, value_name = "FIELD=COLUMN")]
    pub map: Vec<String>,
    /// Draw how sure it was of whom, with the thresholds
    #[arg(long, value_name = "FILE.svg")]
    pub svg: Option<PathBuf>,
    /// Where the store is.
    #[command(flatten)]
    pub place: Place,
}

impl ImportCommand {
    /// Runs it; answers the exit code.
    pub fn run(&self, json: bool) -> anyhow::Result<i32> {
        let Self::Patients(args) = self;
        let report = import(args)?;
        if let Some(path) = &args.svg {
            std::fs::write(path, report.chart.svg())?;
        }
        report.told.iter().for_each(|text| say(text));
        if json {
            print_json(&report.document())?;
        } else {
            print(&report.text())?;
        }
        Ok(i32::from(0 < report.skipped))
    }
}

fn import(args: &PatientsArgs) -> anyhow::Result<Report> {
    let (config, store) = args.place.make_store_for_import()?;
    let records = Records::open(args, &config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let bar = spinner();
    let report = runtime.block_on(run(records, &*store, &bar));
    bar.finish_and_clear();
    store.close();
    report
}

async fn run(records: Records, store: &dyn Store, bar: &ProgressBar) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let mut under_way: VecDeque<(String, Pending<Verdict>)> = VecDeque::with_capacity(UNDER_WAY);
    for record in records {
        if under_way.len() == UNDER_WAY
            && let Some((place, pending)) = under_way.pop_front()
        {
            report.note(&place, pending.await?);
        }
        match record? {
            Ok((place, message, work)) => under_way.push_back((place, store.submit(message, work))),
            Err(text) => report.skip(text),
        }
        if report.read.is_multiple_of(1000) {
            bar.set_message(format!("{} records kept", report.read));
        }
    }
    for (place, pending) in under_way {
        report.note(&place, pending.await?);
    }
    Ok(report)
}

/// What became of the records.
#[derive(Default)]
struct Report {
    read: usize,
    /// Kept before by an earlier run.
    repeated: usize,
    /// Held for a person, by code.
    held: BTreeMap<&'static str, usize>,
    /// Could not be read.
    skipped: usize,
    people: HashSet<Uuid>,
    certain: usize,
    probable: usize,
    possible: usize,
    chart: Chart,
    told: Vec<String>,
}

impl Report {
    fn skip(&mut self, text: String) {
        self.skipped += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(text);
        }
    }

    fn note(&mut self, place: &str, verdict: Verdict) {
        if matches!(verdict, Verdict::Refused { refusal: None, .. } | Verdict::Repeated { .. }) {
            return self.skip(format!("{place}: it cannot be read"));
        }
        self.read += 1;
        match verdict {
            Verdict::Accepted { decision, .. } => self.accepted(&decision),
            Verdict::Duplicate { .. } => self.repeated += 1,
            Verdict::Refused { refusal: Some(refusal), .. } => {
                *self.held.entry(refusal.issue.code.id).or_default() += 1;
                if self.told.len() < TOLD_MAX {
                    self.told.push(format!("{place}: {}", refusal.issue));
                }
            }
            Verdict::Refused { .. } | Verdict::Repeated { .. } => {}
        }
    }

    fn accepted(&mut self, decision: &Decision) {
        self.people.extend(decision.patient.iter().map(|patient| patient.id.0));
        for change in &decision.changes {
            match change {
                Change::Link(link) if link.linked => {
                    self.people.remove(&link.record.0);
                    self.certain += 1;
                    if let Some(evidence) = &link.evidence {
                        self.chart.add(evidence.score, Likeness::Certain);
                    }
                }
                Change::Task(task) if task.kind == TaskKind::SamePerson => {
                    self.chart.add(task.evidence.score, task.evidence.likeness);
                    match task.evidence.likeness {
                        Likeness::Possible => self.possible += 1,
                        Likeness::Probable | Likeness::Certain => self.probable += 1,
                    }
                }
                _ => {}
            }
        }
    }

    fn document(&self) -> Value {
        json!({
            "records": self.read,
            "repeated": self.repeated,
            "held": self.held,
            "skipped": self.skipped,
            "persons": self.people.len(),
            "certain": self.certain,
            "probable": self.probable,
            "possible": self.possible,
        })
    }

    fn text(&self) -> String {
        let held: Vec<String> = self.held.iter().map(|(code, count)| format!("{count} {code}")).collect();
        table::pairs(&[
            ("Records", self.read.to_string()),
            ("Known before", self.repeated.to_string()),
            ("Held", held.join(", ")),
            ("Skipped", self.skipped.to_string()),
            ("Persons", self.people.len().to_string()),
            ("Certain", format!("{} linked", self.certain)),
            ("Probable", format!("{} on the worklist", self.probable)),
            ("Possible", format!("{} on the worklist", self.possible)),
        ])
    }
}

/// A file that cannot be opened or named.
fn fault(path: &std::path::Path, text: impl std::fmt::Display) -> CallerFault {
    CallerFault(format!("{}: {text}", path.display()))
}
