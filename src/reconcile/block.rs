//! Which pairs are worth comparing: those that share at least one key. Each key needs other fields, so that no single
//! field that is missing or wrong hides a pair.

use super::lexicon::{Lexicon, hash_parts};
use super::normal::Record;

/// How many keys there are.
pub const KEYS: usize = 22;
/// From this one on keys are wide: a field or two that many share. They count only where few records share the value.
pub const WIDE_FROM: usize = 16;

/// What each key is made of, for reports.
pub const NAMES: [&str; KEYS] = [
    "NHS number",
    "birth date and sound of the surname",
    "birth date and sound of the first name",
    "birth date and sounds of the names in any order",
    "first name and postcode",
    "postcode and birth date",
    "telephone and first name",
    "telephone and birth date",
    "e-mail",
    "address and first name",
    "names and year of birth",
    "names and day of birth",
    "sounds of the names and year of birth",
    "local number",
    "other number",
    "address and surname's sound and year of birth",
    "birth date",
    "names",
    "address",
    "postcode and surname",
    "telephone",
    "town and first name",
];

/// The key of one kind; `None` where the record lacks what it is made of. It depends on nothing but what the record
/// says, so it may be kept.
pub fn key(kind: usize, record: &Record, lexicon: &Lexicon) -> Option<u64> {
    let given = || (!record.given.is_missing()).then(|| lexicon.squeezed(record.given));
    let family = || (!record.family.is_missing()).then(|| lexicon.squeezed(record.family));
    let birth = || record.birth.is_whole().then(|| u64::from(record.birth.bits()));
    let year = || (record.birth.year() != 0).then(|| u64::from(record.birth.year()));
    let postcode = || (!record.postcode.is_missing()).then(|| record.postcode.bits());
    let phone = || (record.phone != 0).then_some(u64::from(record.phone));
    let given_sound = || (!record.given.is_missing()).then(|| u64::from(lexicon.sound(record.given)));
    let family_sound = || (!record.family.is_missing()).then(|| u64::from(lexicon.sound(record.family)));
    let street = || (!record.street.is_missing()).then(|| lexicon.squeezed(record.street) ^ u64::from(record.house));
    let parts = match kind {
        0 if !record.number.is_missing() => [record.number.value(), 0, 0],
        1 => [birth()?, family_sound()?, 0],
        2 => [birth()?, given_sound()?, 0],
        3 => {
            let (a, b) = (given_sound()?, family_sound()?);
            [birth()?, a.min(b), a.max(b)]
        }
        4 => [given()?, postcode()?, 0],
        5 => [postcode()?, birth()?, 0],
        6 => [phone()?, given()?, 0],
        7 => [phone()?, birth()?, 0],
        8 if record.email != 0 => [u64::from(record.email), 0, 0],
        9 => [street()?, given()?, u64::from(record.house != 0)],
        10 => [given()?, family()?, year()?],
        11 if record.birth.is_whole() && !record.birth.is_new_year() => {
            [given()?, family()?, u64::from(record.birth.bits() & 511)]
        }
        12 => [given_sound()?, family_sound()?, year()?],
        13 if record.local_id != 0 => [u64::from(record.source), u64::from(record.local_id), 0],
        14 if !record.other_id.is_missing() => [record.other_id.bits(), 0, 0],
        15 => [street()?, family_sound()?, year()?],
        16 => [birth()?, 0, 0],
        17 => [given_sound()?, family_sound()?, 0],
        18 => [street()?, 0, 0],
        19 => [postcode()?, family_sound()?, 0],
        20 => [phone()?, 0, 0],
        21 if !record.town.is_missing() => [lexicon.squeezed(record.town), given()?, 0],
        _ => return None,
    };
    Some(hash_parts(&[kind as u64, parts[0], parts[1], parts[2]]))
}
