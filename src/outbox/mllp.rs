//! Delivery over MLLP: one connection, one message in flight, answered before the next.
//!
//! An answer counts only if its MSA-2 is the MSH-10 that was sent: a late answer to an earlier message must never
//! settle a later one. After a time-out the connection is closed for the same reason.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_util::codec::FramedRead;
use tracing::debug;

use super::connect::{Transport, connect, text};
use super::destination::Peer;
use super::outcome::Outcome;
use crate::hl7v2::ack::{Mode, Received, Verdict};
use crate::hl7v2::frame::{FrameError, Mllp, wrap};
use crate::hl7v2::header::Header;

/// A connection that is opened when it is needed and kept while it works.
#[derive(Default)]
pub(super) struct Line {
    open: Option<FramedRead<Box<dyn Transport>, Mllp>>,
}

impl Line {
    /// Sends a message and waits for its answer.
    pub(super) async fn deliver(&mut self, peer: &Peer, control_id: &str, message: &[u8]) -> Outcome {
        let frame = match wrap(message) {
            Ok(frame) => frame,
            Err(error) => return Outcome::Unsendable { failure: error.to_string() },
        };
        let mut line = match self.take(peer).await {
            Ok(line) => line,
            Err(failure) => return Outcome::Unreachable { failure },
        };
        match timeout(peer.ack_timeout, exchange(&mut line, control_id, &frame)).await {
            Ok(Ok(outcome)) => {
                self.open = Some(line);
                outcome
            }
            Ok(Err(failure)) => Outcome::Lost { failure },
            Err(_) => Outcome::Lost { failure: "timeout".to_owned() },
        }
    }

    /// The open connection if its peer is still there, or else a new one.
    async fn take(&mut self, peer: &Peer) -> Result<FramedRead<Box<dyn Transport>, Mllp>, String> {
        if let Some(mut line) = self.open.take()
            && is_alive(&mut line)
        {
            return Ok(line);
        }
        let transport = connect(peer).await?;
        Ok(FramedRead::new(transport, Mllp::default()))
    }
}

/// A peer that hung up looks writable: what is written to it is lost without an error. So whatever arrived
/// meanwhile is read first. An answer among it comes too late.
fn is_alive(line: &mut FramedRead<Box<dyn Transport>, Mllp>) -> bool {
    loop {
        match line.next().now_or_never() {
            None => return true,
            Some(Some(Ok(_))) => debug!("An answer came too late and was ignored"),
            Some(Some(Err(_)) | None) => return false,
        }
    }
}

/// A connection for whoever tries a peer out: one message after the other, each answered before the next.
pub struct Conversation {
    line: FramedRead<Box<dyn Transport>, Mllp>,
    ack_timeout: Duration,
}

impl Conversation {
    /// Connects, or says why there is no connection.
    pub async fn open(peer: &Peer) -> Result<Self, String> {
        let transport = connect(peer).await?;
        Ok(Self { line: FramedRead::new(transport, Mllp::default()), ack_timeout: peer.ack_timeout })
    }

    /// Sends a message and waits for the answer to exactly its control id, or both if it asks for two. `each` is given
    /// every answer that comes. After an error the connection is of no more use.
    pub async fn say(&mut self, message: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), String> {
        let frame = wrap(message).map_err(|error| error.to_string())?;
        let stream = self.line.get_mut();
        stream.write_all(&frame).await.map_err(|error| text(&error))?;
        stream.flush().await.map_err(|error| text(&error))?;
        let wanted = Header::read(message);
        let expected = Mode::of(&wanted).answers(Verdict::Accepted).into_iter().flatten().count();
        let mut answered = 0;
        while answered < expected {
            let answer = timeout(self.ack_timeout, self.line.next()).await.map_err(|_| "timeout".to_owned())?;
            let answer = answer.ok_or("the connection was closed before an answer")?.map_err(|it| it.to_string())?;
            each(&answer);
            let received = Received::read(&answer).filter(|it| it.answers == wanted.control_id());
            let Some(received) = received else { continue };
            // What is not accepted may have no second answer.
            answered = if received.code.is_some_and(|code| code.is_success()) { answered + 1 } else { expected };
        }
        Ok(())
    }
}

/// Sends messages one after the other on one connection. `each` is given every answer that comes, with the number of the
/// message.
pub async fn send_all(peer: &Peer, messages: &[Vec<u8>], mut each: impl FnMut(usize, &[u8])) -> Result<(), String> {
    let mut conversation = Conversation::open(peer).await?;
    for (number, message) in messages.iter().enumerate() {
        conversation.say(message, |answer| each(number, answer)).await?;
    }
    Ok(())
}

async fn exchange(
    line: &mut FramedRead<Box<dyn Transport>, Mllp>,
    control_id: &str,
    frame: &[u8],
) -> Result<Outcome, String> {
    let stream = line.get_mut();
    stream.write_all(frame).await.map_err(|error| text(&error))?;
    stream.flush().await.map_err(|error| text(&error))?;
    loop {
        match line.next().await {
            None => return Err("the connection was closed before an answer".to_owned()),
            Some(Err(FrameError::Io(error))) => return Err(text(&error)),
            Some(Err(error)) => return Err(error.to_string()),
            Some(Ok(answer)) => match Outcome::of_answer(&answer, control_id) {
                Some(outcome) => return Ok(outcome),
                None => debug!("An answer to something else was ignored"),
            },
        }
    }
}
