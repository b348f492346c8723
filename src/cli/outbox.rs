//! `onward outbox`: what is to be delivered, and what a person decides about a letter that is stuck.
//!
//! A running gateway finds out about a decision when it next looks into its outbox.

use clap::{Args, Subcommand};
use serde_json::json;

use super::acts::{self, PauseArgs};
use super::place::{Place, wait};
use super::{CallerFault, print, print_json, say, table};
use crate::config::Config;
use crate::store::act::Deed;
use crate::store::{OutboxDepth, OutboxRow, Page, Settlement};

/// Look at what is to be delivered, and decide about what is stuck.
#[derive(Debug, Subcommand)]
pub enum OutboxCommand {
    /// List letters, newest first.
    List(ListArgs),
    /// Show one letter with its segments on lines of their own.
    Show(ShowArgs),
    /// Send letters again now.
    Retry(RetryArgs),
    /// Hold letters back; later ones about the same patient wait behind them.
    Park(DecideArgs),
    /// Never send letters; later ones about the same patient may go.
    Skip(DecideArgs),
    /// Send nothing to a destination until it is resumed; letters wait.
    Pause(PauseArgs),
    /// Send to a destination again.
    Resume(PauseArgs),
    /// Count letters by destination and state.
    Counts(Place),
}

/// What `onward outbox list` takes.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Where the store is.
    #[command(flatten)]
    pub place: Place,
    /// Only these: queued, delivered, parked or superseded
    #[arg(long, value_parser = ["queued", "delivered", "parked", "superseded"])]
    pub state: Option<String>,
    /// Only those for this destination
    #[arg(long, value_name = "NAME")]
    pub destination: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
}

/// What `onward outbox show` takes.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The letter's id
    pub id: i64,
    /// Where the store is.
    #[command(flatten)]
    pub place: Place,
}

/// What `onward outbox retry` takes.
#[derive(Debug, Args)]
pub struct RetryArgs {
    /// The letters' ids
    #[arg(required = true)]
    pub ids: Vec<i64>,
    /// Where the store is.
    #[command(flatten)]
    pub place: Place,
}

/// What `onward outbox park` and `onward outbox skip` take.
#[derive(Debug, Args)]
pub struct DecideArgs {
    /// The letters' ids
    #[arg(required = true)]
    pub ids: Vec<i64>,
    /// Why, for whoever looks later; without patient data
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Where the store is.
    #[command(flatten)]
    pub place: Place,
}

impl OutboxCommand {
    /// Runs it; answers the exit code.
    pub fn run(&self, json: bool) -> anyhow::Result<i32> {
        match self {
            Self::List(args) => list(args, json)?,
            Self::Show(args) => show(args, json)?,
            Self::Retry(args) => settle(&args.place, &args.ids, &Settlement::Requeue, json)?,
            Self::Park(args) => {
                let parked = Settlement::Parked { failure: args.reason.clone() };
                settle(&args.place, &args.ids, &parked, json)?;
            }
            Self::Skip(args) => {
                let superseded = Settlement::Superseded { reason: args.reason.clone() };
                settle(&args.place, &args.ids, &superseded, json)?;
            }
            Self::Pause(args) => acts::pause(args, Deed::PauseOut, json, is_destination)?,
            Self::Resume(args) => acts::pause(args, Deed::ResumeOut, json, is_destination)?,
            Self::Counts(place) => counts(place, json)?,
        }
        Ok(0)
    }
}

fn is_destination(config: &Config, name: &str) -> bool {
    config.destination_find(name).is_some()
}

fn list(args: &ListArgs, json: bool) -> anyhow::Result<()> {
    let (_, store) = args.place.open_store()?;
    let page = Page { state: args.state.clone(), destination: args.destination.clone(), limit: args.limit };
    let rows = store.outbox_list(&page)?;
    if json {
        return print_json(&rows);
    }
    let heading = ["ID", "CREATED", "DESTINATION", "EVENT", "STATE", "ATTEMPTS", "DUE", "FAILURE"];
    print(&table::render(&heading, &rows.iter().map(line).collect::<Vec<_>>()))
}

fn line(row: &OutboxRow) -> Vec<String> {
    vec![
        row.id.to_string(),
        format!("{:.0}", row.created_at),
        row.destination.clone(),
        row.event.clone(),
        row.state.as_str().into(),
        row.attempts.to_string(),
        format!("{:.0}", row.due_at),
        row.failure.clone().unwrap_or_default(),
    ]
}

fn show(args: &ShowArgs, json: bool) -> anyhow::Result<()> {
    let (_, store) = args.place.open_store()?;
    let found = store.outbox_show(args.id)?;
    let (row, body) = found.ok_or_else(|| CallerFault(format!("there is no letter {}", args.id)))?;
    acts::view(&*store, Deed::ViewLetter, args.id)?;
    let segments = segments(&body);
    if json {
        let mut document = serde_json::to_value(&row)?;
        document["segments"] = json!(segments);
        return print_json(&document);
    }
    let lines: String = segments.iter().map(|segment| format!("{}\n", table::clean(segment))).collect();
    print(&format!("{}\n{lines}", table::pairs(&facts(&row))))
}

fn segments(body: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(body);
    text.split(['\r', '\n']).filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
}

fn facts(row: &OutboxRow) -> Vec<(&'static str, String)> {
    vec![
        ("Letter", row.id.to_string()),
        ("Message", row.message.to_string()),
        ("Destination", row.destination.clone()),
        ("Event", row.event.clone()),
        ("Control id", row.control_id.clone()),
        ("State", row.state.as_str().into()),
        ("Attempts", row.attempts.to_string()),
        ("Created", row.created_at.to_string()),
        ("Due", row.due_at.to_string()),
        ("Settled", row.settled_at.map(|at| at.to_string()).unwrap_or_default()),
        ("Failure", row.failure.clone().unwrap_or_default()),
    ]
}

/// Does it for each letter, also after one that could not be; the first failure is the command's.
fn settle(place: &Place, ids: &[i64], settlement: &Settlement, json: bool) -> anyhow::Result<()> {
    let (_, store) = place.open_store()?;
    let mut done = Vec::new();
    let mut failure = None;
    for id in ids {
        match wait(store.outbox_settle(*id, settlement.clone())) {
            Ok(()) => done.push(*id),
            Err(error) => {
                say(&format!("letter {id}: {error:#}"));
                failure = failure.or(Some(error));
            }
        }
    }
    store.close();
    if json {
        print_json(&json!({ "settled": done }))?;
    } else {
        say(&format!("{} of {} letters settled", done.len(), ids.len()));
    }
    failure.map_or(Ok(()), Err)
}

fn counts(place: &Place, json: bool) -> anyhow::Result<()> {
    let (_, store) = place.open_store()?;
    let depths = store.outbox_depth()?;
    if json {
        return print_json(&depths);
    }
    let heading = ["DESTINATION", "QUEUED", "PARKED", "DELIVERED", "SUPERSEDED", "OLDEST UNDELIVERED"];
    print(&table::render(&heading, &depths.iter().map(depth_line).collect::<Vec<_>>()))
}

fn depth_line(depth: &OutboxDepth) -> Vec<String> {
    vec![
        depth.destination.clone(),
        depth.queued.to_string(),
        depth.parked.to_string(),
        depth.delivered.to_string(),
        depth.superseded.to_string(),
        depth.oldest.map(|at| format!("{at:.0}")).unwrap_or_default(),
    ]
}
