//! Messages for eyes: as JSON, and explained.

use serde_json::{Value, json};

use super::{ExplainArgs, FilesArgs, lines, messages, print_list};
use crate::cli::{print, table};
use crate::hl7v2::ack::Verdict;
use crate::hl7v2::charset::{self, Fallback};
use crate::hl7v2::message::{Field, Message, Segment};
use crate::hl7v2::names;
use crate::hl7v2::path::Path;
use crate::issue::Severity;
use crate::pas::inbound::dialect::Dialect;
use crate::pas::inbound::{self, EVENTS, Outcome, Surroundings};

/// As JSON. A message that cannot be read is an object with an error.
pub(super) fn parse(args: &FilesArgs) -> anyhow::Result<i32> {
    let parsed: Vec<Value> = messages(args)?.iter().map(|bytes| document(bytes)).collect();
    print_list(&parsed)?;
    Ok(i32::from(parsed.iter().any(|it| it.get("error").is_some())))
}

fn document(bytes: &[u8]) -> Value {
    let decoded = match charset::decode(bytes, &Fallback::default()) {
        Ok(decoded) => decoded,
        Err(error) => return json!({ "error": error.to_string(), "at": "MSH-18" }),
    };
    match Message::parse(decoded.text.as_bytes()) {
        Ok(message) => {
            let message = message.with_encoding(decoded.encoding);
            let segments: Vec<Value> = message.segments().map(|segment| segment_document(&segment)).collect();
            json!({ "charset": decoded.encoding.name(), "segments": segments })
        }
        Err(error) => {
            let at = error.place(decoded.text.as_bytes()).map(|path| path.to_string());
            json!({ "error": error.to_string(), "at": at })
        }
    }
}

fn segment_document(segment: &Segment<'_, '_>) -> Value {
    let name = String::from_utf8_lossy(segment.name()).into_owned();
    let mut fields = serde_json::Map::new();
    for number in 1..=segment.fields() {
        let field = segment.field(number);
        let value = field_document(&field);
        if !value.is_null() {
            fields.insert(number.to_string(), value);
        }
    }
    json!({ "segment": name, "fields": fields })
}

/// A list of repetitions, each a list of components; what is to be deleted is `{"null": true}`.
fn field_document(field: &Field<'_>) -> Value {
    if field.raw().is_empty() {
        return Value::Null;
    }
    let repetition = |at: u16| -> Value {
        if field.get(at, 0, 0).is_null() {
            return json!({ "null": true });
        }
        let components = (1..=field.components(at).max(1)).map(|component| {
            let value = field.get(at, component, 0);
            value.text().map_or_else(|| if value.is_null() { json!({ "null": true }) } else { Value::Null }, Into::into)
        });
        match components.collect::<Vec<Value>>().as_slice() {
            [single] => single.clone(),
            several => several.into(),
        }
    };
    let repetitions: Vec<Value> = (1..=field.repetitions().max(1)).map(repetition).collect();
    match repetitions.as_slice() {
        [single] => single.clone(),
        several => json!({ "repetitions": several }),
    }
}

/// What each message says and what would be done with it.
pub(super) fn explain(args: &ExplainArgs, json: bool) -> anyhow::Result<i32> {
    let dialect = args.dialect.read()?;
    let around = Surroundings { sandbox: !args.dialect.production, now: jiff::Timestamp::now() };
    let mut all_applied = true;
    let mut documents = Vec::new();
    for bytes in messages(&args.files)? {
        let outcome = inbound::read(&bytes, &dialect, around);
        all_applied &= outcome.event.is_some();
        if json {
            documents.push(outcome_document(&outcome));
        } else {
            print(&format!("{}{}\n", fields_text(&bytes, &dialect), outcome_text(&outcome)))?;
        }
    }
    if json {
        print_list(&documents)?;
    }
    Ok(i32::from(!all_applied))
}

fn fields_text(bytes: &[u8], dialect: &Dialect) -> String {
    let Ok(decoded) = charset::decode(bytes, &dialect.fallback()) else {
        return lines(&String::from_utf8_lossy(bytes));
    };
    let Ok(message) = Message::parse(decoded.text.as_bytes()) else { return lines(&decoded.text) };
    let message = message.with_encoding(decoded.encoding);
    message.segments().map(|segment| segment_text(&segment)).collect()
}

fn segment_text(segment: &Segment<'_, '_>) -> String {
    let name = String::from_utf8_lossy(segment.name()).into_owned();
    let meaning = names::segment(segment.name()).unwrap_or("not known here; kept");
    let mut text = format!("{}  {meaning}\n", table::clean(&name));
    for number in 1..=segment.fields() {
        let raw = segment.field(number).raw();
        if !raw.is_empty() {
            let meaning = names::field(segment.name(), number).unwrap_or_default();
            let shown: String = String::from_utf8_lossy(raw).chars().take(120).collect();
            text += &format!("  {:<8}{meaning:<28}{}\n", format!("{name}-{number}"), table::clean(&shown));
        }
    }
    text
}

fn answer(outcome: &Outcome) -> &'static str {
    match outcome.verdict {
        _ if outcome.silent => "none",
        Verdict::Accepted => "AA (CA)",
        Verdict::Error => "AE (CE)",
        Verdict::Rejected => "AR (CR)",
    }
}

fn meaning(outcome: &Outcome) -> &'static str {
    EVENTS.iter().find(|taken| taken.event == outcome.kind).map_or("not taken", |taken| taken.summary)
}

fn outcome_text(outcome: &Outcome) -> String {
    let done = match &outcome.event {
        Some(event) => format!("{}, true since {}", event.name(), event.version.at),
        None => "nothing; kept in quarantine".to_owned(),
    };
    let mut text = format!("\n{}: {}\nDone    {done}\nAnswer  {}\n", outcome.kind, meaning(outcome), answer(outcome));
    for found in &outcome.found {
        let severity = severity(found.issue.severity);
        text += &format!("  {severity:<12}{}\n", table::clean(&found.issue.to_string()));
    }
    text
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Information => "information",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

fn outcome_document(outcome: &Outcome) -> Value {
    let found: Vec<Value> = outcome
        .found
        .iter()
        .map(|found| {
            json!({
                "code": found.issue.code.id,
                "severity": severity(found.issue.severity),
                "at": found.path.map(|path: Path| path.to_string()),
                "text": found.issue.text,
                "hl7_code": inbound::table_0357(found),
            })
        })
        .collect();
    json!({
        "kind": outcome.kind,
        "meaning": meaning(outcome),
        "done": outcome.event.as_ref().map(|event| event.name()),
        "version": outcome.event.as_ref().map(|event| event.version.at.to_string()),
        "answer": answer(outcome),
        "found": found,
    })
}
