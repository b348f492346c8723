//! The journal: every message with its bytes, what came of it, and the ledger of first answers.

use uuid::Uuid;

use super::column::{json, model, packed, unpacked};
use super::fault::Fault;
use super::session::{Row, Session, values};
use crate::issue::{Issue, Severity};
use crate::store::{Answer, IssueRow, Message, MessageRow, Page};

/// What came of a message, beside its outcome.
#[derive(Default)]
pub(in crate::store) struct Entry<'a> {
    /// The key under which a repeat finds it.
    pub(in crate::store) key: Option<&'a str>,
    pub(in crate::store) status: u16,
    pub(in crate::store) answer: Option<&'a [u8]>,
    /// The message that it repeats.
    pub(in crate::store) first: Option<Uuid>,
    pub(in crate::store) alarm: bool,
    /// How many letters it has.
    pub(in crate::store) letters: usize,
    pub(in crate::store) command: Option<&'static str>,
    pub(in crate::store) patient: Option<Uuid>,
    pub(in crate::store) referral: Option<Uuid>,
    pub(in crate::store) appointment: Option<Uuid>,
    /// Found by the decision; those found before it are in the message.
    pub(in crate::store) issues: Vec<&'a Issue>,
}

/// The first answer that a key got.
pub(in crate::store) struct First {
    pub(in crate::store) message: Uuid,
    pub(in crate::store) accepted: bool,
    pub(in crate::store) answer: Answer,
}

/// Files a message whose body is packed already.
pub(in crate::store) fn insert(
    conn: &dyn Session,
    message: &Message,
    body_bytes: usize,
    sha256: &[u8; 32],
    outcome: &'static str,
    entry: &Entry<'_>,
) -> Result<(), Fault> {
    conn.write(
        "INSERT INTO message (id, received_at, channel, caller, organisation, kind, key, correlation, bundle, outcome,
             status, first_id, alarm, command, patient_id, referral_id, appointment_id, issues, sha256, body_bytes,
             body, answer, letters)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
             ?23)",
        values![
            &message.id,
            message.received_at,
            message.channel,
            &message.caller,
            &message.organisation,
            &message.kind,
            entry.key,
            &message.correlation,
            &message.bundle,
            outcome,
            entry.status,
            entry.first.as_ref(),
            entry.alarm,
            entry.command,
            entry.patient.as_ref(),
            entry.referral.as_ref(),
            entry.appointment.as_ref(),
            &issues_json(message.issues.iter().chain(entry.issues.iter().copied()))?,
            sha256,
            body_bytes,
            &message.body,
            entry.answer.map(packed).as_ref(),
            entry.letters,
        ],
    )
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
pub(in crate::store) fn first_find(conn: &dyn Session, key: &str) -> Result<Option<First>, Fault> {
    conn.one(
        "SELECT id, outcome = 'accepted', status, answer FROM message WHERE key = ?1 AND key IS NOT NULL",
        values![key],
        |row| Ok(First { message: row.get(0)?, accepted: row.get(1)?, answer: answer(row.get(2)?, row.get(3)?)? }),
    )
}

fn answer(status: u16, body: Option<Vec<u8>>) -> Result<Answer, Fault> {
    let body = body.as_deref().map(unpacked).transpose()?;
    Ok(Answer { status, body, letters: Vec::new() })
}

/// Was a message of this bundle and conversation accepted?
pub(in crate::store) fn bundle_is_used(conn: &dyn Session, bundle: &str, correlation: &str) -> Result<bool, Fault> {
    conn.exists(
        "SELECT 1 FROM message WHERE bundle = ?1 AND correlation = ?2 AND outcome = 'accepted' AND bundle <> ''",
        values![bundle, correlation],
    )
}

/// The bytes of the last accepted message of this bundle.
pub(in crate::store) fn body_of(conn: &dyn Session, bundle: &str, correlation: &str) -> Result<Option<Vec<u8>>, Fault> {
    let found = conn.one(
        "SELECT body FROM message WHERE bundle = ?1 AND correlation = ?2 AND outcome = 'accepted' AND bundle <> ''
         ORDER BY seq DESC LIMIT 1",
        values![bundle, correlation],
        |row| row.get::<Vec<u8>>(0),
    )?;
    found.as_deref().map(unpacked).transpose()
}

/// The referral that the last accepted message of this bundle was about.
pub(in crate::store) fn referral_of(conn: &dyn Session, bundle: &str) -> Result<Option<Uuid>, Fault> {
    conn.one(
        "SELECT referral_id FROM message WHERE bundle = ?1 AND outcome = 'accepted' AND bundle <> ''
         AND referral_id IS NOT NULL ORDER BY seq DESC LIMIT 1",
        values![bundle],
        |row| row.get(0),
    )
}

const COLUMNS: &str = "id, received_at, channel, caller, organisation, kind, key, correlation, bundle, outcome, status,
    issues, command, patient_id, referral_id, appointment_id, sha256, body_bytes";

/// Rows, newest first. The filter on `outcome <> 'accepted'` lets the small index be used.
pub(in crate::store) fn list(conn: &dyn Session, page: &Page) -> Result<Vec<MessageRow>, Fault> {
    let filter = match page.state.as_deref() {
        None => "CAST(?1 AS TEXT) IS NULL",
        Some("accepted") => "outcome = ?1",
        Some(_) => "outcome <> 'accepted' AND outcome = ?1",
    };
    let sql = format!("SELECT {COLUMNS} FROM message WHERE {filter} ORDER BY seq DESC LIMIT ?2");
    conn.all(&sql, values![page.state.as_ref(), page.limit], message_row)
}

/// A row with the message's bytes and the answer's.
pub(in crate::store) fn show(conn: &dyn Session, wanted: Uuid) -> Result<Option<(MessageRow, Vec<u8>, Answer)>, Fault> {
    let sql = format!("SELECT {COLUMNS}, body, answer FROM message WHERE id = ?1");
    conn.one(&sql, values![&wanted], |row| {
        let found = message_row(row)?;
        let body = unpacked(&row.get::<Vec<u8>>(18)?)?;
        let answer = answer(found.status, row.get(19)?)?;
        Ok((found, body, answer))
    })
}

fn message_row(row: &dyn Row) -> Result<MessageRow, Fault> {
    Ok(MessageRow {
        id: row.get(0)?,
        received_at: row.get(1)?,
        channel: row.get(2)?,
        caller: row.get(3)?,
        organisation: row.get(4)?,
        kind: row.get(5)?,
        key: row.get(6)?,
        correlation: row.get(7)?,
        bundle: row.get(8)?,
        outcome: row.get(9)?,
        status: row.get(10)?,
        issues: model(&row.get::<String>(11)?)?,
        command: row.get(12)?,
        patient: row.get(13)?,
        referral: row.get(14)?,
        appointment: row.get(15)?,
        sha256: hexadecimal(&row.get::<Vec<u8>>(16)?),
        body_bytes: row.get(17)?,
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How many there are of each outcome.
pub(in crate::store) fn counts(conn: &dyn Session) -> Result<Vec<(String, u64)>, Fault> {
    const SQL: &str = "SELECT outcome, CAST(sum(n) AS BIGINT) FROM message_tally GROUP BY outcome ORDER BY outcome";
    conn.all(SQL, &[], |row| Ok((row.get(0)?, row.get(1)?)))
}
