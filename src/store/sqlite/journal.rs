//! The journal: every message with its bytes, what came of it, and the ledger of first answers.

use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

use super::column::{id, id_maybe, instant, json, model, packed, unpacked};
use super::fault::Fault;
use crate::issue::{Issue, Severity};
use crate::store::{Answer, IssueRow, Message, MessageRow, Page};

/// What came of a message, beside its outcome.
#[derive(Default)]
pub(super) struct Entry<'a> {
    pub(super) status: u16,
    pub(super) answer: Option<&'a [u8]>,
    /// The message that it repeats.
    pub(super) first: Option<Uuid>,
    pub(super) alarm: bool,
    pub(super) command: Option<&'static str>,
    pub(super) patient: Option<Uuid>,
    pub(super) referral: Option<Uuid>,
    pub(super) appointment: Option<Uuid>,
    /// Found by the decision; those found before it are in the message.
    pub(super) issues: Vec<&'a Issue>,
}

/// The first answer that a key got.
pub(super) struct First {
    pub(super) message: Uuid,
    pub(super) accepted: bool,
    pub(super) answer: Answer,
}

/// Files a message whose body is packed already.
pub(super) fn insert(
    conn: &Connection,
    message: &Message,
    body_bytes: usize,
    sha256: &[u8; 32],
    outcome: &'static str,
    entry: &Entry<'_>,
) -> Result<(), Fault> {
    let bytes = |id: &Option<Uuid>| id.map(Uuid::into_bytes);
    conn.prepare_cached(
        "INSERT INTO message (id, received_at, channel, caller, organisation, kind, key, correlation, bundle, outcome,
             status, first_id, alarm, command, patient_id, referral_id, appointment_id, issues, sha256, body_bytes,
             body, answer)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)",
    )?
    .execute(rusqlite::params![
        message.id.as_bytes(),
        message.received_at.as_microsecond(),
        message.channel,
        message.caller,
        message.organisation,
        message.kind,
        message.key,
        message.correlation,
        message.bundle,
        outcome,
        entry.status,
        bytes(&entry.first),
        entry.alarm,
        entry.command,
        bytes(&entry.patient),
        bytes(&entry.referral),
        bytes(&entry.appointment),
        issues_json(message.issues.iter().chain(entry.issues.iter().copied()))?,
        sha256,
        body_bytes as i64,
        message.body,
        entry.answer.map(packed),
    ])?;
    Ok(())
}

fn issues_json<'a>(issues: impl Iterator<Item = &'a Issue>) -> Result<String, Fault> {
    let rows: Vec<IssueRow> = issues.map(issue_row).collect();
    json(&rows)
}

fn issue_row(issue: &Issue) -> IssueRow {
    let severity = match issue.severity {
        Severity::Information => "information",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    IssueRow {
        code: issue.code.id.to_owned(),
        severity: severity.to_owned(),
        at: issue.at.clone(),
        text: issue.text.clone().into_owned(),
    }
}

/// The first answer of a key.
pub(super) fn first_find(conn: &Connection, key: &str) -> Result<Option<First>, Fault> {
    let mut find = conn.prepare_cached(
        "SELECT id, outcome = 'accepted', status, answer FROM message WHERE key = ?1 AND key IS NOT NULL",
    )?;
    let read = |row: &Row<'_>| Ok((id(row, 0)?, row.get(1)?, row.get(2)?, row.get::<_, Option<Vec<u8>>>(3)?));
    let Some((message, accepted, status, body)) = find.query_row([key], read).optional()? else { return Ok(None) };
    Ok(Some(First { message, accepted, answer: answer(status, body)? }))
}

fn answer(status: u16, body: Option<Vec<u8>>) -> Result<Answer, Fault> {
    let body = body.as_deref().map(unpacked).transpose()?;
    Ok(Answer { status, body, letters: Vec::new() })
}

/// Was a message of this bundle and conversation accepted?
pub(super) fn bundle_is_used(conn: &Connection, bundle: &str, correlation: &str) -> Result<bool, Fault> {
    let mut find = conn.prepare_cached(
        "SELECT 1 FROM message WHERE bundle = ?1 AND correlation = ?2 AND outcome = 'accepted' AND bundle <> ''",
    )?;
    Ok(find.exists((bundle, correlation))?)
}

/// The bytes of the last accepted message of this bundle.
pub(super) fn body_of(conn: &Connection, bundle: &str, correlation: &str) -> Result<Option<Vec<u8>>, Fault> {
    let mut find = conn.prepare_cached(
        "SELECT body FROM message WHERE bundle = ?1 AND correlation = ?2 AND outcome = 'accepted' AND bundle <> ''
         ORDER BY seq DESC LIMIT 1",
    )?;
    let body: Option<Vec<u8>> = find.query_row((bundle, correlation), |row| row.get(0)).optional()?;
    body.as_deref().map(unpacked).transpose()
}

/// The referral that the last accepted message of this bundle was about.
pub(super) fn referral_of(conn: &Connection, bundle: &str) -> Result<Option<Uuid>, Fault> {
    let mut find = conn.prepare_cached(
        "SELECT referral_id FROM message WHERE bundle = ?1 AND outcome = 'accepted' AND bundle <> ''
         AND referral_id IS NOT NULL ORDER BY seq DESC LIMIT 1",
    )?;
    Ok(find.query_row([bundle], |row| id(row, 0)).optional()?)
}

const COLUMNS: &str = "id, received_at, channel, caller, organisation, kind, key, correlation, bundle, outcome, status,
    issues, command, patient_id, referral_id, appointment_id, lower(hex(sha256)), body_bytes";

/// Rows, newest first. The filter on `outcome <> 'accepted'` lets the small index be used.
pub(super) fn list(conn: &Connection, page: &Page) -> Result<Vec<MessageRow>, Fault> {
    let limit = i64::try_from(page.limit).unwrap_or(i64::MAX);
    let filter = match page.state.as_deref() {
        None => "?1 IS NULL",
        Some("accepted") => "outcome = ?1",
        Some(_) => "outcome <> 'accepted' AND outcome = ?1",
    };
    let sql = format!("SELECT {COLUMNS} FROM message WHERE {filter} ORDER BY seq DESC LIMIT ?2");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query((&page.state, limit))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(message_row(row)?);
    }
    Ok(found)
}

/// A row with the message's bytes and the answer's.
pub(super) fn show(conn: &Connection, wanted: Uuid) -> Result<Option<(MessageRow, Vec<u8>, Answer)>, Fault> {
    let sql = format!("SELECT {COLUMNS}, body, answer FROM message WHERE id = ?1");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([wanted.as_bytes()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let body = unpacked(row.get_ref(18)?.as_blob().map_err(|_| Fault::Broken("a body is not bytes"))?)?;
    let found = message_row(row)?;
    let answer = answer(found.status, row.get(19)?)?;
    Ok(Some((found, body, answer)))
}

fn message_row(row: &Row<'_>) -> Result<MessageRow, Fault> {
    let issues: String = row.get(11)?;
    Ok(MessageRow {
        id: id(row, 0)?,
        received_at: instant(row, 1)?,
        channel: row.get(2)?,
        caller: row.get(3)?,
        organisation: row.get(4)?,
        kind: row.get(5)?,
        key: row.get(6)?,
        correlation: row.get(7)?,
        bundle: row.get(8)?,
        outcome: row.get(9)?,
        status: row.get(10)?,
        issues: model(&issues)?,
        command: row.get(12)?,
        patient: id_maybe(row, 13)?,
        referral: id_maybe(row, 14)?,
        appointment: id_maybe(row, 15)?,
        sha256: row.get(16)?,
        body_bytes: row.get::<_, i64>(17)?.unsigned_abs(),
    })
}

/// How many there are of each outcome.
pub(super) fn counts(conn: &Connection) -> Result<Vec<(String, u64)>, Fault> {
    let mut list = conn.prepare_cached("SELECT outcome, n FROM message_tally ORDER BY outcome")?;
    let rows = list.query_map((), |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
