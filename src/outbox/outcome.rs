//! What became of an attempt, and what follows from it for the letter.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::destination::Destination;
use crate::config::OnRefusal;
use crate::hl7v2::ack::{Code, Received};
use crate::store::{OutboxRow, Settlement};

/// What became of an attempt to deliver a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The other side has it.
    Delivered {
        /// AA or CA.
        code: &'static str,
    },
    /// The other side will never take it as it is: AE or CE.
    Refused { failure: String },
    /// The other side does not take it now: AR or CR, or an answer that nobody understands.
    Deferred { failure: String },
    /// It failed there for now: 408, 425, most of 5xx. `after`: the pause that is asked for.
    Failing { failure: String, after: Option<Duration> },
    /// The other side takes nothing now: 429, 502, 503, 504.
    Busy { failure: String, after: Option<Duration> },
    /// It may have arrived: there was no answer.
    Lost { failure: String },
    /// It cannot have arrived: there was no connection.
    Unreachable { failure: String },
    /// It cannot be sent at all.
    Unsendable { failure: String },
}

impl Outcome {
    /// What came back to the letter of this control id. `None`: it answers something else, such as an earlier attempt at
    /// another letter, and says nothing about this one.
    pub(crate) fn of_answer(answer: &[u8], control_id: &str) -> Option<Self> {
        let received = Received::read(answer).filter(|received| received.answers == control_id.as_bytes())?;
        Some(Self::of(&received))
    }

    /// What an acknowledgement of this letter means. Of its words only codes are kept: peers quote patients.
    fn of(received: &Received) -> Self {
        let code = received.code.map_or("an unknown code", Code::as_str);
        let failure = received.error.map_or_else(|| code.to_owned(), |error| format!("{code} {error}"));
        match received.code {
            Some(code @ (Code::AA | Code::CA)) => Self::Delivered { code: code.as_str() },
            Some(Code::AE | Code::CE) => Self::Refused { failure },
            Some(Code::AR | Code::CR) | None => Self::Deferred { failure },
        }
    }

    /// The other side is there and answers.
    pub(crate) fn is_answered(&self) -> bool {
        self.answer().is_some()
    }

    /// What went wrong.
    pub(crate) fn failure(&self) -> Option<&str> {
        match self {
            Self::Delivered { .. } => None,
            Self::Refused { failure }
            | Self::Deferred { failure }
            | Self::Failing { failure, .. }
            | Self::Busy { failure, .. }
            | Self::Lost { failure }
            | Self::Unreachable { failure }
            | Self::Unsendable { failure } => Some(failure),
        }
    }

    /// What the other side answered, where it did: codes only.
    pub(crate) fn answer(&self) -> Option<&str> {
        match self {
            Self::Delivered { code } => Some(code),
            Self::Refused { failure }
            | Self::Deferred { failure }
            | Self::Failing { failure, .. }
            | Self::Busy { failure, .. } => Some(failure),
            _ => None,
        }
    }

    /// For numbers and logs.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Delivered { .. } => "delivered",
            Self::Refused { .. } => "refused",
            Self::Deferred { .. } => "deferred",
            Self::Failing { .. } => "failing",
            Self::Busy { .. } => "busy",
            Self::Lost { .. } => "lost",
            Self::Unreachable { .. } => "unreachable",
            Self::Unsendable { .. } => "unsendable",
        }
    }

    /// How long nothing at all is to be sent, where the other side said that it takes nothing: at least this.
    pub(crate) fn pause(&self) -> Option<Duration> {
        match self {
            Self::Busy { after, .. } => Some(after.unwrap_or_default()),
            _ => None,
        }
    }

    /// What follows for the letter; `None`: nothing, because nothing was tried.
    pub(crate) fn settlement(
        &self,
        letter: &OutboxRow,
        destination: &Destination,
        now: Timestamp,
        chance: f64,
    ) -> Option<Settlement> {
        let due_after = |asked: Option<Duration>| {
            let pause = destination.backoff.pause(letter.attempts.saturating_add(1), chance);
            let pause = asked.map_or(pause, |asked| pause.max(asked));
            now + SignedDuration::try_from(pause).unwrap_or(SignedDuration::from_hours(1))
        };
        let due_at = || due_after(None);
        Some(match self.clone() {
            Self::Delivered { .. } => Settlement::Delivered,
            Self::Unsendable { failure } => Settlement::Parked { failure },
            Self::Refused { failure } => refused(letter, failure, destination.on_ae, destination, due_at()),
            Self::Lost { failure } => Settlement::Retry { failure, due_at: due_at() },
            Self::Failing { failure, after } | Self::Busy { failure, after } => {
                Settlement::Retry { failure, due_at: due_after(after) }
            }
            Self::Deferred { failure } => refused(letter, failure, destination.on_ar, destination, due_at()),
            Self::Unreachable { .. } => return None,
        })
    }
}

/// What follows from an answer that the letter is not taken.
fn refused(
    letter: &OutboxRow,
    failure: String,
    then: OnRefusal,
    destination: &Destination,
    due_at: Timestamp,
) -> Settlement {
    let max = destination.ar_attempts_max;
    match (then, deferrals(letter, &failure, max)) {
        (OnRefusal::Park, _) => Settlement::Parked { failure },
        (OnRefusal::Skip, _) => Settlement::Superseded { reason: format!("{failure}, skipped as configured") },
        (OnRefusal::Retry, (count, failure)) if max <= count => Settlement::Parked { failure },
        (OnRefusal::Retry, (_, failure)) => Settlement::Retry { failure, due_at },
    }
}

/// How often a letter was put off, this time included. The count is kept in the text of the failure: time-outs in
/// between are no fault of the letter, so [`OutboxRow::attempts`] will not do.
fn deferrals(letter: &OutboxRow, failure: &str, max: u32) -> (u32, String) {
    let held = letter.failure.as_deref().and_then(|text| text.split_once(DEFERRED));
    let before = held.and_then(|(_, rest)| rest.split(' ').next()?.parse::<u32>().ok()).unwrap_or(0);
    let count = before.saturating_add(1);
    (count, format!("{failure}{DEFERRED}{count} of {max}"))
}

const DEFERRED: &str = ", attempt ";

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::outbox::destination::Peer;
    use crate::store::OutboxState;

    pub(in crate::outbox) fn letter(attempts: u32, failure: Option<&str>) -> OutboxRow {
        OutboxRow {
            id: 1,
            message: uuid::Uuid::nil(),
            destination: "pas".to_owned(),
            key: uuid::Uuid::nil(),
            event: "REF^I12".to_owned(),
            control_id: "1".to_owned(),
            state: OutboxState::Queued,
            attempts,
            due_at: Timestamp::UNIX_EPOCH,
            created_at: Timestamp::UNIX_EPOCH,
            settled_at: None,
            failure: failure.map(str::to_owned),
            lease: 0,
        }
    }

    fn settled(code: Option<Code>, letter: &OutboxRow) -> String {
        let received = Received { code, answers: Vec::new(), error: Some(207) };
        let destination = Destination::mllp("pas", Peer::new("localhost", 1));
        let outcome = Outcome::of(&received);
        format!("{:?}", outcome.settlement(letter, &destination, Timestamp::UNIX_EPOCH, 0.0).unwrap())
    }

    #[test]
    fn each_code_has_its_consequence() {
        let fresh = letter(0, None);
        for (code, expected) in [
            (Some(Code::AA), "Delivered"),
            (Some(Code::CA), "Delivered"),
            (Some(Code::AE), "Parked { failure: \"AE 207\" }"),
            (Some(Code::CE), "Parked { failure: \"CE 207\" }"),
            (Some(Code::AR), "Retry { failure: \"AR 207, attempt 1 of 5\", due_at: 1970-01-01T00:00:01Z }"),
            (Some(Code::CR), "Retry { failure: \"CR 207, attempt 1 of 5\", due_at: 1970-01-01T00:00:01Z }"),
            (None, "Retry { failure: \"an unknown code 207, attempt 1 of 5\", due_at: 1970-01-01T00:00:01Z }"),
        ] {
            assert_eq!(settled(code, &fresh), expected);
        }
    }

    #[test]
    fn each_destination_has_its_policy() {
        use OnRefusal::{Park, Retry, Skip};
        let retry = "Retry { failure: \"AE, attempt 1 of 5\", due_at: 1970-01-01T00:00:01Z }";
        for (code, on_ae, on_ar, expected) in [
            (Code::AE, Park, Skip, "Parked { failure: \"AE\" }"),
            (Code::CE, Skip, Park, "Superseded { reason: \"CE, skipped as configured\" }"),
            (Code::AE, Retry, Park, retry),
            (Code::AR, Skip, Park, "Parked { failure: \"AR\" }"),
            (Code::CR, Park, Skip, "Superseded { reason: \"CR, skipped as configured\" }"),
        ] {
            let destination = Destination { on_ae, on_ar, ..Destination::mllp("pas", Peer::new("localhost", 1)) };
            let outcome = Outcome::of(&Received { code: Some(code), answers: Vec::new(), error: None });
            let settled = outcome.settlement(&letter(0, None), &destination, Timestamp::UNIX_EPOCH, 0.0);
            assert_eq!(format!("{:?}", settled.unwrap()), expected);
            let never = Outcome::Unsendable { failure: "x".into() };
            let settled = never.settlement(&letter(0, None), &destination, Timestamp::UNIX_EPOCH, 0.0);
            assert!(matches!(settled, Some(Settlement::Parked { .. })), "what was never sent is looked at");
        }
    }

    #[test]
    fn a_letter_is_put_off_so_often_and_no_more() {
        let put_off = |attempts, failure| settled(Some(Code::AR), &letter(attempts, Some(failure)));
        assert!(put_off(3, "AR, attempt 3 of 5").starts_with("Retry { failure: \"AR 207, attempt 4 of 5\""));
        assert!(put_off(4, "AR, attempt 4 of 5").starts_with("Parked { failure: \"AR 207, attempt 5 of 5\""));
        // An outage before it is no reason to give up.
        assert!(put_off(40, "timeout").starts_with("Retry { failure: \"AR 207, attempt 1 of 5\""));
    }
}
