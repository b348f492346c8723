//! A hospital's admissions over MLLP: each is kept by the gateway before it is acknowledged.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::people::Person;
use super::report::Outcome;
use crate::hl7v2::ack::{Code, Received};
use crate::outbox::destination::Peer;
use crate::outbox::mllp::Conversation;

/// The hospital, and its connections to the gateway. There are as many as admissions were ever under way at once.
pub struct Feed {
    peer: Peer,
    sender: Sender,
    idle: Mutex<Vec<Conversation>>,
}

/// Who a message is from: MSH-3 and MSH-4, which is also who gave the local number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Sending application.
    pub application: String,
    /// Sending facility.
    pub facility: String,
}

impl Feed {
    /// Nothing is connected before the first message.
    pub fn new(peer: Peer, sender: Sender) -> Self {
        Self { peer, sender, idle: Mutex::default() }
    }

    /// Connects, so that handshakes are not part of what is measured.
    pub(super) async fn warm_up(&self, connections: usize) -> Result<(), String> {
        for _ in 0..connections {
            let conversation = Conversation::open(&self.peer).await?;
            self.put(conversation);
        }
        Ok(())
    }

    /// Sends the admission of somebody, on a connection of its own. One on which something went wrong is not used again.
    pub(super) async fn admit(&self, person: &Person) -> Outcome {
        let message = self.sender.admission(person, Timestamp::now());
        match self.exchange(&message).await {
            Ok(Some(code)) if code.is_success() => Outcome::Good,
            Ok(code) => Outcome::Error(code.map_or("no code", Code::as_str).to_owned()),
            Err(failure) => Outcome::Error(failure),
        }
    }

    async fn exchange(&self, message: &[u8]) -> Result<Option<Code>, String> {
        let mut conversation = match self.take() {
            Some(conversation) => conversation,
            None => Conversation::open(&self.peer).await?,
        };
        let mut code = None;
        conversation.say(message, |answer| code = Received::read(answer).and_then(|it| it.code)).await?;
        self.put(conversation);
        Ok(code)
    }

    fn take(&self) -> Option<Conversation> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn put(&self, conversation: Conversation) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conversation);
    }
}

impl Sender {
    /// ADT^A31 of about 0.9 kB: a patient's details, with the proven NHS number and the hospital's own.
    fn admission(&self, person: &Person, now: Timestamp) -> Vec<u8> {
        let Self { application, facility } = self;
        let Person { nhs_number, family, given, title, line, town, postcode, phone, .. } = person;
        let time = now.to_zoned(TimeZone::UTC).strftime("%Y%m%d%H%M%S+0000");
        let born = person.birth_date.strftime("%Y%m%d");
        let gender = if person.gender == "male" { 1 } else { 2 };
        let local = nhs_number.as_str();
        format!(
            "MSH|^~\\&|{application}|{facility}|ONWARD|ONWARD|{time}||ADT^A31^ADT_A05|L{local}-{stamp}|P|2.4|||AL|NE|GBR|UNICODE UTF-8\r\
             EVN||{time}||200|U1^CLERK^A\r\
             PID|1||{local}^^^NHS^NH~L{local}^^^{facility}^MR||{family}^{given}^MIDDLE^^{title}^^L||{born}|{gender}|||\
             {line}^^{town}^^{postcode}^GBR^H||{phone}^PRN^PH~^NET^Internet^l{local}@example.org|01700000002^WPN^PH|EN|M\
             ||||||A||||||||||NSTS01\r\
             PD1|||GREEN SURGERY^^F81071|G8333795^SINGH^SK^^^DR^^^GMP\r\
             NK1|1|{family}^SOMEBODY^^^MRS|2|{line}^^{town}^^{postcode}^GBR|{phone}^PRN^PH\r\
             PV1|1|O|ORTHO1^Fracture clinic^^{facility}||||C3430343^GREWAL^R^^^MS||C3430343^GREWAL^R^^^MS|110\r",
            stamp = now.as_millisecond() % 1_000_000_000,
        )
        .into_bytes()
    }
}
