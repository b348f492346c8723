//! How long to wait after a failure: twice as long as before, up to a limit, and never quite the same for two.

use std::time::Duration;

/// First and longest pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub min: Duration,
    /// However many there were.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { min: Duration::from_secs(1), max: Duration::from_secs(300) }
    }
}

impl Backoff {
    /// The pause after so many failures in a row. `chance`, from 0 to 1, takes up to a quarter off, so that those who
    /// failed together do not come back together.
    pub fn pause(&self, failures: u32, chance: f64) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        let whole = self.min.checked_mul(doubled).map_or(self.max, |pause| pause.min(self.max));
        whole.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 4.0)
    }
}

/// A number from 0 to 1 that nobody can foresee.
pub(super) fn chance() -> f64 {
    f64::from(uuid::Uuid::new_v4().as_fields().0) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_its_limit() {
        let seconds: Vec<_> = (0..12).map(|n| Backoff::default().pause(n, 0.0).as_secs()).collect();
        assert_eq!(seconds, [1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(Backoff::default().pause(u32::MAX, 0.0).as_secs(), 300);
    }

    #[test]
    fn chance_takes_off_a_quarter_at_most() {
        for _ in 0..1000 {
            let pause = Backoff::default().pause(3, chance());
            assert!((3.0..=4.0).contains(&pause.as_secs_f64()), "{pause:?}");
        }
    }
}
