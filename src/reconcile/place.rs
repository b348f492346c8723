//! Addresses, telephone numbers and e-mail: what is a home's or a person's, and what stands for nothing.

use super::distance::is_one_slip;
use super::lexicon::hash;
use super::name::fold;

/// A postcode as its letters and digits, in eight bytes; 0: none.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Postcode(u64);

impl Postcode {
    /// Reads a postcode. One that stands for "none" (`ZZ99…`, no fixed abode and others) is none.
    pub fn parse(text: &str) -> Self {
        let mut bytes = [0; 8];
        let mut len = 0;
        for letter in text.bytes().filter(u8::is_ascii_alphanumeric) {
            if len == 8 {
                return Self(0);
            }
            bytes[len] = letter.to_ascii_uppercase();
            len += 1;
        }
        let filled_in = bytes.starts_with(b"ZZ99") || bytes[1..len.max(1)].iter().all(|it| *it == bytes[0]);
        if len < 3 || filled_in { Self(0) } else { Self(u64::from_be_bytes(bytes)) }
    }

    /// Is there none?
    pub fn is_missing(self) -> bool {
        self.0 == 0
    }

    /// All bits, for keys.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// The letters and digits.
    pub fn text(self) -> String {
        self.0.to_be_bytes().iter().filter(|it| **it != 0).map(|it| char::from(*it)).collect()
    }

    /// Does one slip part them?
    pub fn is_one_slip_from(self, other: Self) -> bool {
        is_one_slip(trimmed(&self.0.to_be_bytes()), trimmed(&other.0.to_be_bytes()))
    }

    /// Do both lie in one district (the part before the last three)?
    pub fn is_near(self, other: Self) -> bool {
        let outward = |it: Self| {
            let bytes = it.0.to_be_bytes();
            let len = bytes.iter().take_while(|byte| **byte != 0).count();
            let kept = if len < 5 { len.saturating_sub(1) } else { len - 3 };
            (bytes, kept)
        };
        let ((a, a_len), (b, b_len)) = (outward(self), outward(other));
        a[..a_len] == b[..b_len]
    }
}

/// Another number that identifies a person, such as a passport's. Up to seven letters are kept as they are, so that
/// slips are seen; longer ones as a number that stands for them. 0: none.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct OtherId(u64);

impl OtherId {
    /// Reads one.
    pub fn parse(text: &str) -> Self {
        let text = text.trim().to_ascii_uppercase();
        let mut bytes = [0; 8];
        match text.len() {
            0 => Self(0),
            len @ 1..=7 => {
                bytes[..len].copy_from_slice(text.as_bytes());
                Self(u64::from_be_bytes(bytes))
            }
            _ => Self(hash(text.as_bytes()) | 1),
        }
    }

    /// Is there none?
    pub fn is_missing(self) -> bool {
        self.0 == 0
    }

    /// All bits, for keys.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Does one letter part them? Only short ones are compared so.
    pub fn is_one_slip_from(self, other: Self) -> bool {
        let short = |it: Self| (it.0 & 255 == 0).then(|| it.0.to_be_bytes());
        let (Some(a), Some(b)) = (short(self), short(other)) else { return false };
        is_one_slip(trimmed(&a), trimmed(&b))
    }
}

/// Without what fills it up.
fn trimmed(bytes: &[u8; 8]) -> &[u8] {
    let len = bytes.iter().position(|it| *it == 0).unwrap_or(bytes.len());
    &bytes[..len]
}

/// Short forms in addresses.
const SHORT: &[(&str, &str)] = &[
    ("ST", "STREET"),
    ("RD", "ROAD"),
    ("LN", "LANE"),
    ("AVE", "AVENUE"),
    ("AV", "AVENUE"),
    ("DR", "DRIVE"),
    ("CL", "CLOSE"),
    ("CT", "COURT"),
    ("GDNS", "GARDENS"),
    ("CRES", "CRESCENT"),
    ("CRESC", "CRESCENT"),
    ("TER", "TERRACE"),
    ("TERR", "TERRACE"),
    ("PL", "PLACE"),
    ("SQ", "SQUARE"),
    ("GR", "GROVE"),
    ("GRV", "GROVE"),
    ("PK", "PARK"),
    ("HSE", "HOUSE"),
    ("CT", "COURT"),
];
/// Words before the number of a home in a house.
const UNIT: &[&str] = &["FLAT", "APT", "APARTMENT", "UNIT", "NO", "NUMBER"];
/// Folded beginnings of addresses that are nobody's home.
const NO_HOME: &[&str] =
    &["NO FIXED", "NFA", "UNKNOWN", "NOT KNOWN", "NOT SPECIFIED", "NONE", "ED RESUS", "HOMELESS", "NOT APPLICABLE"];

/// Reads an address: appends the words of the street or house to `words`, and answers a number for the numbers in it
/// (0: none). An address that is nobody's leaves nothing.
pub fn address(text: &str, words: &mut String) -> u32 {
    let start = words.len();
    let mut folded = String::with_capacity(text.len());
    fold(text, &mut folded);
    if folded.is_empty() || NO_HOME.iter().any(|it| folded.starts_with(it)) {
        return 0;
    }
    let mut numbers = 0u64;
    for word in folded.split(' ') {
        if word.starts_with(|it: char| it.is_ascii_digit()) {
            numbers = numbers.rotate_left(7) ^ hash(word.as_bytes());
        } else if !UNIT.contains(&word) {
            let long = SHORT.iter().find(|(short, _)| *short == word).map_or(word, |(_, long)| long);
            if words.len() > start {
                words.push(' ');
            }
            words.push_str(long);
        }
    }
    if numbers == 0 { 0 } else { (numbers >> 32) as u32 | 1 }
}

/// Is it a place where people live together who are not a family?
pub fn is_communal(words: &str) -> bool {
    let at = |word: &str| words.split(' ').any(|it| it == word);
    ["NURSING", "HOSTEL", "HALLS", "PRISON", "HMP", "HOSPITAL", "HOSPICE", "BARRACKS", "REFUGE"].iter().any(|it| at(it))
        || words.contains("CARE HOME")
        || words.contains("RESIDENTIAL HOME")
}

/// A telephone number as a number of 32 bits, the lowest of which says that it is a mobile telephone; 0: none.
pub fn phone(text: &str) -> u32 {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_digit).collect();
    let abroad = text.trim_start().starts_with('+');
    let national: &[u8] = match digits.as_slice() {
        [b'0', b'0', b'4', b'4', rest @ ..] => rest,
        [b'4', b'4', rest @ ..] if abroad || rest.len() == 10 => rest,
        all => all,
    };
    let national = national.strip_prefix(b"0").unwrap_or(national);
    let filled_in = national.iter().skip(1).all(|it| national.get(1) == Some(it));
    if national.len() < 7 || 14 < national.len() || filled_in {
        return 0;
    }
    let mobile = u32::from(national.first() == Some(&b'7') && national.len() == 10);
    ((hash(national) >> 32) as u32 & !1 | mobile).max(2)
}

/// Is it a mobile telephone's number?
pub fn is_mobile(phone: u32) -> bool {
    phone & 1 == 1
}

/// An e-mail address: a number for the whole of it and one for what stands before the `@`; 0: none.
pub fn email(text: &str) -> (u32, u32) {
    let text = text.trim();
    let Some((name, host)) = text.rsplit_once('@') else { return (0, 0) };
    let lower = text.to_ascii_lowercase();
    let filled_in = ["noreply", "no-reply", "none", "na", "n/a", "unknown", "test", "noemail"];
    if name.is_empty() || !host.contains('.') || filled_in.contains(&&lower[..name.len()]) {
        return (0, 0);
    }
    let number = |text: &str| (hash(text.as_bytes()) >> 32) as u32 | 1;
    (number(&lower), number(&lower[..name.len()]))
}

/// Codes of the NHS Data Dictionary that stand for "no practice" and "not known".
const NO_PRACTICE: &[&str] = &["V81997", "V81998", "V81999", "X99999", "X99998", "Y99999"];

/// A code, such as an organisation's, as a number; 0: none.
pub fn code(text: &str) -> u32 {
    let text = text.trim();
    if text.is_empty() || NO_PRACTICE.contains(&text) {
        return 0;
    }
    (hash(text.as_bytes()) >> 32) as u32 | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postcodes_are_read_however_they_are_written() {
        assert!(Postcode::parse("ls11 6ad") == Postcode::parse("LS116AD"));
        assert_eq!(Postcode::parse("LS11 6AD").text(), "LS116AD");
        for none in ["", "ZZ99 3VZ", "zz993cz", "-", "XXXXX", "LS11 6ADDD"] {
            assert!(Postcode::parse(none).is_missing(), "{none}");
        }
        assert!(Postcode::parse("LS11 6AD").is_near(Postcode::parse("LS11 9ZZ")));
        assert!(!Postcode::parse("LS1 6AD").is_near(Postcode::parse("LS11 6AD")));
    }

    fn home(text: &str) -> (u32, String) {
        let mut words = String::new();
        (address(text, &mut words), words)
    }

    #[test]
    fn short_forms_of_an_address_are_the_address() {
        assert_eq!(home("Flat 3, 12 Mill Lane"), home("APT 3 12 MILL LN"));
        assert_ne!(home("12 Mill Lane").0, home("13 Mill Lane").0);
        assert_ne!(home("Flat 3, 12 Mill Lane").0, home("Flat 12, 3 Mill Lane").0);
        assert_eq!(home("No fixed abode"), (0, String::new()));
        assert!(is_communal(&home("Rose Court Care Home, 12 Mill Lane").1));
        assert!(!is_communal(&home("12 Hospital Lane").1) || is_communal("HOSPITAL LANE"));
    }

    #[test]
    fn forms_of_a_telephone_number_are_one() {
        assert_eq!(phone("07700 900123"), phone("+44 7700 900123"));
        assert_eq!(phone("0044 7700900123"), phone("(07700) 900-123"));
        assert!(is_mobile(phone("07700900123")) && !is_mobile(phone("0113 496 0000")));
        for none in ["", "n/a", "00000000000", "01111111111", "123"] {
            assert_eq!(phone(none), 0, "{none}");
        }
    }

    #[test]
    fn mail_is_compared_whole_and_before_the_host() {
        assert_eq!(email("A.B@x.org"), email(" a.b@X.ORG "));
        assert_eq!(email("a.b@x.org").1, email("a.b@y.org").1);
        assert_eq!(email("none@x.org"), (0, 0));
        assert_eq!(email("nobody"), (0, 0));
        assert_eq!(code("V81999"), 0);
    }
}
