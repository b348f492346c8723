//! `onward reconcile diary`: the gateway's bookings beside those of a hospital's system.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde_json::json;

use super::place::Place;
use super::{CallerFault, print, print_json, say, table};
use crate::reconcile::diary::{Difference, Entry, differences};

/// So many lines that cannot be read are told by their place, the rest is counted.
const TOLD_MAX: usize = 10;

/// Compare what is held here with what others hold.
#[derive(Debug, Subcommand)]
pub enum ReconcileCommand {
    /// Compare the bookings of a time with a hospital's own.
    Diary(DiaryArgs),
}

/// What `onward reconcile diary` takes.
#[derive(Debug, Args)]
pub struct DiaryArgs {
    /// The hospital's bookings: CSV with appointment_id, start, status, and local_id or nhs_number
    #[arg(long, value_name = "FILE")]
    pub pas: PathBuf,
    /// The first instant that the file covers [default: of its earliest booking]
    #[arg(long, value_name = "TIME")]
    pub from: Option<Timestamp>,
    /// The instant that it no longer covers [default: after its latest booking]
    #[arg(long, value_name = "TIME")]
    pub to: Option<Timestamp>,
    /// Where the store is.
    #[command(flatten)]
    pub place: Place,
}

impl ReconcileCommand {
    /// Runs it; answers the exit code: 1 where the diaries differ or a line cannot be read.
    pub fn run(&self, json: bool) -> anyhow::Result<i32> {
        let Self::Diary(args) = self;
        let (_, store) = args.place.open_store()?;
        let (pas, skipped) = read(args)?;
        let Some((first, last)) = span(&pas) else { return Err(CallerFault("the file has no bookings".into()).into()) };
        let (from, to) = (args.from.unwrap_or(first), args.to.unwrap_or(last));
        let gateway = store.diary_entries(from, to)?;
        let found = differences(&gateway, &pas);
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for it in &found {
            *counts.entry(class(it)).or_default() += 1;
        }
        if json {
            let bookings = json!({ "gateway": gateway.len(), "pas": pas.len() });
            print_json(&json!({ "bookings": bookings, "skipped": skipped, "counts": counts, "differences": found }))?;
        } else {
            let cell = |number: &Option<String>| number.clone().unwrap_or_default();
            let rows: Vec<_> = found.iter().map(|it| vec![class(it), cell(&it.gateway), cell(&it.pas)]).collect();
            print(&table::render(&["DIFFERENCE", "HERE", "THERE"], &rows))?;
            say(&format!("{} differences in {} bookings here and {} there", found.len(), gateway.len(), pas.len()));
        }
        Ok(i32::from(0 < found.len() + skipped))
    }
}

fn class(it: &Difference) -> String {
    serde_json::to_value(it.class).ok().and_then(|it| Some(it.as_str()?.to_owned())).unwrap_or_default()
}

fn span(entries: &[Entry]) -> Option<(Timestamp, Timestamp)> {
    let starts = || entries.iter().map(|entry| entry.start);
    let last = starts().max()?.as_second() + 1;
    Some((starts().min()?, Timestamp::from_second(last).ok()?))
}

fn read(args: &DiaryArgs) -> anyhow::Result<(Vec<Entry>, usize)> {
    let fault = |text: String| CallerFault(format!("{}: {text}", args.pas.display()));
    let mut reader = csv::ReaderBuilder::new().from_path(&args.pas).map_err(|error| fault(error.to_string()))?;
    let heading = reader.headers().map_err(|error| fault(error.to_string()))?.clone();
    let column = |name: &str| heading.iter().position(|it| it.trim().eq_ignore_ascii_case(name));
    let needed = |name: &str| column(name).ok_or_else(|| fault(format!("line 1: there is no column `{name}`")));
    let (id, start, status) = (needed("appointment_id")?, needed("start")?, needed("status")?);
    let patient: Vec<usize> = ["local_id", "nhs_number"].into_iter().filter_map(column).collect();
    let (mut entries, mut skipped) = (Vec::new(), 0);
    for row in reader.records() {
        let row = row.map_err(|error| fault(error.to_string()))?;
        let text = |at: usize| row.get(at).unwrap_or_default().trim();
        let Some((time, current)) = instant(text(start)).zip(expected(text(status))).filter(|_| !text(id).is_empty())
        else {
            skipped += 1;
            if skipped <= TOLD_MAX {
                let line = row.position().map_or(0, csv::Position::line);
                say(&fault(format!("line {line}: the number, time or status cannot be read")).to_string());
            }
            continue;
        };
        let patient = patient.iter().map(|at| text(*at).to_owned()).filter(|it| !it.is_empty()).collect();
        entries.push(Entry { numbers: vec![text(id).to_owned()], patient, start: time, current });
    }
    Ok((entries, skipped))
}

/// With an offset, or as the clocks in the hospital show it. What these show twice or never is not understood.
fn instant(text: &str) -> Option<Timestamp> {
    let local = || {
        let time: DateTime = text.parse().ok()?;
        let london = TimeZone::get("Europe/London").ok()?;
        london.to_ambiguous_zoned(time).unambiguous().ok().map(|it: Zoned| it.timestamp())
    };
    text.parse().ok().or_else(local)
}

/// Is somebody expected? By the names of FHIR and of HL7 v2 (table 0278).
fn expected(status: &str) -> Option<bool> {
    Some(match status.to_ascii_lowercase().as_str() {
        "booked" | "arrived" | "pending" | "confirmed" => true,
        "cancelled" | "canceled" | "deleted" | "discontinued" | "noshow" | "fulfilled" | "complete" | "completed"
        | "entered-in-error" => false,
        _ => return None,
    })
}
