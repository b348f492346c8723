//! The other side: a hospital's system that keeps what it is told, knows a repeat by its control id, and answers when
//! and how it likes.

use std::collections::BTreeMap;

use super::chance::Chance;
use crate::hl7v2::ack::{Code, Reply};
use crate::hl7v2::header::Header;

/// What it knows of a message.
struct Known {
    body: Vec<u8>,
    code: Code,
}

/// See the module.
#[derive(Default)]
pub(super) struct Hospital {
    pub(super) is_down: bool,
    known: BTreeMap<String, Known>,
    /// What came again.
    pub(super) repeats: u64,
}

/// What it does about a message that has come.
pub(super) enum Reaction {
    /// Says it so often, after so many microseconds.
    Answers { frames: Vec<Vec<u8>>, delay: u64 },
    /// Cuts the connection.
    HangsUp,
}

/// Was it new?
pub(super) enum Came {
    New(String),
    Again,
}

impl Hospital {
    /// Takes a message. A repeat has the same bytes, or something is wrong.
    pub(super) fn take(&mut self, body: &[u8], chance: &mut Chance, is_calm: bool) -> Result<Came, String> {
        let control_id = String::from_utf8_lossy(Header::read(body).control_id()).into_owned();
        if let Some(known) = self.known.get(&control_id) {
            self.repeats += 1;
            let same = known.body == body;
            return if same { Ok(Came::Again) } else { Err(format!("{control_id} came again with other bytes")) };
        }
        let code = match chance.below(64) {
            _ if is_calm => Code::AA,
            0 => Code::AE,
            1 | 2 => Code::AR,
            _ => Code::AA,
        };
        // What it puts off it does not keep.
        if code != Code::AR {
            self.known.insert(control_id.clone(), Known { body: body.to_vec(), code });
        }
        Ok(Came::New(control_id))
    }

    /// Has it taken this one over?
    pub(super) fn has(&self, control_id: &str) -> bool {
        self.known.get(control_id).is_some_and(|known| known.code == Code::AA)
    }

    /// Everything that it has taken over.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        self.known.iter().filter(|(_, known)| known.code == Code::AA).map(|(control_id, _)| control_id.as_str())
    }

    /// What it says to a message that it took.
    pub(super) fn react(&self, body: &[u8], chance: &mut Chance, is_calm: bool) -> Reaction {
        let header = Header::read(body);
        let control_id = String::from_utf8_lossy(header.control_id());
        let code = self.known.get(&*control_id).map_or(Code::AR, |known| known.code);
        let own = acknowledge(body, code);
        let soon = 100 + chance.below(200_000);
        if is_calm {
            return Reaction::Answers { frames: vec![own], delay: soon };
        }
        match chance.below(24) {
            0 => Reaction::HangsUp,
            1 | 8 => Reaction::Answers { frames: Vec::new(), delay: soon },
            2 | 9 | 10 => Reaction::Answers { frames: vec![own], delay: 20_000_000 + chance.below(40_000_000) },
            3..=5 => Reaction::Answers { frames: vec![own.clone(), own], delay: soon },
            6 => {
                let other = b"MSH|^~\\&|||||||REF^I12|SOMEBODY-ELSE|P|2.4\r";
                Reaction::Answers { frames: vec![acknowledge(other, Code::AA), own], delay: soon }
            }
            7 => Reaction::Answers { frames: vec![b"What?".to_vec(), own], delay: soon },
            _ => Reaction::Answers { frames: vec![own], delay: soon },
        }
    }
}

fn acknowledge(message: &[u8], code: Code) -> Vec<u8> {
    let reply = Reply { code, control_id: "SIM", at: "20261102", text: "", problems: &[], version: "2.4" };
    reply.render(&Header::read(message))
}
