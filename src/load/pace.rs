//! When the next request is due.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// Open or closed: does the world wait for the gateway?
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// So many requests a second, answered or not: each is measured from when it was due.
    Rate(f64),
    /// Each worker sends its next request when the last is answered.
    Closed,
}

pub(super) enum Pace {
    Open { start: Instant, interval: Duration, due: Arc<Semaphore>, started: AtomicU64 },
    Closed { end: Instant },
}

impl Pace {
    /// An open pace has a thread of its own: an async timer's step of a millisecond would show in the latencies.
    pub(super) fn start(mode: Mode, duration: Duration) -> std::io::Result<Self> {
        let start = Instant::now();
        let Mode::Rate(rate) = mode else { return Ok(Self::Closed { end: start + duration }) };
        let interval = Duration::from_secs_f64(1.0 / rate);
        let due = Arc::new(Semaphore::new(0));
        let permits = Arc::clone(&due);
        let thread = std::thread::Builder::new().name("load-pace".to_owned());
        thread.spawn(move || release(&permits, start, interval, duration))?;
        Ok(Self::Open { start, interval, due, started: AtomicU64::new(0) })
    }

    /// Waits until a request is due, and says when it was; none: the time is over.
    pub(super) async fn next(&self) -> Option<Instant> {
        match self {
            Self::Closed { end } => Some(Instant::now()).filter(|now| now < end),
            Self::Open { start, interval, due, started } => {
                due.acquire().await.ok()?.forget();
                let number = started.fetch_add(1, Ordering::Relaxed);
                Some(*start + interval.mul_f64(number as f64))
            }
        }
    }

    /// Requests that were due, but that nobody was free to send.
    pub(super) fn unsent(&self) -> u64 {
        match self {
            Self::Closed { .. } => 0,
            Self::Open { due, .. } => due.available_permits() as u64,
        }
    }
}

fn release(due: &Semaphore, start: Instant, interval: Duration, duration: Duration) {
    let mut number = 0.0;
    loop {
        let at = interval.mul_f64(number);
        if duration <= at {
            break;
        }
        std::thread::sleep((start + at).saturating_duration_since(Instant::now()));
        due.add_permits(1);
        number += 1.0;
    }
    std::thread::sleep((start + duration).saturating_duration_since(Instant::now()));
    due.close();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_open_pace_counts_what_nobody_sent() {
        let pace = Pace::start(Mode::Rate(1000.0), Duration::from_millis(100)).unwrap();
        let first = pace.next().await.unwrap();
        let second = pace.next().await.unwrap();
        assert_eq!(second - first, Duration::from_millis(1));
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(pace.next().await, None);
        assert_eq!(pace.unsent(), 98);
    }

    #[tokio::test]
    async fn a_closed_pace_ends() {
        let pace = Pace::start(Mode::Closed, Duration::from_millis(20)).unwrap();
        assert!(pace.next().await.is_some());
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert_eq!((pace.next().await, pace.unsent()), (None, 0));
    }
}
