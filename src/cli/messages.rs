//! `onward messages`: the journal. What came in, what was found in it, what was answered.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use uuid::Uuid;

use super::acts::{self, PauseArgs};
use super::place::Place;
use super::{CallerFault, print, print_bytes, print_json, table};
use crate::bars::report::{self, Report};
use crate::config::Config;
use crate::fhir::json::{self as reader, Limits};
use crate::intake::content;
use crate::store::act::Deed;
use crate::store::{Answer, FEED_STATES, FeedRow, IssueRow, MessageRow, Page};

mod decide;

pub(super) use decide::{person, refuse_blank};

/// Look at what came in and what became of it.
#[derive(Debug, Subcommand)]
pub enum MessagesCommand {
    /// List messages, newest first.
    List(ListArgs),
    /// Show one message: its journal row, what was found, what was answered.
    Show(ShowArgs),
    /// Count messages by outcome.
    Counts(Place),
    /// Messages of hospital feeds by what became of them.
    #[command(subcommand)]
    Feed(FeedCommand),
    /// Read quarantined messages again, by what is configured now.
    Replay(decide::DecideArgs),
    /// Leave quarantined messages unapplied for good.
    Skip(decide::DecideArgs),
    /// Read quarantined messages again as another channel's.
    Reroute(decide::RerouteArgs),
}

/// Messages of hospital feeds.
#[derive(Debug, Subcommand)]
pub enum FeedCommand {
    /// List messages in a state, oldest first.
    List(FeedListArgs),
    /// Count messages by state.
    Counts(Place),
    /// Take nothing by a channel until it is resumed; hospitals keep what they have to say.
    Pause(PauseArgs),
    /// Take messages by a channel again.
    Resume(PauseArgs),
}

/// What `onward messages feed list` takes.
#[derive(Debug, Args)]
pub struct FeedListArgs {
    /// The state
    #[arg(long, default_value = "quarantined", value_parser = FEED_STATES)]
    pub state: String,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
    /// Where the store is.
    #[command(flatten)]
    pub place: Place,
}

/// What `onward messages list` takes.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Where the store is.
    #[command(flatten)]
    pub place: Place,
    /// Only these: accepted, refused, duplicate or repeated
    #[arg(long, value_parser = ["accepted", "refused", "duplicate", "repeated"])]
    pub outcome: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
}

/// What `onward messages show` takes.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The message's id
    pub id: Uuid,
    /// Print the bytes as they came, and nothing else; with --json they are added in base64
    #[arg(long)]
    pub body: bool,
    /// Where the store is.
    #[command(flatten)]
    pub place: Place,
}

impl MessagesCommand {
    /// Runs it; answers the exit code.
    pub fn run(&self, json: bool) -> anyhow::Result<i32> {
        match self {
            Self::List(args) => list(args, json)?,
            Self::Show(args) => show(args, json)?,
            Self::Counts(place) => counts(place, json)?,
            Self::Feed(FeedCommand::List(args)) => feed_list(args, json)?,
            Self::Feed(FeedCommand::Counts(place)) => feed_counts(place, json)?,
            Self::Feed(FeedCommand::Pause(args)) => acts::pause(args, Deed::PauseIn, json, is_channel)?,
            Self::Feed(FeedCommand::Resume(args)) => acts::pause(args, Deed::ResumeIn, json, is_channel)?,
            Self::Replay(args) => return decide::replay(args, json),
            Self::Skip(args) => return decide::skip(args, json),
            Self::Reroute(args) => return decide::reroute(args, json),
        }
        Ok(0)
    }
}

fn is_channel(config: &Config, name: &str) -> bool {
    config.mllp.iter().any(|channel| channel.name == name)
}

fn list(args: &ListArgs, json: bool) -> anyhow::Result<()> {
    let (_, store) = args.place.open_store()?;
    let rows = store.message_list(&Page { state: args.outcome.clone(), destination: None, limit: args.limit })?;
    if json {
        return print_json(&rows);
    }
    let heading = ["RECEIVED", "ID", "CHANNEL", "CALLER", "KIND", "OUTCOME", "STATUS", "CODES"];
    print(&table::render(&heading, &rows.iter().map(line).collect::<Vec<_>>()))
}

fn line(row: &MessageRow) -> Vec<String> {
    let codes: Vec<&str> = row.issues.iter().map(|issue| issue.code.as_str()).collect();
    vec![
        format!("{:.0}", row.received_at),
        row.id.to_string(),
        row.channel.clone(),
        row.caller.clone(),
        row.kind.clone(),
        row.outcome.clone(),
        row.status.to_string(),
        codes.join(","),
    ]
}

fn show(args: &ShowArgs, json: bool) -> anyhow::Result<()> {
    let (_, store) = args.place.open_store()?;
    let found = store.message_show(args.id)?;
    let (row, body, answer) = found.ok_or_else(|| CallerFault(format!("there is no message {}", args.id)))?;
    let feed = store.feed_find(args.id)?;
    if args.body {
        acts::view(&*store, Deed::ViewMessage, args.id)?;
    }
    match (json, args.body) {
        (true, with_body) => {
            let mut document = document(&row, &body, &answer, with_body)?;
            document["feed"] = json!(feed);
            print_json(&document)
        }
        (false, true) => print_bytes(&body),
        (false, false) => print(&(text(&row, &body, &answer) + &feed.map(|row| feed_text(&row)).unwrap_or_default())),
    }
}

/// What was translated into the booking model, and what is only carried along: element paths, no values.
fn mapping(row: &MessageRow, body: &[u8]) -> Option<Report> {
    let limits = Limits::default();
    let content = (row.channel == "https").then(|| content::read(body, &limits).ok()).flatten()?;
    let value = reader::parse(&content.json, &content.limits(&limits)).ok()?;
    Some(report::report(&value))
}

fn report_text(report: &Report) -> String {
    let lines = |list: &std::collections::BTreeMap<String, usize>| {
        list.iter().map(|(path, count)| format!("  {path}{}\n", times(*count))).collect::<String>()
    };
    format!("\nTranslated\n{}\nCarried in the original only\n{}", lines(&report.mapped), lines(&report.carried))
}

fn times(count: usize) -> String {
    if count == 1 { String::new() } else { format!(" ({count} times)") }
}

fn document(row: &MessageRow, body: &[u8], answer: &Answer, with_body: bool) -> anyhow::Result<Value> {
    let mut document = serde_json::to_value(row)?;
    document["answer"] = json!({ "status": answer.status, "body": answer.body.as_deref().map(body_text) });
    document["report"] = json!(mapping(row, body));
    if with_body {
        document["body_base64"] = STANDARD.encode(body).into();
    }
    Ok(document)
}

fn text(row: &MessageRow, body: &[u8], answer: &Answer) -> String {
    let mut text = table::pairs(&facts(row));
    if !row.issues.is_empty() {
        text += &format!("\nIssues\n{}", row.issues.iter().map(issue_line).collect::<String>());
    }
    if let Some(body) = &answer.body {
        text += &format!("\nAnswer\n{}\n", indented(&body_text(body)));
    }
    if let Some(report) = mapping(row, body) {
        text += &report_text(&report);
    }
    text
}

fn facts(row: &MessageRow) -> Vec<(&'static str, String)> {
    let id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    vec![
        ("Message", row.id.to_string()),
        ("Received", row.received_at.to_string()),
        ("Channel", row.channel.clone()),
        ("Caller", row.caller.clone()),
        ("Organisation", row.organisation.clone()),
        ("Kind", row.kind.clone()),
        ("Outcome", row.outcome.clone()),
        ("Status", row.status.to_string()),
        ("Command", row.command.clone().unwrap_or_default()),
        ("Patient", id(row.patient)),
        ("Referral", id(row.referral)),
        ("Appointment", id(row.appointment)),
        ("Key", row.key.clone().unwrap_or_default()),
        ("Correlation", row.correlation.clone()),
        ("Bundle", row.bundle.clone()),
        ("Body", format!("{} bytes", row.body_bytes)),
        ("SHA-256", row.sha256.clone()),
    ]
}

/// What became of a message of a feed, and who decided it where a person did.
fn feed_text(row: &FeedRow) -> String {
    let mut pairs = vec![("State", row.state.clone())];
    let said = |text: &Option<String>| table::clean(text.as_deref().unwrap_or_default());
    if let Some(by) = row.settled_by {
        pairs.extend([("By", by.to_string()), ("Who", said(&row.who)), ("Why", said(&row.why))]);
    }
    format!("\nFeed\n{}", table::pairs(&pairs))
}

fn issue_line(issue: &IssueRow) -> String {
    let place = if issue.at.is_empty() { String::new() } else { format!(" at {}", issue.at) };
    format!("  {} {}{}: {}\n", issue.code, issue.severity, table::clean(&place), table::clean(&issue.text))
}

fn body_text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).replace('\r', "\n")
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {}", table::clean(line))).collect::<Vec<_>>().join("\n")
}

fn feed_list(args: &FeedListArgs, json: bool) -> anyhow::Result<()> {
    let (_, store) = args.place.open_store()?;
    let rows = store.feed_list(&args.state, args.limit)?;
    if json {
        return print_json(&rows);
    }
    let line = |row: &FeedRow| {
        let (code, place) = (row.code.clone().unwrap_or_default(), row.place.clone().unwrap_or_default());
        vec![
            format!("{:.0}", row.received_at),
            row.message.to_string(),
            row.channel.clone(),
            row.kind.clone(),
            code,
            place,
        ]
    };
    let rows: Vec<_> = rows.iter().map(line).collect();
    print(&table::render(&["RECEIVED", "ID", "CHANNEL", "KIND", "CODE", "PLACE"], &rows))
}

fn feed_counts(place: &Place, json: bool) -> anyhow::Result<()> {
    let (_, store) = place.open_store()?;
    show_counts(store.feed_counts()?, "STATE", json)
}

fn counts(place: &Place, json: bool) -> anyhow::Result<()> {
    let (_, store) = place.open_store()?;
    show_counts(store.message_counts()?, "OUTCOME", json)
}

fn show_counts(counts: Vec<(String, u64)>, heading: &str, json: bool) -> anyhow::Result<()> {
    if json {
        let counts = counts.into_iter().map(|(outcome, count)| (outcome, count.into()));
        return print_json(&counts.collect::<serde_json::Map<_, Value>>());
    }
    let rows: Vec<_> = counts.into_iter().map(|(outcome, count)| vec![outcome, count.to_string()]).collect();
    print(&table::render(&[heading, "MESSAGES"], &rows))
}
