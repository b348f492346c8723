//! HL7 v2 on its way in. Kept before it is answered, answered the same when it comes again. Which events
//! are taken follows from the table in `pas`; so far none is, so the answer is a truthful AR.

use jiff::Timestamp;
use uuid::Uuid;

use super::Intake;
use crate::hl7v2::ack::{Mode, Problem, Reply, Verdict as Acknowledged};
use crate::hl7v2::header::Header;
use crate::issue::{HL7_EVENT_UNSUPPORTED, HL7_NO_HEADER, Issue};
use crate::store::{Answer, Message, Verdict, Work};

impl Intake {
    /// One message of a channel. `None`: the connection is to be closed without an answer, so that the sender
    /// keeps the message; so it is when it could not be kept here. An empty answer: the sender wants none.
    pub async fn receive_hl7(&self, channel: &str, organisation: &str, body: Vec<u8>) -> Option<Vec<u8>> {
        let (message, acknowledgement) = assess(channel, organisation, body);
        let answer = Answer { status: 0, body: Some(acknowledgement.clone()), letters: Vec::new() };
        match self.store.submit(message, Work::Refuse(answer)).await {
            Ok(Verdict::Repeated { answer } | Verdict::Refused { answer, .. }) => Some(answer.body.unwrap_or_default()),
            Ok(_) => Some(acknowledgement),
            Err(error) => {
                tracing::error!(%error, channel, "a message could not be kept and was not answered");
                None
            }
        }
    }
}

fn assess(channel: &str, organisation: &str, body: Vec<u8>) -> (Message, Vec<u8>) {
    let header = Header::read(&body);
    let readable = !header.raw(9).is_empty();
    let (issue, code) = if readable {
        (Issue::new(&HL7_EVENT_UNSUPPORTED, "MSH-9"), 200)
    } else {
        (Issue::new(&HL7_NO_HEADER, "MSH"), 100)
    };
    let now = Timestamp::now();
    let problem = Problem { code, application_code: issue.code.id, text: issue.code.meaning, ..Problem::default() };
    let id = Uuid::now_v7();
    let control_id = id.simple().to_string();
    let answers = Mode::of(&header).answers(Acknowledged::Rejected);
    let acknowledgement = answers.into_iter().flatten().next().map(|code| {
        let at = now.strftime("%Y%m%d%H%M%S+0000").to_string();
        let reply =
            Reply { code, control_id: &control_id[12..], at: &at, text: "", problems: &[problem], version: "2.4" };
        reply.render(&header)
    });
    let message = Message {
        id,
        received_at: now,
        channel: "mllp",
        caller: channel.to_owned(),
        organisation: organisation.to_owned(),
        kind: header.event(),
        key: readable.then(|| key(channel, &header, &body)),
        correlation: String::new(),
        bundle: String::from_utf8_lossy(header.control_id()).into_owned(),
        issues: vec![issue],
        body,
    };
    (message, acknowledgement.unwrap_or_default())
}

/// The same message again: channel, MSH-3, MSH-4, MSH-10 and the bytes.
fn key(channel: &str, header: &Header<'_>, body: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    let hash = Sha256::new_with_prefix(header.raw(3))
        .chain_update([0])
        .chain_update(header.raw(4))
        .chain_update([0])
        .chain_update(header.control_id())
        .chain_update([0])
        .chain_update(body)
        .finalize();
    format!("hl7:{channel}:{}", hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}
