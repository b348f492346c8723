//! Reading the index of patients: people with their records, who somebody may be, and the worklist.

use jiff::Timestamp;
use uuid::Uuid;

use super::column::model;
use super::fault::Fault;
use super::index::{members, neighbours};
use super::number;
use super::session::{Row, Session, text, values};
use crate::booking::appointment::Appointment;
use crate::booking::command::Subject;
use crate::booking::decision::State;
use crate::booking::identifier::{Identifier, PatientId};
use crate::booking::index::{Alike, IndexState, Likeness, Link};
use crate::booking::nhs_number::NhsNumber;
use crate::booking::patient::Patient;
use crate::reconcile::diary::Entry;
use crate::reconcile::lookup::{self, Unseen, View};
use crate::reconcile::weight::Weights;
use crate::store::{TaskPage, TaskRow};

/// All records that are linked to this one, the one that stands for the person first.
pub(in crate::store) fn records(conn: &dyn Session, record: PatientId) -> Result<Vec<Patient>, Fault> {
    let mut found = IndexState { members: members(conn, record)?, ..IndexState::default() };
    let Some(own) = found.record(record) else { return Ok(Vec::new()) };
    let person = found.person_of(own).id;
    found.members.sort_by_key(|it| it.id != person);
    Ok(found.members)
}

/// Everybody who has this identifier: by the proven NHS number, or by a local number.
pub(in crate::store) fn search(conn: &dyn Session, identifier: &Identifier) -> Result<Vec<PatientId>, Fault> {
    const BY_NHS: &str = "SELECT id FROM patient WHERE nhs_number = ?2 AND ?1 <> ''";
    const BY_NUMBER: &str = "SELECT patient_id FROM patient_number WHERE system = ?1 AND value = ?2";
    let sql = if identifier.system == NhsNumber::SYSTEM { BY_NHS } else { BY_NUMBER };
    let known = NhsNumber::parse(&identifier.value).ok().filter(|_| identifier.system == NhsNumber::SYSTEM);
    let newer = known.map(|number| number::current(conn, number)).transpose()?.flatten();
    let value = newer.as_ref().map_or(identifier.value.as_str(), NhsNumber::as_str);
    let record = conn.one(sql, values![&identifier.system, value], |row| row.get(0))?;
    let Some(record) = record else { return Ok(Vec::new()) };
    Ok(records(conn, PatientId(record))?.into_iter().take(1).map(|person| person.id).collect())
}

/// Who may be the person of whom this is said: of each person the record that is most alike.
pub(in crate::store) fn find(
    conn: &dyn Session,
    subject: &Subject,
    weights: &Weights,
) -> Result<Vec<(PatientId, Alike)>, Fault> {
    let subject = &*number::subject_with_current(conn, subject)?;
    let view = View { weights, now: Timestamp::now(), unseen: Unseen::Some };
    let mut state = State::default();
    let mut found: Vec<(PatientId, Alike)> = Vec::new();
    let keys = lookup::keys_of(subject.nhs_number, &subject.demographics);
    for alike in neighbours(conn, subject, &keys, view, &mut state)? {
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
pub(in crate::store) fn history(conn: &dyn Session, record: PatientId) -> Result<Vec<(Timestamp, Link)>, Fault> {
    const SQL: &str = "SELECT at, model FROM patient_event WHERE record_id = ?1 ORDER BY seq";
    conn.all(SQL, values![&record.0], |row| Ok((row.get(0)?, model(&row.get::<String>(1)?)?)))
}

/// Bookings of a time, with all numbers of the person that each is of.
pub(in crate::store) fn bookings(conn: &dyn Session, from: Timestamp, to: Timestamp) -> Result<Vec<Entry>, Fault> {
    const NUMBERS: &str = "WITH RECURSIVE member (id) AS (SELECT id FROM patient WHERE id = ?1
            UNION SELECT record_id FROM patient_link JOIN member ON to_id = member.id)
        SELECT value FROM patient_number WHERE patient_id IN (SELECT id FROM member)
        UNION SELECT nhs_number FROM patient WHERE id IN (SELECT id FROM member) AND nhs_number IS NOT NULL";
    const BOOKINGS: &str = "SELECT model FROM appointment WHERE ?1 <= start AND start < ?2 ORDER BY seq";
    let booked = conn.all(BOOKINGS, values![from, to], |row| model::<Appointment>(&text(row)?))?;
    let mut entries = Vec::new();
    for appointment in booked {
        let patient = conn.all(NUMBERS, values![&appointment.patient.0], text)?;
        let own = appointment.id.to_string();
        let numbers = appointment.identifiers.into_iter().map(|it| it.value).chain([own]).collect();
        let (start, current) = (appointment.start, appointment.status.is_current());
        entries.push(Entry { numbers, patient, start, current });
    }
    Ok(entries)
}

const COLUMNS: &str = "SELECT model, source, raised_at, decided_at FROM task";

/// Entries of the worklist, oldest first.
pub(in crate::store) fn tasks(conn: &dyn Session, page: &TaskPage) -> Result<Vec<TaskRow>, Fault> {
    let grades = match page.at_least {
        Likeness::Possible => "'possible', 'probable', 'certain'",
        Likeness::Probable => "'probable', 'certain'",
        Likeness::Certain => "'certain'",
    };
    let sql = format!("{COLUMNS} WHERE state = ?1 AND grade IN ({grades}) ORDER BY seq LIMIT ?2");
    conn.all(&sql, values![page.state.as_str(), page.limit], task_row)
}

/// One entry of the worklist.
pub(in crate::store) fn task(conn: &dyn Session, id: Uuid) -> Result<Option<TaskRow>, Fault> {
    conn.one(&format!("{COLUMNS} WHERE id = ?1"), values![&id], task_row)
}

fn task_row(row: &dyn Row) -> Result<TaskRow, Fault> {
    let task = model(&text(row)?)?;
    Ok(TaskRow { task, source: row.get(1)?, raised_at: row.get(2)?, decided_at: row.get(3)? })
}

/// How many entries are open, of each kind and grade.
pub(in crate::store) fn task_counts(conn: &dyn Session) -> Result<Vec<(String, String, u64)>, Fault> {
    const SQL: &str = "SELECT kind, grade, count(*) FROM task WHERE state = 'open' GROUP BY kind, grade";
    conn.all(SQL, &[], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
}
