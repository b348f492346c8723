//! Which kinds of request, in what proportion.

use std::str::FromStr;

use super::people::mix;
use super::report::Kind;

/// Weights of the kinds, such as `referral=8,booking=1,read=10`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix {
    weights: Vec<(Kind, u64)>,
}

impl Mix {
    /// The kind of the request with this number; the same seed gives the same order.
    pub(super) fn pick(&self, seed: u64, number: u64) -> Kind {
        let mut rest = mix(seed.wrapping_add(number)) % self.total();
        for (kind, weight) in &self.weights {
            if rest < *weight {
                return *kind;
            }
            rest -= weight;
        }
        Kind::Referral
    }

    /// Is there any request of this kind?
    pub fn has(&self, kind: Kind) -> bool {
        self.weights.iter().any(|(known, weight)| *known == kind && 0 < *weight)
    }

    fn total(&self) -> u64 {
        self.weights.iter().map(|(_, weight)| weight).sum()
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let weights = text.split(',').map(weight).collect::<Result<_, _>>()?;
        Some(Self { weights }).filter(|mix| 0 < mix.total()).ok_or_else(|| "all weights are 0".to_owned())
    }
}

fn weight(text: &str) -> Result<(Kind, u64), String> {
    let (kind, weight) = text.split_once('=').ok_or_else(|| format!("{text}: KIND=WEIGHT is wanted"))?;
    let kind = match kind.trim() {
        "referral" => Kind::Referral,
        "booking" => Kind::Booking,
        "read" => Kind::Read,
        "match" => Kind::Match,
        "admission" => Kind::Admission,
        other => return Err(format!("{other}: the kinds are referral, booking, read, match and admission")),
    };
    let weight: u32 = weight.trim().parse().map_err(|_| format!("{weight} is not a weight"))?;
    Ok((kind, u64::from(weight)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_weights() {
        let mix: Mix = "referral=8,booking=1,read=10".parse().unwrap();
        let count = |kind| (0..19_000).filter(|number| mix.pick(3, *number) == kind).count();
        assert!((7_600..8_400).contains(&count(Kind::Referral)));
        assert!((800..1_200).contains(&count(Kind::Booking)));
        assert!((9_600..10_400).contains(&count(Kind::Read)));
        assert!(!"read=1,booking=0".parse::<Mix>().unwrap().has(Kind::Booking));
    }

    #[test]
    fn says_what_is_wrong() {
        for text in ["", "referral", "referral=x", "letter=1", "read=0", "read=-1"] {
            assert!(text.parse::<Mix>().is_err(), "{text}");
        }
    }
}
