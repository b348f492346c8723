//! `onward worklist`: what a person has to decide about two records, referrals or appointments, with what both say side by
//! side.

mod side;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use uuid::Uuid;

use self::side::{Fact, Side};
use super::messages::{person, refuse_blank};
use super::place::{Place, wait};
use super::{CallerFault, print, print_json, table};
use crate::booking::index::{Likeness, TaskKind, TaskState, Wish};
use crate::intake::index::prepare;
use crate::store::{Store, TaskPage, TaskRow, Verdict};

/// Look at what a person has to decide about records, and decide it.
#[derive(Debug, Subcommand)]
pub enum WorklistCommand {
    /// List entries, oldest first.
    List(ListArgs),
    /// Show one entry with both sides beside each other.
    Show(ShowArgs),
    /// Decide an entry.
    Decide(DecideArgs),
    /// Count open entries by kind and grade.
    Counts(Place),
}

/// What `onward worklist list` takes.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Where the store is.
    #[command(flatten)]
    pub place: Place,
    /// Only those in this state
    #[arg(long, value_enum, default_value_t = State::Open)]
    pub state: State,
    /// Only those that are at least so sure
    #[arg(long, value_enum, default_value_t = Grade::Probable)]
    pub grade: Grade,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
}

/// States of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum State {
    Open,
    Linked,
    Parted,
    Left,
}

/// Grades of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Grade {
    Possible,
    Probable,
    Certain,
}

/// What `onward worklist show` takes.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The entry's id
    pub id: Uuid,
    /// Where the store is.
    #[command(flatten)]
    pub place: Place,
}

/// What `onward worklist decide` takes.
#[derive(Debug, Args)]
pub struct DecideArgs {
    /// The entry's id
    pub id: Uuid,
    /// What is decided
    #[arg(value_enum)]
    pub decision: Choice,
    /// Why, for whoever looks later; without patient data
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Where the store is.
    #[command(flatten)]
    pub place: Place,
}

/// What can be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Choice {
    /// Both are one
    Link,
    /// They are two, for good
    Part,
    /// They stay as they are; stronger evidence raises it again
    Leave,
}

impl WorklistCommand {
    /// Runs it; answers the exit code.
    pub fn run(&self, json: bool) -> anyhow::Result<i32> {
        match self {
            Self::List(args) => list(args, json)?,
            Self::Show(args) => show(args, json)?,
            Self::Decide(args) => decide(args, json)?,
            Self::Counts(place) => counts(place, json)?,
        }
        Ok(0)
    }
}

fn list(args: &ListArgs, json: bool) -> anyhow::Result<()> {
    let (_, store) = args.place.open_store()?;
    let state = match args.state {
        State::Open => TaskState::Open,
        State::Linked => TaskState::Linked,
        State::Parted => TaskState::Parted,
        State::Left => TaskState::Left,
    };
    let at_least = match args.grade {
        Grade::Possible => Likeness::Possible,
        Grade::Probable => Likeness::Probable,
        Grade::Certain => Likeness::Certain,
    };
    let rows = store.task_list(&TaskPage { state, at_least, limit: args.limit })?;
    if json {
        return print_json(&rows);
    }
    let line = |row: &TaskRow| {
        let evidence = &row.task.evidence;
        vec![
            format!("{:.0}", row.raised_at),
            row.task.id.to_string(),
            row.task.kind.as_str().to_owned(),
            evidence.likeness.as_str().to_owned(),
            format!("{:.1}", evidence.score),
            row.source.clone(),
            evidence.rule.clone(),
        ]
    };
    let heading = ["RAISED", "ID", "KIND", "GRADE", "SCORE", "SOURCE", "WHY"];
    print(&table::render(&heading, &rows.iter().map(line).collect::<Vec<_>>()))
}

fn show(args: &ShowArgs, json: bool) -> anyhow::Result<()> {
    let (_, store) = args.place.open_store()?;
    let row = found(&*store, args.id)?;
    let sides = side::both(&*store, &row.task)?;
    if json {
        let records: Vec<_> = sides.iter().map(|side| &side.whole).collect();
        return print_json(&json!({ "task": row, "records": records }));
    }
    print(&text(&row, &sides))
}

fn found(store: &dyn Store, id: Uuid) -> anyhow::Result<TaskRow> {
    let row = store.task_show(id)?;
    Ok(row.ok_or_else(|| CallerFault(format!("there is no entry {id} of the worklist")))?)
}

fn text(row: &TaskRow, sides: &[Side]) -> String {
    let task = &row.task;
    let decided = task.decided.as_ref().map(|(_, reason)| reason.clone()).unwrap_or_default();
    let mut text = table::pairs(&[
        ("Entry", task.id.to_string()),
        ("Kind", task.kind.as_str().to_owned()),
        ("State", task.state.as_str().to_owned()),
        ("Grade", task.evidence.likeness.as_str().to_owned()),
        ("Score", format!("{:.1} bits", task.evidence.score)),
        ("Why", task.evidence.rule.clone()),
        ("Source", row.source.clone()),
        ("Raised", row.raised_at.to_string()),
        ("Decided", row.decided_at.map(|at| at.to_string()).unwrap_or_default()),
        ("Reason", decided),
    ]);
    if let [a, b] = sides {
        // Only people are compared by weights.
        let weighed = task.kind == TaskKind::SamePerson;
        let compared = |field: &str| {
            let found = task.evidence.fields.iter().find(|(name, ..)| name == field);
            let bits = |bits: &f32| if weighed { format!("{bits:+.1}") } else { String::new() };
            found.map(|(_, level, weight)| (level.clone(), bits(weight))).unwrap_or_default()
        };
        let line = |((name, a), (_, b)): (&Fact, &Fact)| {
            let (level, bits) = compared(name);
            vec![(*name).to_owned(), a.clone(), b.clone(), level, bits]
        };
        let lines: Vec<_> = a.facts.iter().zip(&b.facts).map(line).collect();
        text.push('\n');
        text += &table::render(&["FIELD", "ONE", "OTHER", "COMPARES", "BITS"], &lines);
    }
    text
}

fn decide(args: &DecideArgs, json: bool) -> anyhow::Result<()> {
    refuse_blank(&args.reason)?;
    let (_, store) = args.place.open_store()?;
    let state = match args.decision {
        Choice::Link => TaskState::Linked,
        Choice::Part => TaskState::Parted,
        Choice::Leave => TaskState::Left,
    };
    done(&*store, &args.reason, Wish::Settle { task: args.id, state })?;
    if json {
        return print_json(&json!({ "task": args.id, "state": state.as_str() }));
    }
    print(&format!("{} {}\n", args.id, state.as_str()))
}

/// Has it done, or says why not.
pub(super) fn done(store: &dyn Store, reason: &str, wish: Wish) -> anyhow::Result<()> {
    let (message, work) = prepare(&person(), reason.trim(), wish, "cli");
    match wait(store.submit(message, work))? {
        Verdict::Accepted { .. } => Ok(()),
        Verdict::Refused { refusal: Some(refusal), .. } => Err(CallerFault(refusal.issue.to_string()).into()),
        _ => Err(CallerFault("it was not done".to_owned()).into()),
    }
}

fn counts(place: &Place, json: bool) -> anyhow::Result<()> {
    let (_, store) = place.open_store()?;
    let counts = store.task_counts()?;
    if json {
        let rows = counts.into_iter().map(|(kind, grade, n)| json!({ "kind": kind, "grade": grade, "open": n }));
        return print_json(&rows.collect::<Vec<_>>());
    }
    let rows: Vec<_> = counts.into_iter().map(|(kind, grade, n)| vec![kind, grade, n.to_string()]).collect();
    print(&table::render(&["KIND", "GRADE", "OPEN"], &rows))
}
