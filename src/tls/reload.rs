//! Taking up new files without losing a connection.
//!
//! The listener's `ServerConfig` is fixed when it is bound, so what can change sits inside it (`swap`). A change is
//! built aside and checked like at start; only then is it put in place, and new handshakes use it while established
//! connections go on. What is refused is said once, and the old files' content stays in use.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::finding::{Finding, has_errors};
use super::inspect::Source;

/// Something built from files that may change.
pub trait Reload: Send + Sync {
    /// Looks at the files once, and takes up what is new and good.
    fn poll(&self, now: Timestamp);
}

/// What is in use since when, and what was refused.
#[derive(Clone, Debug, Default, Serialize)]
pub struct State {
    /// How often new files were taken up.
    pub reloads: u64,
    /// When the files in use were taken up; none: at start.
    pub reloaded_at: Option<Timestamp>,
    /// What is worth knowing about the files in use.
    pub warnings: Vec<Finding>,
    /// Why the files that are there now are not in use; empty: they are.
    pub refused: Vec<Finding>,
}

/// A thread that looks at files in turn; it ends when this is dropped.
pub struct Watcher {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Starts watching, on a thread of this name.
    pub fn start(name: &str, every: Duration, watched: Vec<Arc<dyn Reload>>) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                std::thread::park_timeout(every);
                watched.iter().for_each(|each| each.poll(Timestamp::now()));
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// SHA-256 over the content of several files; one that cannot be read counts as such.
pub(super) type Print = [u8; 32];

pub(super) fn print<'a>(sources: impl IntoIterator<Item = &'a Result<Source, Finding>>) -> Print {
    let mut hash = Sha256::new();
    for source in sources {
        match source {
            Ok(source) => hash.update(source.digest()),
            Err(_) => hash.update([0; 32]),
        }
    }
    hash.finalize().into()
}

/// What a look at the files gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// What is in use or has been refused, or it is still being written.
    Nothing,
    /// The files are again what is in use.
    Restored,
    /// Something new that has been the same for two looks.
    New,
}

/// Decides when a change has settled: a certificate and its key are two files, and are not written at once.
#[derive(Debug)]
pub(super) struct Settling {
    used: Print,
    refused: Option<Print>,
    last: Print,
}

impl Settling {
    pub(super) fn new(used: Print) -> Self {
        Self { used, refused: None, last: used }
    }

    pub(super) fn look(&mut self, seen: Print) -> Look {
        let settled = std::mem::replace(&mut self.last, seen) == seen;
        if seen == self.used {
            return if self.refused.take().is_some() { Look::Restored } else { Look::Nothing };
        }
        if settled && self.refused != Some(seen) { Look::New } else { Look::Nothing }
    }

    fn settle(&mut self, seen: Print, accepted: bool) {
        match accepted {
            true => (self.used, self.refused) = (seen, None),
            false => self.refused = Some(seen),
        }
    }
}

/// The part of a reload that server and client share: look, build aside, swap or refuse, and remember which.
#[derive(Debug)]
pub(super) struct Course {
    what: &'static str,
    settling: Mutex<Settling>,
    state: RwLock<State>,
}

impl Course {
    pub(super) fn new(what: &'static str, used: Print, warnings: Vec<Finding>) -> Self {
        let state = RwLock::new(State { warnings, ..State::default() });
        Self { what, settling: Mutex::new(Settling::new(used)), state }
    }

    pub(super) fn state(&self) -> State {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `take_up` builds and swaps, and gives what is to be known about it, or why it did not.
    pub(super) fn follow(
        &self,
        seen: Print,
        now: Timestamp,
        take_up: impl FnOnce() -> Result<Vec<Finding>, Vec<Finding>>,
    ) {
        let mut settling = self.settling.lock().unwrap_or_else(PoisonError::into_inner);
        match settling.look(seen) {
            Look::Nothing => {}
            Look::Restored => self.change(|state| state.refused.clear()),
            Look::New => {
                let result = take_up();
                settling.settle(seen, result.is_ok());
                self.tell(result, now);
            }
        }
    }

    fn tell(&self, result: Result<Vec<Finding>, Vec<Finding>>, now: Timestamp) {
        match result {
            Ok(warnings) => {
                tracing::info!(what = self.what, "new TLS files are in use");
                self.change(|state| {
                    *state =
                        State { reloads: state.reloads + 1, reloaded_at: Some(now), warnings, refused: Vec::new() };
                });
            }
            Err(refused) => {
                let reasons = super::in_words(&refused);
                tracing::error!(what = self.what, reasons, "new TLS files are refused; the old ones stay in use");
                self.change(|state| state.refused = refused);
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Findings in one heap: an error refuses, anything less is kept.
pub(super) fn accept(findings: Vec<Finding>) -> Result<Vec<Finding>, Vec<Finding>> {
    if has_errors(&findings) { Err(findings) } else { Ok(findings) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_up_only_what_has_settled_and_tries_it_once() {
        let mut settling = Settling::new([1; 32]);
        assert_eq!(settling.look([1; 32]), Look::Nothing);
        assert_eq!(settling.look([2; 32]), Look::Nothing);
        assert_eq!(settling.look([3; 32]), Look::Nothing);
        assert_eq!(settling.look([3; 32]), Look::New);
        settling.settle([3; 32], false);
        assert_eq!(settling.look([3; 32]), Look::Nothing);
        assert_eq!(settling.look([1; 32]), Look::Restored);
        assert_eq!(settling.look([1; 32]), Look::Nothing);
    }
}
