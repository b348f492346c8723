//! `onward patients`: a person with all records, and what links them.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use uuid::Uuid;

use super::messages::refuse_blank;
use super::place::Place;
use super::worklist::done;
use super::{CallerFault, print, print_json, table};
use crate::booking::identifier::{Identifier, PatientId};
use crate::booking::index::{Decider, Link, Wish};
use crate::booking::nhs_number::NhsNumber;
use crate::booking::patient::Patient;
use crate::booking::person::{self, Person};
use crate::store::Store;

/// Look at people and their records; link records and part them.
#[derive(Debug, Subcommand)]
pub enum PatientsCommand {
    /// Show a person: all records, where each field comes from, and when records were linked.
    Show(ShowArgs),
    /// Both records are one person's.
    Link(LinkArgs),
    /// The record is its own again, with everything that came with it.
    Part(PartArgs),
    /// The record is another person's than the one that it is linked to.
    Relink(LinkArgs),
    /// An NHS number was replaced by another one, or declared invalid: whoever says it means the newer one, or nobody.
    Renumber(RenumberArgs),
}

/// What `onward patients show` takes.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The id of any of the records
    pub id: Uuid,
    /// Where the store is.
    #[command(flatten)]
    pub place: Place,
}

/// What `onward patients link` and `onward patients relink` take.
#[derive(Debug, Args)]
pub struct LinkArgs {
    /// The record's id
    pub record: Uuid,
    /// The id of a record of the person
    pub to: Uuid,
    /// Why, for whoever looks later; without patient data
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Where the store is.
    #[command(flatten)]
    pub place: Place,
}

/// What `onward patients part` takes.
#[derive(Debug, Args)]
pub struct PartArgs {
    /// The record's id
    pub record: Uuid,
    /// Why, for whoever looks later; without patient data
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Where the store is.
    #[command(flatten)]
    pub place: Place,
}

/// What `onward patients renumber` takes.
#[derive(Debug, Args)]
pub struct RenumberArgs {
    /// The NHS number that is nobody's any more
    pub old: String,
    /// The one that replaced it
    #[arg(long, value_name = "NUMBER", required_unless_present = "invalid")]
    pub to: Option<String>,
    /// It was declared invalid: nothing replaced it
    #[arg(long, conflicts_with = "to")]
    pub invalid: bool,
    /// Why, for whoever looks later; without patient data
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Where the store is.
    #[command(flatten)]
    pub place: Place,
}

impl PatientsCommand {
    /// Runs it; answers the exit code.
    pub fn run(&self, json: bool) -> anyhow::Result<i32> {
        match self {
            Self::Show(args) => show(args, json)?,
            Self::Link(args) => {
                let (record, to) = (PatientId(args.record), PatientId(args.to));
                decide(&args.place, &args.reason, args.record, Wish::Link { record, to }, json)?;
            }
            Self::Part(args) => {
                let record = PatientId(args.record);
                decide(&args.place, &args.reason, args.record, Wish::Part { record }, json)?;
            }
            Self::Relink(args) => {
                let (record, to) = (PatientId(args.record), PatientId(args.to));
                decide(&args.place, &args.reason, args.record, Wish::Relink { record, to }, json)?;
            }
            Self::Renumber(args) => renumber(args, json)?,
        }
        Ok(0)
    }
}

fn renumber(args: &RenumberArgs, json: bool) -> anyhow::Result<()> {
    let parse = |text: &String| NhsNumber::parse(text).map_err(|error| CallerFault(format!("an NHS number: {error}")));
    let (old, newer) = (parse(&args.old)?, args.to.as_ref().map(parse).transpose()?);
    let (_, store) = args.place.open_store()?;
    let holder = |number: NhsNumber| -> anyhow::Result<Option<PatientId>> {
        let number = Identifier { system: NhsNumber::SYSTEM.to_owned(), value: number.as_str().to_owned() };
        let person = store.patient_search(&number)?.into_iter().next();
        let records = person.map(|person| store.patient_records(person)).transpose()?.unwrap_or_default();
        Ok(records.into_iter().find(|it| it.nhs_number.is_some_and(|it| it.as_str() == number.value)).map(|it| it.id))
    };
    let none = || CallerFault("no record has this proven NHS number".to_owned());
    let record = holder(old)?.ok_or_else(none)?;
    let heir = newer.map(holder).transpose()?.flatten();
    drop(store);
    decide(&args.place, &args.reason, record.0, Wish::Renumber { record, newer, heir }, json)
}

fn decide(place: &Place, reason: &str, record: Uuid, wish: Wish, json: bool) -> anyhow::Result<()> {
    refuse_blank(reason)?;
    let (_, store) = place.open_store()?;
    done(&*store, reason, wish)?;
    let records = store.patient_records(PatientId(record))?;
    let person = records.first().map(|it| it.id.to_string()).unwrap_or_default();
    if json {
        return print_json(&json!({ "record": record, "person": person }));
    }
    print(&format!("{record} is of the person {person}\n"))
}

fn show(args: &ShowArgs, json: bool) -> anyhow::Result<()> {
    let (_, store) = args.place.open_store()?;
    let records = store.patient_records(PatientId(args.id))?;
    let first = records.first().ok_or_else(|| CallerFault(format!("there is no patient record {}", args.id)))?;
    let person = person::person(first.id, &records);
    let history = histories(&*store, &records)?;
    if json {
        return print_json(&document(&person, &records, &history));
    }
    print(&text(&person, &records, &history))
}

type History = Vec<(jiff::Timestamp, Link)>;

fn histories(store: &dyn Store, records: &[Patient]) -> anyhow::Result<History> {
    let mut history = Vec::new();
    for record in records {
        history.extend(store.patient_history(record.id)?);
    }
    history.sort_by_key(|(at, _)| *at);
    Ok(history)
}

fn document(person: &Person, records: &[Patient], history: &History) -> Value {
    let from = person.from.iter().map(|(field, record)| ((*field).to_owned(), json!(record)));
    let history = history.iter().map(|(at, link)| json!({ "at": at, "link": link }));
    json!({
        "id": person.id,
        "nhs_number": person.nhs_number,
        "demographics": person.demographics,
        "from": from.collect::<serde_json::Map<_, _>>(),
        "records": records,
        "history": history.collect::<Vec<_>>(),
    })
}

fn text(person: &Person, records: &[Patient], history: &History) -> String {
    let mut text = table::pairs(&[
        ("Person", person.id.to_string()),
        ("NHS number", person.nhs_number.map(|it| it.as_str().to_owned()).unwrap_or_default()),
        ("Born", person.demographics.birth_date.clone().unwrap_or_default()),
    ]);
    let from: Vec<_> =
        person.from.iter().map(|(field, record)| vec![(*field).to_owned(), record.to_string()]).collect();
    let records: Vec<_> = records.iter().map(|it| vec![it.id.to_string(), follows(it)]).collect();
    let history: Vec<_> = history.iter().map(|(at, link)| event(at, link)).collect();
    text += &format!("\n{}", table::render(&["RECORD", "FOLLOWS"], &records));
    text += &format!("\n{}", table::render(&["FIELD", "FROM RECORD"], &from));
    text + &format!("\n{}", table::render(&["AT", "RECORD", "WHAT", "OTHER", "BY", "WHY"], &history))
}

fn follows(record: &Patient) -> String {
    record.replaced_by.map(|leader| leader.to_string()).unwrap_or_default()
}

fn event(at: &jiff::Timestamp, link: &Link) -> Vec<String> {
    let by = match &link.by {
        Decider::Rules => "rules".to_owned(),
        Decider::Source(name) => format!("source {name}"),
        Decider::Person(name) => name.clone(),
    };
    let rule = link.evidence.as_ref().map(|it| it.rule.clone()).unwrap_or_default();
    let why = if link.reason.is_empty() { rule } else { link.reason.clone() };
    let what = if link.linked { "linked" } else { "parted" };
    vec![format!("{at:.0}"), link.record.to_string(), what.to_owned(), link.to.to_string(), by, why]
}
