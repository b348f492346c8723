//! Signs of life of threads that cannot be asked: each beats while it is free to work.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn elapsed_ms() -> u64 {
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// One thread's sign of life. A thread that ends in good order drops it and is no longer expected.
#[derive(Clone, Debug)]
pub struct Heartbeat(Arc<AtomicU64>);

impl Heartbeat {
    /// "I am free to work": to be called about every half second.
    pub fn beat(&self) {
        self.0.store(elapsed_ms(), Ordering::Relaxed);
    }
}

/// All threads of one kind.
#[derive(Clone, Debug, Default)]
pub struct Heartbeats(Arc<Mutex<Vec<Weak<AtomicU64>>>>);

impl Heartbeats {
    /// A further thread; it counts as alive from now.
    pub fn register(&self) -> Heartbeat {
        let beat = Heartbeat(Arc::new(AtomicU64::new(elapsed_ms())));
        let mut threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| thread.strong_count() != 0);
        threads.push(Arc::downgrade(&beat.0));
        beat
    }

    /// How many threads there are, and how many of them were silent for longer than this.
    pub(super) fn count(&self, silence_max: Duration) -> (usize, usize) {
        let now_ms = elapsed_ms();
        let threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let silences =
            threads.iter().filter_map(Weak::upgrade).map(|beat| now_ms.saturating_sub(beat.load(Ordering::Relaxed)));
        silences
            .fold((0, 0), |(all, silent), ms| (all + 1, silent + usize::from(silence_max < Duration::from_millis(ms))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_noticed_and_an_end_is_not_silence() {
        let beats = Heartbeats::default();
        let (one, two) = (beats.register(), beats.register());
        std::thread::sleep(Duration::from_millis(30));
        one.beat();
        assert_eq!(beats.count(Duration::from_millis(20)), (2, 1));
        drop(two);
        assert_eq!(beats.count(Duration::from_millis(20)), (1, 0));
    }
}
