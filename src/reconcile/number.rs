//! NHS numbers as evidence: the number, whether it passes its check, and what its sender says of it.

use crate::booking::nhs_number::{NhsNumber, NhsNumberError};

/// A number in 40 bits, with what is known of it; 0: none.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Number(u64);

const DIGITS: u64 = (1 << 40) - 1;
const VALID: u64 = 1 << 40;
const VERIFIED: u64 = 1 << 41;

/// How two numbers compare. The order is that of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum NumberLevel {
    /// None on one side.
    Missing,
    /// Both pass the check and differ. No slip of one digit and no exchange of two makes one such number of another.
    Different,
    /// They differ, but one of them fails the check and so is nobody's.
    Unreliable,
    /// One slip apart, and one of them fails the check.
    Near,
    /// The same number, which fails the check.
    SameInvalid,
    /// The same number.
    Same,
}

impl Number {
    /// Reads a number. What is not ten digits, and ten times the same digit, is no number of anybody.
    /// `status`: the NHS number status code, 01 to 08 (NHS Data Dictionary); empty: not said, and then it is taken as
    /// the sender's own word, not as verified.
    pub fn parse(text: &str, status: &str) -> Self {
        let text = text.trim();
        if text.is_empty() {
            return Self(0);
        }
        let value = |digits: &str| digits.parse::<u64>().unwrap_or(0) & DIGITS;
        match NhsNumber::parse(text) {
            Ok(number) => {
                let verified = matches!(status.trim(), "01" | "1") || status.trim().ends_with("NSTS01");
                Self(value(number.as_str()) | VALID | if verified { VERIFIED } else { 0 })
            }
            Err(NhsNumberError::CheckDigit) => {
                let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                Self(value(&digits))
            }
            Err(NhsNumberError::Format | NhsNumberError::Repeated) => Self(0),
        }
    }

    /// Is there none?
    pub fn is_missing(self) -> bool {
        self.0 == 0
    }

    /// Does it pass its check?
    pub fn is_valid(self) -> bool {
        self.0 & VALID != 0
    }

    /// Does its sender say that it was traced (status 01)?
    pub fn is_verified(self) -> bool {
        self.0 & VERIFIED != 0
    }

    /// The ten digits as a number.
    pub fn value(self) -> u64 {
        self.0 & DIGITS
    }

    /// How this number and another one compare.
    pub fn compare(self, other: Self) -> NumberLevel {
        if self.is_missing() || other.is_missing() {
            return NumberLevel::Missing;
        }
        let valid = self.is_valid() && other.is_valid();
        if self.value() == other.value() {
            return if self.is_valid() { NumberLevel::Same } else { NumberLevel::SameInvalid };
        }
        match (valid, is_one_slip(self.value(), other.value())) {
            (true, _) => NumberLevel::Different,
            (false, true) => NumberLevel::Near,
            (false, false) => NumberLevel::Unreliable,
        }
    }
}

/// One digit replaced, or two neighbours exchanged.
fn is_one_slip(a: u64, b: u64) -> bool {
    let mut places = [0; 2];
    let mut count = 0;
    let (mut x, mut y) = (a, b);
    for place in 0..10u32 {
        if x % 10 != y % 10 {
            if count == 2 {
                return false;
            }
            places[count] = place;
            count += 1;
        }
        x /= 10;
        y /= 10;
    }
    let digit = |number: u64, place: u32| number / 10u64.pow(place) % 10;
    match count {
        1 => true,
        2 => {
            let [p, q] = places;
            p + 1 == q && digit(a, p) == digit(b, q) && digit(a, q) == digit(b, p)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(a: &str, b: &str) -> NumberLevel {
        Number::parse(a, "01").compare(Number::parse(b, "02"))
    }

    #[test]
    fn numbers_compare_by_what_they_prove() {
        use NumberLevel::*;
        assert_eq!(level("943 476 5919", "9434765919"), Same);
        assert_eq!(level("9000000254", "9000070254"), Near);
        assert_eq!(level("9000000254", "9000002054"), Near);
        assert_eq!(level("9123456787", "9876543210"), Different);
        assert_eq!(level("9123456787", "9876543211"), Unreliable);
        assert_eq!(level("9876543211", "9876543211"), SameInvalid);
    }

    #[test]
    fn what_identifies_nobody_is_missing() {
        for text in ["", "9999999999", "0000000000", "unknown", "12345", "943476591", "94347659190"] {
            assert!(Number::parse(text, "01").is_missing(), "{text}");
        }
    }

    #[test]
    fn only_the_status_makes_a_number_verified() {
        assert!(Number::parse("9434765919", "01").is_verified());
        for status in ["", "02", "03", "08"] {
            assert!(!Number::parse("9434765919", status).is_verified(), "{status}");
        }
        assert!(!Number::parse("9434765911", "01").is_verified());
    }
}
