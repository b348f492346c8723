//! Each system's share of requests: a bucket that fills at the configured rate and holds one second's worth.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

/// Buckets by system.
pub(super) struct Throttle {
    rate_per_second: f64,
    buckets: Mutex<HashMap<String, (f64, Instant)>>,
}

impl Throttle {
    /// `0`: no limit.
    pub(super) fn new(rate_per_second: u32) -> Self {
        Self { rate_per_second: f64::from(rate_per_second), buckets: Mutex::default() }
    }

    /// May this system send one more now?
    pub(super) fn admit(&self, system: &str) -> bool {
        if self.rate_per_second == 0.0 {
            return true;
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = Instant::now();
        let (level, filled) = buckets.entry(system.to_owned()).or_insert((self.rate_per_second, now));
        *level = (*level + now.duration_since(*filled).as_secs_f64() * self.rate_per_second).min(self.rate_per_second);
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
        let throttle = Throttle::new(5);
        assert_eq!((0..20).filter(|_| throttle.admit("a")).count(), 5);
        assert!(throttle.admit("b"));
        assert!((0..1000).all(|_| Throttle::new(0).admit("a")));
    }
}
