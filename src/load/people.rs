//! People who do not exist: numbers from the range that is set aside for tests, and invented names and addresses.

use std::sync::atomic::{AtomicU32, Ordering};

use jiff::civil::{Date, date};
use jiff::{Span, ToSpan};

use crate::booking::nhs_number::NhsNumber;

const FAMILIES: [&str; 24] = [
    "Alderwick",
    "Bramblecote",
    "Cattermoor",
    "Dunnowby",
    "Eskdaleby",
    "Fothersgill",
    "Gantonworth",
    "Hobblethwaite",
    "Inglewhite",
    "Jessamour",
    "Kettlebrook",
    "Lanternby",
    "Murgatroyde",
    "Netherclough",
    "Oswaldwick",
    "Penhallick",
    "Quenneborough",
    "Rumbelowe",
    "Satterley",
    "Thistlewood",
    "Umberslade",
    "Vexworthy",
    "Wollstoneby",
    "Yarrowdale",
];

/// Given name, title and gender.
const GIVEN: [(&str, &str, &str); 24] = [
    ("Ambrose", "Mr", "male"),
    ("Beatrix", "Mrs", "female"),
    ("Caspian", "Mr", "male"),
    ("Delphine", "Ms", "female"),
    ("Emrys", "Mr", "male"),
    ("Fenella", "Mrs", "female"),
    ("Gideon", "Mr", "male"),
    ("Hermia", "Ms", "female"),
    ("Inigo", "Mr", "male"),
    ("Jacinta", "Mrs", "female"),
    ("Kester", "Mr", "male"),
    ("Lavinia", "Ms", "female"),
    ("Merlin", "Mr", "male"),
    ("Nerys", "Mrs", "female"),
    ("Osbert", "Mr", "male"),
    ("Perpetua", "Ms", "female"),
    ("Quentin", "Mr", "male"),
    ("Rosalba", "Mrs", "female"),
    ("Septimus", "Mr", "male"),
    ("Tamsin", "Ms", "female"),
    ("Ulric", "Mr", "male"),
    ("Verity", "Mrs", "female"),
    ("Wystan", "Mr", "male"),
    ("Zenobia", "Ms", "female"),
];

const STREETS: [&str; 12] = [
    "Lamplighter Row",
    "Gooseberry Lane",
    "Cobbler's Yard",
    "Windmill Rise",
    "Pewter Street",
    "Old Ferry Road",
    "Thimble Court",
    "Larkspur Avenue",
    "Tollgate Hill",
    "Saltmarsh Way",
    "Beekeeper Close",
    "Foundry Steps",
];

const TOWNS: [&str; 6] = ["Inventon", "Farholt", "Tidewell", "Mossbeck", "Netherby Cross", "Port Lantern"];

/// One of them.
#[derive(Clone, Debug)]
pub struct Person {
    /// A valid number of the test range.
    pub nhs_number: NhsNumber,
    /// Family name.
    pub family: &'static str,
    /// Given name.
    pub given: &'static str,
    /// Title.
    pub title: &'static str,
    /// FHIR's code.
    pub gender: &'static str,
    /// Date of birth.
    pub birth_date: Date,
    /// First line of the address.
    pub line: String,
    /// Town.
    pub town: &'static str,
    /// Postcode of an area that does not exist.
    pub postcode: String,
    /// Telephone number from the range that is kept for fiction.
    pub phone: String,
}

/// An endless supply, nobody twice.
#[derive(Debug)]
pub struct People {
    prefix: AtomicU32,
    seed: u64,
}

impl People {
    const FIRST: u32 = 900_000_000;
    const COUNT: u32 = 100_000_000;

    /// Starts at a random number, so that two runs against one gateway hardly ever meet; the seed decides what
    /// they are called and where they live.
    pub fn new(seed: u64) -> Self {
        let random = u32::try_from(uuid::Uuid::new_v4().as_u128() % u128::from(Self::COUNT)).unwrap_or_default();
        Self::starting_at(Self::FIRST + random, seed)
    }

    /// Starts at the given nine digits, for tests that want the same people each time.
    pub fn starting_at(prefix: u32, seed: u64) -> Self {
        Self { prefix: AtomicU32::new(prefix), seed }
    }

    /// The next one.
    pub fn next(&self) -> Person {
        loop {
            let prefix = self.prefix.fetch_add(1, Ordering::Relaxed) % Self::COUNT + Self::FIRST;
            if let Some(nhs_number) = NhsNumber::from_prefix(prefix) {
                return person(nhs_number, mix(self.seed ^ u64::from(prefix)));
            }
        }
    }
}

fn person(nhs_number: NhsNumber, random: u64) -> Person {
    let pick = |shift: u32, count: usize| (random >> shift) as usize % count;
    let (given, title, gender) = GIVEN[pick(0, GIVEN.len())];
    Person {
        nhs_number,
        family: FAMILIES[pick(8, FAMILIES.len())],
        given,
        title,
        gender,
        birth_date: date(1935, 1, 1).saturating_add(days(pick(16, 75 * 365))),
        line: format!("{} {}", 1 + pick(24, 180), STREETS[pick(32, STREETS.len())]),
        town: TOWNS[pick(36, TOWNS.len())],
        postcode: format!("XX{} {}{}{}", 1 + pick(40, 20), pick(44, 10), letter(pick(48, 20)), letter(pick(52, 20))),
        phone: format!("07700 900{:03}", pick(54, 1000)),
    }
}

fn days(count: usize) -> Span {
    i64::try_from(count).unwrap_or_default().days()
}

/// The letters that postcodes end in.
fn letter(index: usize) -> char {
    char::from(b"ABDEFGHJLNPQRSTUWXYZ"[index % 20])
}

/// Spreads a number over all bits (the finaliser of splitmix64).
pub(super) fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::booking::nhs_number::Range;

    #[test]
    fn nobody_comes_twice_and_everybody_is_from_the_test_range() {
        let people = People::new(1);
        let numbers: std::collections::HashSet<_> = (0..5000).map(|_| people.next().nhs_number).collect();
        assert_eq!(numbers.len(), 5000);
        assert!(numbers.iter().all(|number| number.range() == Range::Test));
    }

    #[test]
    fn the_range_is_not_left_at_its_end() {
        let people = People::starting_at(999_999_990, 1);
        assert!((0..30).all(|_| people.next().nhs_number.range() == Range::Test));
    }
}
