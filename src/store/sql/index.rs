//! The index of patients: who may be who, links, and the worklist.
//!
//! A look-up reads the few records that share a key with what is said, and no others; so it is cheap enough to be done
//! in the writer's transaction, where nobody comes between looking and deciding.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::column::{json, model};
use super::fault::Fault;
use super::session::{Row, Session, Value, text, values};
use super::state::patient_by_id;
use crate::booking::command::Subject;
use crate::booking::decision::State;
use crate::booking::identifier::{PatientId, ReferralId};
use crate::booking::index::{Alike, IndexNeeds, Likeness, Link, Task, TaskKind, TaskState, task_id};
use crate::booking::patient::Patient;
use crate::reconcile::lookup::{self, Neighbour, Unseen, View};
use crate::reconcile::weight::Weights;
use crate::store::Message;

/// Records of one key that are all looked at. Where there are more, those that share another key too are.
const KEY_MAX: usize = 64;
/// Records of which it is known that they have a key, and so many are looked at for sharing two. More have only what
/// stands for nothing.
const KEY_KNOWN_MAX: usize = 256;
const HOUR_MICROSECONDS: i64 = 3_600_000_000;
/// So many days are looked back for what is usual at this hour.
const USUAL_DAYS: i64 = 28;

/// Everything that the command needs and that is there. What is looked up before says which records it is about.
pub(in crate::store) fn load(
    conn: &dyn Session,
    needs: &IndexNeeds<'_>,
    message: &Message,
    weights: &Weights,
    state: &mut State,
) -> Result<(), Fault> {
    let mut records = needs.records.clone();
    if let Some(task) = needs.task.map(|task| task_find(conn, task)).transpose()?.flatten() {
        records.extend([PatientId(task.pair.0), PatientId(task.pair.1)]);
        state.index.tasks.push(task);
    }
    records.extend(named(state));
    for record in records {
        add_members(conn, record, state)?;
    }
    if let Some(subject) = needs.said {
        let view = View { weights, now: message.received_at, unseen: Unseen::Some };
        add_alike(conn, subject, view, state)?;
        load_rate(conn, subject, message, state)?;
    }
    let certain = state.index.alike.iter().any(|it| it.evidence.likeness == Likeness::Certain);
    if needs.belongings || certain {
        add_belongings(conn, state)?;
    }
    if needs.belongings || !state.index.alike.is_empty() {
        add_tasks(conn, state)?;
    }
    add_homes(conn, state)
}

/// The records that were found by number or by name.
fn named(state: &State) -> Vec<PatientId> {
    let referral = state.referral.iter().map(|(_, patient)| patient);
    let appointment = state.appointment.iter().map(|(_, _, patient)| patient);
    let numbers = state.feed.numbers.iter().map(|(_, patient, _)| patient);
    let booked = state.feed.bookings.iter().map(|held| &held.patient);
    let referred = state.feed.referrals.iter().map(|(_, patient, _)| patient);
    let all = state.patient.iter().chain(referral).chain(appointment).chain(numbers).chain(booked).chain(referred);
    all.map(|patient| patient.id).collect()
}

/// A record and all that are linked to it, by however many steps.
pub(in crate::store) fn members(conn: &dyn Session, record: PatientId) -> Result<Vec<Patient>, Fault> {
    const ALL: &str = "WITH RECURSIVE
        leader (id) AS (SELECT id FROM patient WHERE id = ?1 UNION SELECT to_id FROM patient_link JOIN leader ON record_id = leader.id),
        member (id) AS (SELECT id FROM leader UNION SELECT record_id FROM patient_link JOIN member ON to_id = member.id)
        SELECT model FROM patient WHERE id IN (SELECT id FROM member) ORDER BY seq";
    if !is_linked(conn, record)? {
        return Ok(patient_by_id(conn, record)?.into_iter().collect());
    }
    conn.all(ALL, values![&record.0], |row| model(&text(row)?))
}

fn is_linked(conn: &dyn Session, record: PatientId) -> Result<bool, Fault> {
    const LINKED: &str = "SELECT 1 FROM patient_link WHERE record_id = ?1 OR to_id = ?1";
    conn.exists(LINKED, values![&record.0])
}

fn add_members(conn: &dyn Session, record: PatientId, state: &mut State) -> Result<(), Fault> {
    if state.index.record(record).is_none() {
        let found = members(conn, record)?;
        state.index.members.extend(found);
    }
    Ok(())
}

/// Records that may be the same person's as somebody of whom this is said. None is looked for where it says nothing
/// that was not known of the record.
fn add_alike(conn: &dyn Session, subject: &Subject, view: View<'_>, state: &mut State) -> Result<(), Fault> {
    let keys = lookup::keys_of(subject.nhs_number, &subject.demographics);
    let own: Vec<PatientId> = own_records(state);
    for record in &own {
        let held = conn.one("SELECT keys FROM patient WHERE id = ?1", values![&record.0], |row| row.get(0))?;
        let held = unpacked(held.flatten());
        if keys.iter().all(|key| held.contains(key)) {
            return Ok(());
        }
    }
    let is_new = own.is_empty() && subject.nhs_number.is_none();
    let view = View { unseen: if is_new { Unseen::Asked } else { Unseen::Some }, ..view };
    state.index.alike = neighbours(conn, subject, &keys, view, state)?;
    Ok(())
}

/// Records that may be the same person's, by the keys of what is said of it. Those that were looked at, and all that are
/// linked to them, are among the members of the state afterwards. `view.unseen`: what to make of it if there are more.
pub(in crate::store) fn neighbours(
    conn: &dyn Session,
    subject: &Subject,
    keys: &[u64],
    view: View<'_>,
    state: &mut State,
) -> Result<Vec<Alike>, Fault> {
    let mut near = Near::default();
    near.look(conn, keys)?;
    let first = near.found.len();
    let judged = judge(conn, subject, &near, view, state)?;
    // Whoever is certain must not be taken for certain where somebody else is as much alike to them.
    let certain: Vec<usize> = (0..first).filter(|at| judged[*at].as_ref().is_some_and(is_certain)).collect();
    for at in certain {
        let record = &near.found[at].record;
        let keys = lookup::keys_of(record.nhs_number, &record.demographics);
        near.look(conn, &keys)?;
    }
    let again = first < near.found.len() || near.unseen;
    let judged = if again { judge(conn, subject, &near, view, state)? } else { judged };
    Ok(judged.into_iter().take(first).flatten().collect())
}

fn is_certain(alike: &Alike) -> bool {
    alike.evidence.likeness == Likeness::Certain
}

/// The records that the subject is known to be: found by its numbers.
fn own_records(state: &State) -> Vec<PatientId> {
    let numbers = state.feed.numbers.iter().map(|(_, patient, _)| patient.id);
    state.patient.iter().map(|patient| patient.id).chain(numbers).collect()
}

/// A record that shares a key, and whether it is linked to another one.
struct Keyed {
    record: Patient,
    linked: bool,
}

/// The records around somebody: each is read once, by however many keys it is found.
#[derive(Default)]
struct Near {
    keys: HashSet<u64>,
    places: HashSet<i64>,
    found: Vec<Keyed>,
    /// Somebody who could matter was not looked at.
    unseen: bool,
}

impl Near {
    /// Adds the records that have one of the keys and are in use or linked.
    fn look(&mut self, conn: &dyn Session, keys: &[u64]) -> Result<(), Fault> {
        const OF: &str = "SELECT patient FROM patient_key WHERE key = ?1 ORDER BY patient LIMIT ?2";
        let fresh = keys.iter().filter(|key| self.keys.insert(**key));
        let sets: Vec<[Value<'_>; 2]> = fresh.map(|key| [(*key as i64).into(), KEY_KNOWN_MAX.into()]).collect();
        let mut sharers: Vec<Vec<i64>> = vec![Vec::new(); sets.len()];
        conn.each_of(OF, &slices(&sets), &mut |at, row| {
            sharers[at].push(row.get(0)?);
            Ok(())
        })?;
        let chosen = chosen(&sharers);
        if chosen.missed && !self.unseen {
            tracing::warn!("too many records share the keys of one in the index of patients to look at all of them");
        }
        self.unseen |= chosen.missed;
        let fresh = chosen.places.into_iter().filter(|place| self.places.insert(*place));
        let places: Vec<[Value<'_>; 1]> = fresh.map(|place| [Value::Int(place)]).collect();
        self.read(conn, &places)
    }

    fn read(&mut self, conn: &dyn Session, places: &[[Value<'_>; 1]]) -> Result<(), Fault> {
        const AT: &str =
            "SELECT model, EXISTS (SELECT 1 FROM patient_link WHERE record_id = patient.id OR to_id = patient.id)
            FROM patient WHERE seq = ?1";
        conn.each_of(AT, &slices(places), &mut |_, row| {
            let found = Keyed { record: model(&row.get::<String>(0)?)?, linked: row.get(1)? };
            if found.record.replaced_by != Some(found.record.id) {
                self.found.push(found);
            }
            Ok(())
        })
    }
}

fn slices<'s, 'v, const N: usize>(sets: &'s [[Value<'v>; N]]) -> Vec<&'s [Value<'v>]> {
    sets.iter().map(<[_; N]>::as_slice).collect()
}

/// Records that are worth a look.
struct Chosen {
    places: Vec<i64>,
    /// Others may be worth one too.
    missed: bool,
}

/// Of keys that few share, all records. Of those that many do, the records that share others too, those with the most
/// first: nobody is certain by one key alone. A key that hundreds have hides somebody.
fn chosen(sharers: &[Vec<i64>]) -> Chosen {
    let (few, many): (Vec<_>, Vec<_>) = sharers.iter().partition(|places| places.len() <= KEY_MAX);
    let mut chosen = Chosen { places: few.iter().copied().flatten().copied().collect(), missed: false };
    if many.is_empty() {
        return chosen;
    }
    let mut shares: HashMap<i64, usize> = HashMap::new();
    sharers.iter().flatten().for_each(|place| *shares.entry(*place).or_default() += 1);
    let mut others: Vec<i64> = many.iter().copied().flatten().copied().filter(|place| 1 < shares[place]).collect();
    others.sort_by_key(|place| (std::cmp::Reverse(shares[place]), *place));
    others.dedup();
    chosen.missed = KEY_KNOWN_MAX < others.len() || many.iter().any(|places| places.len() == KEY_KNOWN_MAX);
    others.truncate(KEY_KNOWN_MAX);
    // At least some of those that share nothing else, as before: a person may want to see them.
    chosen.places.extend(others);
    chosen.places.extend(many.iter().flat_map(|places| places.iter().take(KEY_MAX)));
    chosen
}

type Judged = Vec<Option<Alike>>;

fn judge(
    conn: &dyn Session,
    subject: &Subject,
    near: &Near,
    view: View<'_>,
    state: &mut State,
) -> Result<Judged, Fault> {
    let found = &near.found;
    for Keyed { record, linked, .. } in found {
        if state.index.record(record.id).is_some() {
            continue;
        }
        match linked {
            true => state.index.members.extend(members(conn, record.id)?),
            false => state.index.members.push(record.clone()),
        }
    }
    let neighbours: Vec<Neighbour<'_>> = found
        .iter()
        .map(|Keyed { record, .. }| Neighbour { record, person: state.index.person_of(record).id })
        .collect();
    // Others of the same people, who share no key: none of them may be known to be somebody else.
    let known = |id: PatientId| found.iter().any(|it| it.record.id == id);
    let people: Vec<PatientId> = neighbours.iter().map(|it| it.person).collect();
    let others = state.index.members.iter().filter(|it| !known(it.id));
    let others = others
        .map(|record| Neighbour { record, person: state.index.person_of(record).id })
        .filter(|it| people.contains(&it.person));
    let all: Vec<Neighbour<'_>> = neighbours.iter().copied().chain(others).collect();
    let view = View { unseen: if near.unseen { view.unseen } else { Unseen::Nobody }, ..view };
    let mut judged = lookup::alike(subject.nhs_number, &subject.demographics, &all, &view);
    judged.truncate(found.len());
    Ok(judged)
}

/// What hangs on the people that were looked up.
fn add_belongings(conn: &dyn Session, state: &mut State) -> Result<(), Fault> {
    for person in people(state) {
        const REFERRALS: &str = "SELECT model FROM referral WHERE patient_id = ?1 ORDER BY id";
        const APPOINTMENTS: &str = "SELECT model FROM appointment WHERE patient_id = ?1 ORDER BY seq";
        let belongings = &mut state.index.belongings;
        belongings.0.extend(conn.all(REFERRALS, values![&person.0], |row| model(&text(row)?))?);
        belongings.1.extend(conn.all(APPOINTMENTS, values![&person.0], |row| model(&text(row)?))?);
    }
    Ok(())
}

fn people(state: &State) -> Vec<PatientId> {
    let mut people: Vec<PatientId> =
        state.index.members.iter().map(|record| state.index.person_of(record).id).collect();
    people.sort();
    people.dedup();
    people
}

/// Referrals that came with another record than the one that they hang on. Only linked records have such.
fn add_homes(conn: &dyn Session, state: &mut State) -> Result<(), Fault> {
    let followers = state.index.members.iter().filter(|it| it.replaced_by.is_some_and(|leader| leader != it.id));
    let mut linked: Vec<PatientId> = followers.map(|it| state.index.person_of(it).id).collect();
    linked.sort();
    linked.dedup();
    for person in linked {
        const HOMES: &str = "SELECT id, record_id FROM referral WHERE patient_id = ?1 AND record_id IS NOT NULL";
        let read = |row: &dyn Row| Ok((ReferralId(row.get(0)?), PatientId(row.get(1)?)));
        state.index.homes.extend(conn.all(HOMES, values![&person.0], read)?);
    }
    Ok(())
}

/// What was asked or decided about two of the records that were looked up.
fn add_tasks(conn: &dyn Session, state: &mut State) -> Result<(), Fault> {
    let alike = state.index.alike.iter().map(|it| it.record.id);
    let ids: HashSet<Uuid> = state.index.members.iter().map(|it| it.id).chain(alike).map(|id| id.0).collect();
    state.index.tasks.extend(tasks_among(conn, &ids)?);
    state.index.tasks.sort_by_key(|task| task.id);
    state.index.tasks.dedup_by_key(|task| task.id);
    Ok(())
}

/// Entries of the worklist about two of these. They are looked for from the second of the two, which is the newer one
/// where ids follow time: what comes asks about a few that are there, while one that is there may be asked about often.
pub(in crate::store) fn tasks_among(conn: &dyn Session, ids: &HashSet<Uuid>) -> Result<Vec<Task>, Fault> {
    const OF: &str = "SELECT a, model FROM task WHERE b = ?1";
    let mut found = Vec::new();
    let sets: Vec<[Value<'_>; 1]> = ids.iter().map(|id| [id.into()]).collect();
    conn.each_of(OF, &slices(&sets), &mut |_, row| {
        if ids.contains(&row.get(0)?) {
            found.push(model(&row.get::<String>(1)?)?);
        }
        Ok(())
    })?;
    Ok(found)
}

/// How many records of unproven people the source makes, and whether it is held for that.
fn load_rate(conn: &dyn Session, subject: &Subject, message: &Message, state: &mut State) -> Result<(), Fault> {
    if state.rules.unproven_per_hour == 0 || subject.nhs_number.is_some() {
        return Ok(());
    }
    const NOW: &str = "SELECT n FROM create_rate WHERE source = ?1 AND hour = ?2";
    const USUAL: &str = "SELECT CAST(coalesce(sum(n), 0) AS BIGINT) FROM create_rate
        WHERE source = ?1 AND ?2 - 24 * ?3 <= hour AND hour < ?2 AND (?2 - hour) % 24 = 0";
    let hour = hour_of(message);
    let count = |row: &dyn Row| row.get::<u32>(0);
    let now = conn.one(NOW, values![&message.caller, hour], count)?.unwrap_or_default();
    let usual = conn.one(USUAL, values![&message.caller, hour, USUAL_DAYS], count)?.unwrap_or_default();
    state.index.created = (now, usual.div_ceil(USUAL_DAYS as u32));
    state.index.rate_id = rate_id(&message.caller);
    let task = task_id(TaskKind::CreateRate, Uuid::nil(), state.index.rate_id);
    state.index.tasks.extend(task_find(conn, task)?);
    Ok(())
}

fn hour_of(message: &Message) -> i64 {
    message.received_at.as_microsecond().div_euclid(HOUR_MICROSECONDS)
}

/// Stands for a source.
fn rate_id(source: &str) -> Uuid {
    const NAMESPACE: Uuid = Uuid::from_u128(0x6f6e_7761_7264_4000_8000_7261_7465_0001);
    Uuid::new_v5(&NAMESPACE, source.as_bytes())
}

/// One more record of an unproven person.
pub(in crate::store) fn created_write(conn: &dyn Session, message: &Message) -> Result<(), Fault> {
    conn.write(
        "INSERT INTO create_rate (source, hour, n) VALUES (?1, ?2, 1) ON CONFLICT (source, hour)
         DO UPDATE SET n = create_rate.n + 1",
        values!(&message.caller, hour_of(message)),
    )
}

/// The record follows another one, or no longer. What hangs on it remembers the record that it came with, until it
/// hangs on that one again.
pub(in crate::store) fn link_write(conn: &dyn Session, message: &Message, link: &Link) -> Result<(), Fault> {
    let record = &link.record.0;
    if link.linked {
        conn.write(
            "UPDATE referral SET record_id = patient_id WHERE patient_id = ?1 AND record_id IS NULL",
            values![record],
        )?;
        conn.write("INSERT INTO patient_link (record_id, to_id, model, linked_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (record_id) DO UPDATE SET to_id = excluded.to_id, model = excluded.model, linked_at = excluded.linked_at", values!(record, &link.to.0, &json(link)?, message.received_at))?;
    } else {
        conn.write(
            "UPDATE referral SET record_id = NULL WHERE patient_id = ?1 AND record_id = patient_id",
            values![record],
        )?;
        conn.write("DELETE FROM patient_link WHERE record_id = ?1", values![record])?;
    }
    conn.write(
        "INSERT INTO patient_event (message_id, record_id, at, model) VALUES (?1, ?2, ?3, ?4)",
        values!(&message.id, record, message.received_at, &json(link)?),
    )
}

/// The record that a referral came with.
pub(in crate::store) fn home_write(conn: &dyn Session, referral: ReferralId, record: PatientId) -> Result<(), Fault> {
    conn.write("UPDATE referral SET record_id = nullif(?2, patient_id) WHERE id = ?1", values!(&referral.0, &record.0))
}

/// An entry of the worklist, as it stands now.
pub(in crate::store) fn task_write(conn: &dyn Session, message: &Message, task: &Task) -> Result<(), Fault> {
    if task.kind == TaskKind::CreateRate && task.state == TaskState::Open {
        tracing::error!(source = %message.caller, "a source makes too many records of unproven people: they are held");
    }
    conn.write(
        "INSERT INTO task (id, kind, a, b, source, grade, state, raised_at, raised_by, decided_at, model)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT (id) DO UPDATE SET grade = excluded.grade, state = excluded.state,
             decided_at = excluded.decided_at, model = excluded.model",
        values!(
            &task.id,
            task.kind.as_str(),
            &task.pair.0,
            &task.pair.1,
            &message.caller,
            task.evidence.likeness.as_str(),
            task.state.as_str(),
            message.received_at,
            &message.id,
            (task.state != TaskState::Open).then_some(message.received_at),
            &json(task)?,
        ),
    )
}

/// An entry of the worklist.
pub(in crate::store) fn task_find(conn: &dyn Session, id: Uuid) -> Result<Option<Task>, Fault> {
    let found = conn.one("SELECT model FROM task WHERE id = ?1", values![&id], text)?;
    found.map(|task| model(&task)).transpose()
}

/// What the record is found by from now on. `before`: what it was found by, in one piece.
pub(in crate::store) fn keys_write(
    conn: &dyn Session,
    seq: i64,
    before: Option<Vec<u8>>,
    patient: &Patient,
) -> Result<(), Fault> {
    let keys = lookup::keys_of(patient.nhs_number, &patient.demographics);
    let packed: Vec<u8> = keys.iter().flat_map(|key| key.to_le_bytes()).collect();
    if before.as_deref().unwrap_or_default() == packed {
        return Ok(());
    }
    let before = unpacked(before);
    const REMOVE: &str = "DELETE FROM patient_key WHERE key = ?1 AND patient = ?2";
    const ADD: &str = "INSERT INTO patient_key (key, patient) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    for key in before.iter().filter(|key| !keys.contains(key)) {
        conn.write(REMOVE, values![*key as i64, seq])?;
    }
    for key in keys.iter().filter(|key| !before.contains(key)) {
        conn.write(ADD, values![*key as i64, seq])?;
    }
    conn.write("UPDATE patient SET keys = ?2 WHERE seq = ?1", values!(seq, &packed))
}

fn unpacked(keys: Option<Vec<u8>>) -> Vec<u64> {
    let keys = keys.unwrap_or_default();
    keys.chunks_exact(8).map(|key| key.try_into().map_or(0, u64::from_le_bytes)).collect()
}

/// Keys of all records, for a file that had none.
pub(in crate::store) fn key_all(conn: &dyn Session) -> Result<(), Fault> {
    let mut from = 0_i64;
    loop {
        const LIST: &str = "SELECT seq, model FROM patient WHERE ?1 < seq ORDER BY seq LIMIT 1000";
        let rows: Vec<(i64, String)> = conn.all(LIST, values![from], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        from = *last;
        for (seq, patient) in &rows {
            keys_write(conn, *seq, None, &model(patient)?)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_who_share_a_key_those_are_looked_at_who_share_another_one() {
        let many: Vec<i64> = (0..200).collect();
        let found = chosen(&[vec![500], many.clone(), vec![150, 199]]);
        assert!(!found.missed && [500, 150, 199].iter().all(|place| found.places.contains(place)));
        // Many keys of the same hundreds: all of them, and if not all of them it is said.
        let found = chosen(&[many.clone(), many.clone()]);
        assert!(!found.missed && many.iter().all(|place| found.places.contains(place)));
        let hundreds: Vec<i64> = (0..KEY_KNOWN_MAX as i64).collect();
        let found = chosen(&[hundreds, vec![7]]);
        assert!(found.missed && found.places.contains(&7) && found.places.len() < 3 * KEY_MAX);
    }
}
