//! Each system's share of requests: a bucket that fills at its rate and holds one second's worth.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

/// Buckets by system.
pub(super) struct Throttle {
    usual: f64,
    rates: HashMap<String, f64>,
    buckets: Mutex<HashMap<String, (f64, Instant)>>,
}

impl Throttle {
    /// Requests per second of systems that have a rate of their own, and of each other one. `0`: no limit.
    pub(super) fn new(usual: u32, rates: HashMap<String, u32>) -> Self {
        let rates = rates.into_iter().map(|(system, rate)| (system, f64::from(rate))).collect();
        Self { usual: f64::from(usual), rates, buckets: Mutex::default() }
    }

    /// May this system send one more now?
    pub(super) fn admit(&self, system: &str) -> bool {
        let rate = self.rates.get(system).copied().unwrap_or(self.usual);
        if rate == 0.0 {
            return true;
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = Instant::now();
        let (level, filled) = buckets.entry(system.to_owned()).or_insert((rate, now));
        *level = (*level + now.duration_since(*filled).as_secs_f64() * rate).min(rate);
        *filled = now;
        let admitted = 1.0 <= *level;
        *level -= f64::from(u8::from(admitted));
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_system_does_not_use_up_another_ones_share() {
        let throttle = Throttle::new(5, HashMap::from([("c".to_owned(), 7), ("d".to_owned(), 0)]));
        assert_eq!((0..20).filter(|_| throttle.admit("a")).count(), 5);
        assert!(throttle.admit("b"));
        assert_eq!((0..20).filter(|_| throttle.admit("c")).count(), 7);
        assert!((0..1000).all(|_| throttle.admit("d")));
    }
}
