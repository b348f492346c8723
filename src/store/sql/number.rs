//! NHS numbers that are nobody's any more: replaced by another one, or declared invalid. Whoever says one means the person
//! of the newer one, or proves nothing by it.

use std::borrow::Cow;

use super::fault::Fault;
use super::session::{Session, text, values};
use crate::booking::command::{Command, Subject};
use crate::booking::nhs_number::NhsNumber;
use crate::store::Message;

/// Longest chain of numbers that replaced each other.
const STEPS_MAX: usize = 16;

/// The number is nobody's any more.
pub(in crate::store) fn retired_write(
    conn: &dyn Session,
    message: &Message,
    number: NhsNumber,
    newer: Option<NhsNumber>,
) -> Result<(), Fault> {
    // By the newest word the newer one is in use, whatever was said of it before. So no chain is a circle.
    let newer = newer.as_ref().map(NhsNumber::as_str);
    conn.execute("DELETE FROM nhs_number_retired WHERE number = ?1", values![newer])?;
    conn.write(
        "INSERT INTO nhs_number_retired (number, newer, message_id, at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (number)
         DO UPDATE SET newer = excluded.newer, message_id = excluded.message_id, at = excluded.at",
        values!(number.as_str(), newer, &message.id, message.received_at),
    )
}

/// The number that stands for this one now: itself, a newer one, or none.
pub(in crate::store) fn current(conn: &dyn Session, number: NhsNumber) -> Result<Option<NhsNumber>, Fault> {
    const NEWER: &str = "SELECT coalesce(newer, '') FROM nhs_number_retired WHERE number = ?1";
    let mut number = number;
    for _ in 0..STEPS_MAX {
        match conn.one(NEWER, values![number.as_str()], text)? {
            None => return Ok(Some(number)),
            Some(newer) if newer.is_empty() => return Ok(None),
            Some(newer) => number = NhsNumber::parse(&newer).map_err(|_| Fault::Broken("a number is none"))?,
        }
    }
    Err(Fault::Broken("NHS numbers replace each other in a circle"))
}

/// The command as it is meant now.
pub(in crate::store) fn with_current<'c>(conn: &dyn Session, command: &'c Command) -> Result<Cow<'c, Command>, Fault> {
    let Some(said) = command.subject().and_then(|it| it.nhs_number) else { return Ok(Cow::Borrowed(command)) };
    let now = current(conn, said)?;
    if now == Some(said) {
        return Ok(Cow::Borrowed(command));
    }
    let mut command = command.clone();
    command.subject_mut().into_iter().for_each(|subject| renumber(subject, said, now));
    Ok(Cow::Owned(command))
}

/// The subject as it is meant now.
pub(in crate::store) fn subject_with_current<'s>(
    conn: &dyn Session,
    subject: &'s Subject,
) -> Result<Cow<'s, Subject>, Fault> {
    let Some(said) = subject.nhs_number else { return Ok(Cow::Borrowed(subject)) };
    let now = current(conn, said)?;
    if now == Some(said) {
        return Ok(Cow::Borrowed(subject));
    }
    let mut subject = subject.clone();
    renumber(&mut subject, said, now);
    Ok(Cow::Owned(subject))
}

fn renumber(subject: &mut Subject, said: NhsNumber, now: Option<NhsNumber>) {
    subject.nhs_number = now;
    subject.demographics.renumber(said, now);
}
