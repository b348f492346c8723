//! `onward slots import`: a diary from a file.
//!
//! Everything is read before anything is kept: a file with an error changes nothing. What is kept goes in
//! pieces of `PIECE_SLOTS`, services first; a piece that was kept stays when a later one fails, and the
//! same file can be imported again. Slots that are sold stay sold; slots that a file no longer names stay.
//!
//! Who provides a service: the gateway's own configuration or directory, where the service is known;
//! else the ODS code of the Organization that `providedBy` names; else `--organisation`; else whoever provides
//! the first service of the configuration. Messages about a service that is new here go to the one destination
//! that is configured; where there are several, the configuration must say which.

use std::collections::HashMap;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::place::{Place, wait};
use super::{CallerFault, print_json, say};
use crate::bars::diary::{Context, read_with};
use crate::booking::command::{Command, PublishSlots};
use crate::booking::identifier::{OdsCode, ServiceId};
use crate::booking::service::Service;
use crate::config::Config;
use crate::fhir::json::{JsonFault, Limits, parse};
use crate::issue::Issues;
use crate::store::{Answer, Message, Store, Verdict, Work};

/// Few enough that messages are not kept waiting behind a piece.
const PIECE_SLOTS: usize = 2_000;
/// Generous, because the file is the operator's own.
const LIMITS: Limits = Limits { bytes_max: 1 << 30, depth_max: 64, values_max: 1 << 26 };

/// Bring a diary in.
#[derive(Debug, Subcommand)]
pub enum SlotsCommand {
    /// Import services, schedules and slots from FHIR: a Bundle, one resource, or NDJSON.
    Import(ImportArgs),
}

/// What `onward slots import` takes.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file; - for standard input
    pub file: PathBuf,
    /// All slots belong to this service (DoS id), whatever the file says
    #[arg(long, value_name = "ID")]
    pub service: Option<String>,
    /// Provides services that are new here and do not say who does (ODS code)
    #[arg(long, value_name = "ODS", value_parser = OdsCode::parse)]
    pub organisation: Option<OdsCode>,
    /// Only say what would be imported
    #[arg(long)]
    pub dry_run: bool,
    /// Where the store is.
    #[command(flatten)]
    pub place: Place,
}

impl SlotsCommand {
    /// Runs it; answers the exit code.
    pub fn run(&self, json: bool) -> anyhow::Result<i32> {
        let Self::Import(args) = self;
        args.run(json)
    }
}

impl ImportArgs {
    fn run(&self, json: bool) -> anyhow::Result<i32> {
        let bytes = read_file(&self.file)?;
        let bundle = bundle(&bytes)?;
        let (config, store) = self.place.make_store()?;
        let (diary, issues) = self.read(&bundle, &config, &services(&config, store.as_ref())?);
        issues.iter().for_each(|issue| say(&issue.to_string()));
        if issues.has_errors() {
            return Err(CallerFault(format!("nothing was imported: {} errors", issues.errors().count())).into());
        }
        let counts = counts(&diary);
        if !self.dry_run {
            import(store.as_ref(), diary, bytes)?;
            store.close();
        }
        tell(&counts, self.dry_run, json)
    }

    fn read(&self, bundle: &Value, config: &Config, known: &HashMap<ServiceId, Service>) -> (PublishSlots, Issues) {
        let service = self.service.clone().map(ServiceId);
        let known = |id: &ServiceId| known.get(id).cloned();
        let first = config.service.first().map(|entry| &entry.organisation);
        let destination = match config.destination.as_slice() {
            [only] => Some(only.name.as_str()),
            _ => None,
        };
        let organisation = self.organisation.as_ref().or(first);
        read_with(bundle, &Context { service: service.as_ref(), organisation, destination, known: &known })
    }
}

fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = match path == Path::new("-") {
        true => std::io::stdin().read_to_end(&mut bytes).map(drop),
        false => std::fs::read(path).map(|found| bytes = found),
    };
    read.map_err(|error| CallerFault(format!("{}: {error}", path.display())))?;
    Ok(bytes)
}

/// The file as a Bundle: as it is, or around one resource, or around a resource per line.
fn bundle(bytes: &[u8]) -> Result<Value, CallerFault> {
    match parse(bytes, &LIMITS) {
        Ok(value) if value["resourceType"] == "Bundle" => Ok(value),
        Ok(value) => Ok(collection(vec![value])),
        Err(error) if error.kind == JsonFault::Trailing => lines(bytes).map(collection),
        Err(error) => Err(CallerFault(error.issue().to_string())),
    }
}

fn lines(bytes: &[u8]) -> Result<Vec<Value>, CallerFault> {
    let lines = bytes.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
    let read = |(index, line)| {
        parse(line, &LIMITS).map_err(|error| CallerFault(format!("line {}: {}", index + 1, error.issue())))
    };
    lines.map(read).collect()
}

fn collection(resources: Vec<Value>) -> Value {
    let entries: Vec<Value> = resources.into_iter().map(|resource| json!({ "resource": resource })).collect();
    json!({ "resourceType": "Bundle", "type": "collection", "entry": entries })
}

/// What is configured goes before what is held: it is what the gateway runs with.
fn services(config: &Config, store: &dyn Store) -> anyhow::Result<HashMap<ServiceId, Service>> {
    let held = store.service_list()?.into_iter();
    let configured = config.service.iter().map(|entry| entry.to_service());
    Ok(held.chain(configured).map(|service| (service.id.clone(), service)).collect())
}

fn counts(diary: &PublishSlots) -> [(&'static str, usize); 3] {
    [("services", diary.services.len()), ("directory", diary.directory.len()), ("slots", diary.slots.len())]
}

/// Keeps it piece by piece. The first one carries the file into the journal.
fn import(store: &dyn Store, diary: PublishSlots, bytes: Vec<u8>) -> anyhow::Result<()> {
    let correlation = Uuid::now_v7().to_string();
    let bar = progress(diary.slots.len());
    let mut body = Some(bytes);
    for piece in pieces(diary) {
        let count = piece.slots.len();
        keep(store, piece, message(&correlation, body.take().unwrap_or_default()))?;
        bar.inc(count as u64);
    }
    bar.finish_and_clear();
    Ok(())
}

/// Services and directory go first, because slots refer to them.
fn pieces(mut diary: PublishSlots) -> Vec<PublishSlots> {
    let mut pieces = Vec::new();
    let mut slots = std::mem::take(&mut diary.slots).into_iter();
    let mut piece = diary;
    loop {
        piece.slots = slots.by_ref().take(PIECE_SLOTS).collect();
        pieces.push(std::mem::take(&mut piece));
        if slots.len() == 0 {
            return pieces;
        }
    }
}

fn message(correlation: &str, body: Vec<u8>) -> Message {
    Message {
        id: Uuid::now_v7(),
        received_at: Timestamp::now(),
        channel: "cli",
        caller: String::new(),
        organisation: String::new(),
        kind: "slots import".into(),
        key: None,
        correlation: correlation.into(),
        bundle: String::new(),
        body,
        issues: Vec::new(),
        feed: None,
    }
}

fn keep(store: &dyn Store, piece: PublishSlots, message: Message) -> anyhow::Result<()> {
    let command = Box::new(Command::PublishSlots(piece));
    let work = Work::Decide { command, answer: Box::new(|_| Answer::default()) };
    match wait(store.submit(message, work)).context("the diary could not be kept")? {
        Verdict::Accepted { .. } => Ok(()),
        Verdict::Refused { refusal: Some(refusal), .. } => Err(CallerFault(refusal.to_string()).into()),
        other => anyhow::bail!("the store did something else: {other:?}"),
    }
}

fn progress(slots: usize) -> ProgressBar {
    let seen = std::io::stderr().is_terminal();
    let target = if seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(slots as u64), target);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} slots {eta}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn tell(counts: &[(&'static str, usize)], dry_run: bool, json: bool) -> anyhow::Result<i32> {
    if json {
        let mut document: serde_json::Map<String, Value> = counts.iter().map(|it| (it.0.into(), it.1.into())).collect();
        document.insert("dry_run".into(), dry_run.into());
        print_json(&document)?;
    } else {
        let verb = if dry_run { "would import" } else { "imported" };
        let [services, directory, slots] = [0, 1, 2].map(|index| counts[index].1);
        say(&format!("{verb} {slots} slots of {services} services, with {directory} resources about them"));
    }
    Ok(0)
}
