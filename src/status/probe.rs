//! A probe asks one source again and again on a thread of its own, and leaves the latest answer behind.
//! A source that hangs hangs its probe only: whoever reads sees that the answer is late.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Source;

/// Ends all probes that share it.
#[derive(Debug, Default)]
pub(super) struct Stop {
    said: Mutex<bool>,
    heard: Condvar,
}

impl Stop {
    /// From now on no probe begins another round. One that hangs is left behind.
    pub(super) fn say(&self) {
        *lock(&self.said) = true;
        self.heard.notify_all();
    }

    /// Waits; answers whether to go on.
    fn pause(&self, time: Duration) -> bool {
        let guard = self.heard.wait_timeout_while(lock(&self.said), time, |said| !*said);
        !*guard.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// How often a source is asked, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
}

/// The latest answer of a source.
pub(super) struct Probe<T> {
    cell: Arc<Mutex<Cell<T>>>,
    pace: Pace,
}

struct Cell<T> {
    answer: Option<(T, Timestamp)>,
    /// When the round under way, or the last one, began.
    begun: Instant,
    begun_at: Timestamp,
}

/// What a probe knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reading<T> {
    /// The source answered, then.
    Known(T, Timestamp),
    /// It was not asked long enough ago to complain.
    Unknown,
    /// It has owed an answer since then.
    Late(Timestamp),
}

impl<T: Clone + Send + 'static> Probe<T> {
    /// Begins to ask.
    pub(super) fn start(name: &str, pace: Pace, stop: &Arc<Stop>, mut source: Source<T>) -> io::Result<Self> {
        let cell = Arc::new(Mutex::new(Cell { answer: None, begun: Instant::now(), begun_at: Timestamp::now() }));
        let (shared, stop) = (Arc::clone(&cell), Arc::clone(stop));
        let rounds = move || {
            loop {
                begin(&shared);
                let answer = source();
                lock(&shared).answer = Some((answer, Timestamp::now()));
                if !stop.pause(pace.interval) {
                    break;
                }
            }
        };
        thread::Builder::new().name(format!("status-{name}")).spawn(rounds)?;
        Ok(Self { cell, pace })
    }

    /// What is known now. A source that ended, by a panic too, is late from then on.
    pub(super) fn read(&self) -> Reading<T> {
        let cell = lock(&self.cell);
        if self.pace.interval + self.pace.timeout < cell.begun.elapsed() {
            return Reading::Late(cell.begun_at);
        }
        match &cell.answer {
            Some((answer, at)) => Reading::Known(answer.clone(), *at),
            None => Reading::Unknown,
        }
    }
}

fn begin<T>(cell: &Mutex<Cell<T>>) {
    let mut cell = lock(cell);
    cell.begun = Instant::now();
    cell.begun_at = Timestamp::now();
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { interval: Duration::from_millis(5), timeout: Duration::from_millis(50) };

    fn read_until<T: Clone + Send + 'static>(probe: &Probe<T>, wanted: impl Fn(&Reading<T>) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while !wanted(&probe.read()) {
            assert!(Instant::now() < deadline);
            thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn a_source_is_asked_again_and_again() {
        let mut count = 0;
        let source: Source<u32> = Box::new(move || {
            count += 1;
            count
        });
        let stop = Arc::default();
        let probe = Probe::start("test", PACE, &stop, source).unwrap();
        read_until(&probe, |reading| matches!(reading, Reading::Known(3.., _)));
        stop.say();
        read_until(&probe, |reading| matches!(reading, Reading::Late(_)));
    }

    #[test]
    fn a_source_that_hangs_or_panics_is_late() {
        let hangs: Source<()> = Box::new(|| thread::sleep(Duration::from_secs(60)));
        let panics: Source<()> = Box::new(|| panic!("on purpose"));
        for source in [hangs, panics] {
            let probe = Probe::start("test", PACE, &Arc::default(), source).unwrap();
            assert_eq!(probe.read(), Reading::Unknown);
            read_until(&probe, |reading| matches!(reading, Reading::Late(_)));
        }
    }
}
