//! NHS numbers: ten digits with a modulus-11 check digit (NHS Data Dictionary, "NHS NUMBER").

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number that passed its check. Its `Debug` is masked, so that it cannot reach a log by accident.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct NhsNumber([u8; 10]);

/// Why a text is not an NHS number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NhsNumberError {
    /// Neither ten digits nor digits grouped 3-3-4.
    #[error("not ten digits")]
    Format,
    /// The tenth digit is not the check digit of the first nine.
    #[error("the check digit is wrong")]
    CheckDigit,
    /// Ten times the same digit: passes the check, but is never issued.
    #[error("all digits are the same")]
    Repeated,
}

/// Who may hold such a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// 4, 6 and 7: England, Wales and the Isle of Man; 0 to 3: Scotland and Northern Ireland.
    Live,
    /// 9: set aside for tests.
    Test,
    /// 5 (not issued) and 8 (Irish identifiers).
    NotIssued,
}

impl NhsNumber {
    /// System of NHS numbers among identifiers (UK Core, BaRS).
    pub const SYSTEM: &str = "https://fhir.nhs.uk/Id/nhs-number";

    /// Reads a number, grouped 3-3-4 by blanks or hyphens or not at all.
    pub fn parse(text: &str) -> Result<Self, NhsNumberError> {
        let digits = digits(text.trim().as_bytes()).ok_or(NhsNumberError::Format)?;
        if digits.iter().all(|digit| *digit == digits[0]) {
            return Err(NhsNumberError::Repeated);
        }
        match check_digit(&digits[..9]) {
            Some(check) if check == digits[9] - b'0' => Ok(Self(digits)),
            _ => Err(NhsNumberError::CheckDigit),
        }
    }

    /// The number for nine leading digits, if there is one (about one in eleven has none).
    pub fn from_prefix(prefix: u32) -> Option<Self> {
        let text = format!("{prefix:09}");
        let check = check_digit(text.as_bytes())?;
        Self::parse(&format!("{text}{check}")).ok()
    }

    /// The ten digits.
    pub fn as_str(&self) -> &str {
        // Only ASCII digits are ever stored.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Who may hold it.
    pub fn range(&self) -> Range {
        match self.0[0] {
            b'9' => Range::Test,
            b'5' | b'8' => Range::NotIssued,
            _ => Range::Live,
        }
    }
}

fn digits(text: &[u8]) -> Option<[u8; 10]> {
    let joined: [u8; 10] = match text {
        [_, _, _, b' ' | b'-', _, _, _, b' ' | b'-', _, _, _, _] if text[3] == text[7] => {
            [&text[..3], &text[4..7], &text[8..]].concat().try_into().ok()?
        }
        _ => text.try_into().ok()?,
    };
    joined.iter().all(u8::is_ascii_digit).then_some(joined)
}

/// Weights 10 to 2; a remainder that gives 10 means that there is no such number.
fn check_digit(first_nine: &[u8]) -> Option<u8> {
    let sum: u32 = first_nine.iter().zip((2..=10).rev()).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    match 11 - sum % 11 {
        11 => Some(0),
        10 => None,
        check => Some(check as u8),
    }
}

impl fmt::Debug for NhsNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NhsNumber(***)")
    }
}

impl From<NhsNumber> for String {
    fn from(number: NhsNumber) -> Self {
        number.as_str().to_owned()
    }
}

impl TryFrom<String> for NhsNumber {
    type Error = NhsNumberError;

    fn try_from(text: String) -> Result<Self, NhsNumberError> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_numbers_with_a_right_check_digit() {
        for text in ["9434765919", "9434765870", "943 476 5919", "943-476-5919", " 9990000018 ", "0607230002"] {
            assert!(NhsNumber::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn refuses_all_else() {
        for text in [
            "9434765911",
            "1234567890",
            "943 4765919",
            "943 476-5919",
            "943476591",
            "94347659190",
            "",
            "９４３４７６５９１９",
        ] {
            assert!(NhsNumber::parse(text).is_err(), "{text}");
        }
        for digit in 0..10 {
            assert_eq!(NhsNumber::parse(&digit.to_string().repeat(10)), Err(NhsNumberError::Repeated));
        }
    }

    #[test]
    fn finds_every_single_digit_error_and_every_transposition() {
        let number = NhsNumber::parse("9990000018").unwrap();
        let digits = number.as_str().as_bytes();
        for place in 0..10 {
            for digit in (b'0'..=b'9').filter(|digit| *digit != digits[place]) {
                let mut wrong = digits.to_vec();
                wrong[place] = digit;
                assert!(NhsNumber::parse(std::str::from_utf8(&wrong).unwrap()).is_err());
            }
        }
        for place in (0..9).filter(|place| digits[*place] != digits[place + 1]) {
            let mut wrong = digits.to_vec();
            wrong.swap(place, place + 1);
            assert!(NhsNumber::parse(std::str::from_utf8(&wrong).unwrap()).is_err());
        }
    }

    #[test]
    fn is_masked_when_printed_for_debugging() {
        assert!(!format!("{:?}", NhsNumber::parse("9990000018").unwrap()).contains("999"));
    }
}
