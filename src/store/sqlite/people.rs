//! Reading the index of patients: people with their records, who somebody may be, and the worklist.

use jiff::Timestamp;
use rusqlite::{Connection, Row};
use uuid::Uuid;

use super::column::{id, instant, instant_maybe, model};
use super::fault::Fault;
use super::index::{members, neighbours};
use super::state::{all, one, text};
use crate::booking::appointment::Appointment;
use crate::booking::command::Subject;
use crate::booking::decision::State;
use crate::booking::identifier::{Identifier, PatientId};
use crate::booking::index::{Alike, IndexState, Likeness, Link};
use crate::booking::patient::Patient;
use crate::reconcile::diary::Entry;
use crate::store::{TaskPage, TaskRow};

/// All records that are linked to this one, the one that stands for the person first.
pub(super) fn records(conn: &Connection, record: PatientId) -> Result<Vec<Patient>, Fault> {
    let mut found = IndexState { members: members(conn, record)?, ..IndexState::default() };
    let Some(own) = found.record(record) else { return Ok(Vec::new()) };
    let person = found.person_of(own).id;
    found.members.sort_by_key(|it| it.id != person);
    Ok(found.members)
}

/// Everybody who has this identifier: by the proven NHS number, or by a local number.
pub(super) fn search(conn: &Connection, identifier: &Identifier) -> Result<Vec<PatientId>, Fault> {
    const NHS: &str = "https://fhir.nhs.uk/Id/nhs-number";
    const BY_NHS: &str = "SELECT id FROM patient WHERE nhs_number = ?2 AND ?1 <> ''";
    const BY_NUMBER: &str = "SELECT patient_id FROM patient_number WHERE system = ?1 AND value = ?2";
    let sql = if identifier.system == NHS { BY_NHS } else { BY_NUMBER };
    let record = one(conn, sql, &[&identifier.system, &identifier.value], |row| id(row, 0))?;
    let Some(record) = record else { return Ok(Vec::new()) };
    Ok(records(conn, PatientId(record))?.into_iter().take(1).map(|person| person.id).collect())
}

/// Who may be the person of whom this is said: of each person the record that is most alike.
pub(super) fn find(conn: &Connection, subject: &Subject) -> Result<Vec<(PatientId, Alike)>, Fault> {
    let mut state = State::default();
    let mut found: Vec<(PatientId, Alike)> = Vec::new();
    for alike in neighbours(conn, subject, Timestamp::now(), &mut state)? {
        let person = state.index.person_of(&alike.record).id;
        let weight = |it: &Alike| (it.evidence.likeness, it.evidence.score);
        match found.iter_mut().find(|(known, _)| *known == person) {
            Some((_, known)) if weight(known) < weight(&alike) => *known = alike,
            Some(_) => {}
            None => found.push((person, alike)),
        }
    }
    found.sort_by(|(_, a), (_, b)| {
        let by_score = b.evidence.score.total_cmp(&a.evidence.score);
        b.evidence.likeness.cmp(&a.evidence.likeness).then(by_score)
    });
    Ok(found)
}

/// When a record was linked and parted, oldest first.
pub(super) fn history(conn: &Connection, record: PatientId) -> Result<Vec<(Timestamp, Link)>, Fault> {
    let mut list = conn.prepare_cached("SELECT at, model FROM patient_event WHERE record_id = ?1 ORDER BY seq")?;
    let rows = list.query_map([record.0.as_bytes()], |row| Ok((instant(row, 0)?, row.get::<_, String>(1)?)))?;
    rows.map(|row| row.map_err(Fault::from).and_then(|(at, link)| Ok((at, model(&link)?)))).collect()
}

/// Bookings of a time, with all numbers of the person that each is of.
pub(super) fn bookings(conn: &Connection, from: Timestamp, to: Timestamp) -> Result<Vec<Entry>, Fault> {
    const NUMBERS: &str = "WITH RECURSIVE member (id) AS (VALUES (?1)
            UNION SELECT record_id FROM patient_link JOIN member ON to_id = member.id)
        SELECT value FROM patient_number WHERE patient_id IN (SELECT id FROM member)
        UNION SELECT nhs_number FROM patient WHERE id IN (SELECT id FROM member) AND nhs_number IS NOT NULL";
    let mut list =
        conn.prepare_cached("SELECT model FROM appointment WHERE ?1 <= start AND start < ?2 ORDER BY seq")?;
    let rows = list.query_map((from.as_microsecond(), to.as_microsecond()), text)?;
    let mut entries = Vec::new();
    for row in rows {
        let appointment: Appointment = model(&row?)?;
        let patient = all(conn, NUMBERS, &[appointment.patient.0.as_bytes()])?;
        let own = appointment.id.to_string();
        let numbers = appointment.identifiers.into_iter().map(|it| it.value).chain([own]).collect();
        let (start, current) = (appointment.start, appointment.status.is_current());
        entries.push(Entry { numbers, patient, start, current });
    }
    Ok(entries)
}

const COLUMNS: &str = "SELECT model, source, raised_at, decided_at FROM task";

/// Entries of the worklist, oldest first.
pub(super) fn tasks(conn: &Connection, page: &TaskPage) -> Result<Vec<TaskRow>, Fault> {
    let grades = match page.at_least {
        Likeness::Possible => "'possible', 'probable', 'certain'",
        Likeness::Probable => "'probable', 'certain'",
        Likeness::Certain => "'certain'",
    };
    let sql = format!("{COLUMNS} WHERE state = ?1 AND grade IN ({grades}) ORDER BY seq LIMIT ?2");
    let limit = i64::try_from(page.limit).unwrap_or(i64::MAX);
    let mut list = conn.prepare_cached(&sql)?;
    let rows = list.query_map((page.state.as_str(), limit), columns)?;
    rows.map(|row| row.map_err(Fault::from).and_then(task_row)).collect()
}

/// One entry of the worklist.
pub(super) fn task(conn: &Connection, id: Uuid) -> Result<Option<TaskRow>, Fault> {
    one(conn, &format!("{COLUMNS} WHERE id = ?1"), &[id.as_bytes()], columns)?.map(task_row).transpose()
}

type Columns = (String, String, Timestamp, Option<Timestamp>);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, instant(row, 2)?, instant_maybe(row, 3)?))
}

fn task_row((task, source, raised_at, decided_at): Columns) -> Result<TaskRow, Fault> {
    Ok(TaskRow { task: model(&task)?, source, raised_at, decided_at })
}

/// How many entries are open, of each kind and grade.
pub(super) fn task_counts(conn: &Connection) -> Result<Vec<(String, String, u64)>, Fault> {
    const SQL: &str = "SELECT kind, grade, count(*) FROM task WHERE state = 'open' GROUP BY kind, grade";
    let mut list = conn.prepare_cached(SQL)?;
    let rows = list.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?.unsigned_abs())))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
