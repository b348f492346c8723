//! From what a source wrote to a packed record that can be compared.

use super::date::Birth;
use super::lexicon::{Lexicon, Term, Usage};
use super::name;
use super::number::Number;
use super::place::{self, OtherId, Postcode};

/// A record as its source wrote it; empty: not given.
#[derive(Clone, Copy, Default)]
#[allow(missing_docs)]
pub struct Written<'a> {
    pub nhs_number: &'a str,
    /// NHS number status code, 01 to 08 (NHS Data Dictionary).
    pub nhs_number_status: &'a str,
    /// The number that replaced the record's own, where the national service says so.
    pub nhs_superseded_by: &'a str,
    pub family_name: &'a str,
    pub former_family_name: &'a str,
    /// First and middle names.
    pub given_names: &'a str,
    /// Middle names, where they stand apart.
    pub middle_names: &'a str,
    pub birth_date: &'a str,
    /// Any death date says that the person died.
    pub death_date: &'a str,
    pub gender: &'a str,
    pub postcode: &'a str,
    pub address: &'a str,
    pub town: &'a str,
    pub phone: &'a str,
    pub email: &'a str,
    pub gp_practice: &'a str,
    /// Who gave out the local number: an ODS code.
    pub source: &'a str,
    pub local_id: &'a str,
    /// Another number that identifies a person wherever it is used, with its kind: `passport|ESP|XDA123456`.
    pub other_id: &'a str,
    /// `pseudo`, `restricted`, `flagged`, parted by blanks or commas.
    pub flags: &'a str,
}

/// A record, packed. Numbers that stand for texts are equal for equal texts; 0 is "not given" everywhere.
#[derive(Clone, Default)]
#[allow(missing_docs)]
pub struct Record {
    pub number: Number,
    pub postcode: Postcode,
    pub other_id: OtherId,
    pub given: Term,
    pub middle: Term,
    pub family: Term,
    pub former: Term,
    pub street: Term,
    pub town: Term,
    pub birth: Birth,
    /// The numbers in the address.
    pub house: u32,
    pub phone: u32,
    pub email: u32,
    pub email_name: u32,
    pub practice: u32,
    pub source: u32,
    pub local_id: u32,
    pub sex: Sex,
    /// The place in the order of birth that a placeholder says; 0: none.
    pub ordinal: u8,
    pub flags: Flags,
}

/// As far as it tells people apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Sex {
    #[default]
    Unknown,
    Male,
    Female,
}

/// What else is known of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    /// The first name is a placeholder, such as `Baby`.
    pub const PLACEHOLDER: Self = Self(1);
    /// Nobody knows who it is, or it is not a person: never linked.
    pub const NOBODY: Self = Self(2);
    /// The national service or a person put a flag on it: never linked automatically.
    pub const FLAGGED: Self = Self(4);
    /// Lives where people live who are not a family.
    pub const COMMUNAL: Self = Self(8);
    /// Address and telephone are withheld.
    pub const RESTRICTED: Self = Self(16);
    /// Died.
    pub const DEAD: Self = Self(32);

    /// Is the flag set?
    pub fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    /// Sets a flag where something holds.
    pub fn set(&mut self, flag: Self, holds: bool) {
        self.0 |= if holds { flag.0 } else { 0 };
    }
}

/// Why a record cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The birth date is not a date.
    #[error("birth_date is not a date")]
    BirthDate,
}

/// Makes records, with the texts of their names in a lexicon. Keeps its buffers from record to record.
#[derive(Default)]
pub struct Normaliser {
    /// The texts so far.
    pub lexicon: Lexicon,
    given: String,
    other: String,
}

impl Normaliser {
    /// Goes on with the texts that are known.
    pub fn with(lexicon: Lexicon) -> Self {
        Self { lexicon, ..Self::default() }
    }

    /// Packs a record. Where its birth date cannot be read, the record without it is in the error's place.
    pub fn record(&mut self, written: &Written<'_>) -> (Record, Option<Unreadable>) {
        let mut record = Record::default();
        self.names(written, &mut record);
        self.home(written, &mut record);
        let birth = Birth::parse(written.birth_date);
        record.birth = birth.unwrap_or_default();
        record.number = number(written);
        record.sex = sex(written.gender);
        (record.email, record.email_name) = place::email(written.email);
        record.practice = place::code(written.gp_practice);
        record.source = place::code(written.source);
        record.local_id = place::code(written.local_id);
        record.other_id = OtherId::parse(written.other_id);
        flags(written, &mut record.flags);
        (record, birth.is_none().then_some(Unreadable::BirthDate))
    }

    fn names(&mut self, written: &Written<'_>, record: &mut Record) {
        self.given.clear();
        // A hyphen makes one name of two.
        fold_given(written.given_names, &mut self.given);
        if !written.middle_names.is_empty() {
            self.given.push(' ');
            fold_given(written.middle_names, &mut self.given);
        }
        let given = name::given(self.given.trim());
        record.flags.set(Flags::PLACEHOLDER, given.is_placeholder);
        record.ordinal = given.ordinal;
        self.other.clear();
        name::fold(written.family_name, &mut self.other);
        record.flags.set(Flags::NOBODY, name::is_nobody(&self.other, &given));
        record.family = self.lexicon.add(name::family(&self.other), Usage::Family);
        record.given = self.lexicon.add(given.first, Usage::Given);
        record.middle = self.lexicon.intern(given.middle);
        self.other.clear();
        name::fold(written.former_family_name, &mut self.other);
        record.former = self.lexicon.intern(name::family(&self.other));
    }

    fn home(&mut self, written: &Written<'_>, record: &mut Record) {
        self.other.clear();
        record.postcode = Postcode::parse(written.postcode);
        record.house = place::address(written.address, &mut self.other);
        record.flags.set(Flags::COMMUNAL, place::is_communal(&self.other));
        record.street = self.lexicon.intern(&self.other);
        self.other.clear();
        name::fold(written.town, &mut self.other);
        record.town = self.lexicon.add(&self.other, Usage::Place);
        record.phone = place::phone(written.phone);
    }
}

/// As other names, but a hyphen joins: `Lilly-Mae` is one first name.
fn fold_given(text: &str, out: &mut String) {
    match text.contains('-') {
        true => name::fold(&text.replace('-', ""), out),
        false => name::fold(text, out),
    }
}

fn number(written: &Written<'_>) -> Number {
    let newer = Number::parse(written.nhs_superseded_by, written.nhs_number_status);
    if newer.is_valid() { newer } else { Number::parse(written.nhs_number, written.nhs_number_status) }
}

fn sex(text: &str) -> Sex {
    match text.trim().as_bytes() {
        [b'm' | b'M', ..] | b"1" => Sex::Male,
        [b'f' | b'F', ..] | b"2" => Sex::Female,
        _ => Sex::Unknown,
    }
}

fn flags(written: &Written<'_>, flags: &mut Flags) {
    flags.set(Flags::DEAD, !written.death_date.trim().is_empty());
    for word in written.flags.split([' ', ',', ';']) {
        flags.set(Flags::NOBODY, word.eq_ignore_ascii_case("pseudo"));
        flags.set(Flags::RESTRICTED, word.eq_ignore_ascii_case("restricted"));
        flags.set(Flags::FLAGGED, word.eq_ignore_ascii_case("flagged"));
    }
}

impl Record {
    /// Moves its names from one lexicon to another.
    pub fn translate(&mut self, terms: &[Term]) {
        let names =
            [&mut self.given, &mut self.middle, &mut self.family, &mut self.former, &mut self.street, &mut self.town];
        for term in names {
            *term = terms[term.index()];
        }
    }

    /// Is the first name known?
    pub fn is_named(&self) -> bool {
        !self.given.is_missing()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(written: Written<'_>) -> Record {
        Normaliser::default().record(&written).0
    }

    #[test]
    fn a_record_is_small() {
        assert!(std::mem::size_of::<Record>() <= 88, "{}", std::mem::size_of::<Record>());
    }

    #[test]
    fn a_replaced_number_is_read_as_the_one_that_replaced_it() {
        let written = Written {
            nhs_number: "9612087768",
            nhs_number_status: "01",
            nhs_superseded_by: "9876543210",
            ..Written::default()
        };
        assert_eq!(record(written).number.value(), 9_876_543_210);
    }

    #[test]
    fn nobody_is_nobody() {
        let unknown = Written { given_names: "Unknown", family_name: "Male", ..Written::default() };
        assert!(record(unknown).flags.has(Flags::NOBODY));
        assert!(record(Written { flags: "restricted,pseudo", ..Written::default() }).flags.has(Flags::NOBODY));
        assert!(
            !record(Written { given_names: "Baby", family_name: "Doyle", ..Written::default() })
                .flags
                .has(Flags::NOBODY)
        );
    }

    #[test]
    fn what_is_no_date_is_told() {
        let (record, issue) = Normaliser::default().record(&Written { birth_date: "31st", ..Written::default() });
        assert!(record.birth.is_missing() && issue == Some(Unreadable::BirthDate));
    }
}
