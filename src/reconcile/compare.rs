//! How two records compare, field by field. Each field has a few levels; 0 is always "not given on one side".

use super::date::BirthLevel;
use super::distance::{is_one_edit, jaro_winkler};
use super::lexicon::{Lexicon, Term, Usage};
use super::normal::{Flags, Record, Sex};
use super::place::{OtherId, is_mobile};

/// Fields that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Field {
    Number,
    Given,
    Middle,
    Family,
    Birth,
    Sex,
    Home,
    Phone,
    Email,
    Town,
    Practice,
    LocalId,
    OtherId,
}

/// How many fields there are.
pub const FIELDS: usize = 13;
/// Levels of the field that has most of them, level 0 included.
pub const LEVELS_MAX: usize = 7;

/// All fields, in order.
pub const ALL: [Field; FIELDS] = [
    Field::Number,
    Field::Given,
    Field::Middle,
    Field::Family,
    Field::Birth,
    Field::Sex,
    Field::Home,
    Field::Phone,
    Field::Email,
    Field::Town,
    Field::Practice,
    Field::LocalId,
    Field::OtherId,
];

impl Field {
    /// Its name in files and tables.
    pub fn as_str(self) -> &'static str {
        [
            "nhs_number",
            "given_name",
            "middle_name",
            "family_name",
            "birth_date",
            "gender",
            "home",
            "phone",
            "email",
            "town",
            "gp_practice",
            "local_id",
            "other_id",
        ][self as usize]
    }

    /// What its levels mean; the first is "not given".
    pub fn levels(self) -> &'static [&'static str] {
        match self {
            Self::Number => &["missing", "differ", "differ, one is invalid", "one slip apart", "same, invalid", "same"],
            Self::Given => &["missing", "differ", "similar", "initial", "one slip apart", "form of one name", "same"],
            Self::Middle => &["missing", "differ", "similar", "same"],
            Self::Family => &["missing", "differ", "similar", "one slip apart", "part", "former name", "same"],
            Self::Birth => &[
                "missing",
                "differ",
                "two parts agree",
                "agree as far as known",
                "one digit apart",
                "day and month exchanged",
                "same",
            ],
            Self::Sex => &["missing", "differ", "same"],
            Self::Home => {
                &["missing", "differ", "near", "similar", "same postcode", "same address", "same address and postcode"]
            }
            Self::Phone => &["missing", "differ", "same", "same mobile"],
            Self::Email => &["missing", "differ", "similar", "same"],
            Self::Town => &["missing", "differ", "similar", "same"],
            Self::Practice => &["missing", "differ", "same"],
            Self::LocalId => &["missing", "differ", "same"],
            Self::OtherId => &["missing", "differ", "one slip apart", "same"],
        }
    }
}

/// Levels of [`Field::Given`].
#[allow(missing_docs)]
pub mod given {
    pub const MISSING: u8 = 0;
    pub const DIFFERENT: u8 = 1;
    pub const SIMILAR: u8 = 2;
    pub const INITIAL: u8 = 3;
    pub const SLIP: u8 = 4;
    pub const FORM: u8 = 5;
    pub const SAME: u8 = 6;
}

/// Levels of [`Field::Family`].
#[allow(missing_docs)]
pub mod family {
    pub const DIFFERENT: u8 = 1;
    pub const SIMILAR: u8 = 2;
    pub const SLIP: u8 = 3;
    pub const PART: u8 = 4;
    pub const FORMER: u8 = 5;
    pub const SAME: u8 = 6;
}

/// Levels of [`Field::Home`].
#[allow(missing_docs)]
pub mod home {
    pub const DIFFERENT: u8 = 1;
    pub const NEAR: u8 = 2;
    pub const SIMILAR: u8 = 3;
    pub const POSTCODE: u8 = 4;
    pub const ADDRESS: u8 = 5;
    pub const BOTH: u8 = 6;
}

/// How two records compare.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Comparison {
    levels: [u8; FIELDS],
    /// First name and surname stand in each other's place.
    pub names_exchanged: bool,
    /// First and middle name stand in each other's place.
    pub middle_exchanged: bool,
    /// Placeholders that name two who were born together.
    pub other_of_twins: bool,
}

impl Comparison {
    /// The level of a field.
    pub fn level(&self, field: Field) -> u8 {
        self.levels[field as usize]
    }

    /// Sets the level of a field.
    pub fn set(&mut self, field: Field, level: u8) {
        self.levels[field as usize] = level;
    }

    /// The level of the birth date.
    pub fn birth(&self) -> BirthLevel {
        match self.level(Field::Birth) {
            1 => BirthLevel::Different,
            2 => BirthLevel::TwoParts,
            3 => BirthLevel::Partial,
            4 => BirthLevel::OneDigit,
            5 => BirthLevel::Swapped,
            6 => BirthLevel::Same,
            _ => BirthLevel::Missing,
        }
    }
}

/// Compares two records whose names are in one lexicon.
pub fn compare(a: &Record, b: &Record, lexicon: &Lexicon) -> Comparison {
    let mut found = Comparison::default();
    found.set(Field::Number, a.number.compare(b.number) as u8);
    found.set(Field::Birth, a.birth.compare(b.birth) as u8);
    names(a, b, lexicon, &mut found);
    found.set(Field::Sex, sex_level(a.sex, b.sex));
    found.set(Field::Home, home_level(a, b, lexicon));
    found.set(Field::Phone, phone_level(a.phone, b.phone));
    found.set(Field::Email, email_level(a, b));
    found.set(Field::Town, text_level(a.town, b.town, lexicon));
    found.set(Field::Practice, code_level(a.practice, b.practice));
    let same_source = a.source == b.source;
    found.set(Field::LocalId, if same_source { code_level(a.local_id, b.local_id) } else { 0 });
    found.set(Field::OtherId, other_id_level(a.other_id, b.other_id));
    found
}

fn names(a: &Record, b: &Record, lexicon: &Lexicon, found: &mut Comparison) {
    let mut given = given_level(a, b, lexicon);
    let mut family = family_level(a, b, lexicon);
    let mut middle = middle_level(a.middle, b.middle, lexicon);
    let same = |x: Term, y: Term| !x.is_missing() && lexicon.squeezed(x) == lexicon.squeezed(y);
    if given <= given::SIMILAR && family <= family::SIMILAR {
        let crossed = [word_level(a.given, b.family, lexicon), word_level(a.family, b.given, lexicon)];
        if 3 <= crossed[0] + crossed[1] {
            found.names_exchanged = true;
            given = if crossed == [2, 2] { given::SAME } else { given::SLIP };
            family = if crossed == [2, 2] { family::SAME } else { family::SLIP };
        }
    }
    if given != given::SAME && same(a.given, b.middle) && same(a.middle, b.given) {
        (given, middle, found.middle_exchanged) = (given::SAME, 3, true);
    }
    // Known by the middle name: what is the middle name on one side was compared as first name.
    if given == given::FORM && middle == 1 && (same(a.given, b.middle) || same(a.middle, b.given)) {
        middle = 0;
    }
    found.other_of_twins = a.ordinal != 0 && b.ordinal != 0 && a.ordinal != b.ordinal;
    found.set(Field::Given, given);
    found.set(Field::Family, family);
    found.set(Field::Middle, middle);
}

/// 0 differ or missing, 1 one slip apart, 2 the same.
fn word_level(a: Term, b: Term, lexicon: &Lexicon) -> u8 {
    if a.is_missing() || b.is_missing() {
        return 0;
    }
    let (x, y) = (lexicon.text(a), lexicon.text(b));
    match lexicon.squeezed(a) == lexicon.squeezed(b) {
        true => 2,
        false => u8::from(4 <= x.len().min(y.len()) && is_one_edit(x, y)),
    }
}

fn given_level(a: &Record, b: &Record, lexicon: &Lexicon) -> u8 {
    if a.given.is_missing() || b.given.is_missing() {
        return given::MISSING;
    }
    if a.given == b.given || lexicon.squeezed(a.given) == lexicon.squeezed(b.given) {
        return given::SAME;
    }
    let (x, y) = (lexicon.text(a.given), lexicon.text(b.given));
    if x.len() == 1 || y.len() == 1 {
        let initial = x.as_bytes()[0] == y.as_bytes()[0];
        return if initial { given::INITIAL } else { given::DIFFERENT };
    }
    if lexicon.are_forms_of_one(a.given, b.given) || is_known_by_middle(a, b, lexicon) || is_joined(a, b, lexicon) {
        return given::FORM;
    }
    let shorter = x.len().min(y.len());
    if 4 <= shorter && is_one_edit(x, y) {
        return given::SLIP;
    }
    let alike = jaro_winkler(x, y);
    let sounds = lexicon.sound(a.given) == lexicon.sound(b.given) && 4 <= shorter;
    match () {
        () if 0.92 <= alike || sounds && 0.7 <= alike => given::SLIP,
        () if 0.82 <= alike => given::SIMILAR,
        () => given::DIFFERENT,
    }
}

/// One's first name is the other's middle name, and nothing contradicts it.
fn is_known_by_middle(a: &Record, b: &Record, lexicon: &Lexicon) -> bool {
    let by_middle = |one: &Record, other: &Record| {
        !one.middle.is_missing() && other.middle.is_missing() && first_word_is(lexicon, one.middle, other.given)
    };
    by_middle(a, b) || by_middle(b, a)
}

fn first_word_is(lexicon: &Lexicon, long: Term, word: Term) -> bool {
    lexicon.text(long).split(' ').next() == Some(lexicon.text(word))
}

/// `Anne Marie` and `Annemarie`.
fn is_joined(a: &Record, b: &Record, lexicon: &Lexicon) -> bool {
    let joins = |parted: &Record, whole: Term| {
        let (first, second) = (lexicon.text(parted.given), lexicon.text(parted.middle));
        let whole = lexicon.text(whole);
        !second.is_empty() && whole.strip_prefix(first) == Some(second)
    };
    joins(a, b.given) || joins(b, a.given)
}

fn middle_level(a: Term, b: Term, lexicon: &Lexicon) -> u8 {
    if a.is_missing() || b.is_missing() {
        return 0;
    }
    if lexicon.squeezed(a) == lexicon.squeezed(b) {
        return 3;
    }
    let (x, y) = (lexicon.text(a), lexicon.text(b));
    let shorter = x.len().min(y.len());
    let begins = shorter == 1 && x.as_bytes()[0] == y.as_bytes()[0];
    let part = x.split(' ').any(|word| y.split(' ').any(|other| word == other));
    let alike = begins || part || lexicon.are_forms_of_one(a, b) || 4 <= shorter && is_one_edit(x, y);
    if alike || 0.9 < jaro_winkler(x, y) { 2 } else { 1 }
}

fn family_level(a: &Record, b: &Record, lexicon: &Lexicon) -> u8 {
    if a.family.is_missing() || b.family.is_missing() {
        return 0;
    }
    let same = |x: Term, y: Term| !x.is_missing() && (x == y || lexicon.squeezed(x) == lexicon.squeezed(y));
    if same(a.family, b.family) {
        return family::SAME;
    }
    if same(a.former, b.family) || same(a.family, b.former) {
        return family::FORMER;
    }
    let (x, y) = (lexicon.text(a.family), lexicon.text(b.family));
    if is_part(x, y) || is_part(y, x) {
        return family::PART;
    }
    let shorter = x.len().min(y.len());
    if 4 <= shorter && is_one_edit(x, y) {
        return family::SLIP;
    }
    let alike = jaro_winkler(x, y);
    let sounds = lexicon.sound(a.family) == lexicon.sound(b.family) && 4 <= shorter;
    match () {
        () if 0.93 <= alike || sounds && 0.7 <= alike => family::SLIP,
        () if 0.85 <= alike => family::SIMILAR,
        () => family::DIFFERENT,
    }
}

/// Does a name of several words have a word of the other one?
fn is_part(several: &str, other: &str) -> bool {
    several.contains(' ') && several.split(' ').any(|word| 2 < word.len() && other.split(' ').any(|it| it == word))
}

fn sex_level(a: Sex, b: Sex) -> u8 {
    if a == Sex::Unknown || b == Sex::Unknown { 0 } else { 1 + u8::from(a == b) }
}

fn code_level(a: u32, b: u32) -> u8 {
    if a == 0 || b == 0 { 0 } else { 1 + u8::from(a == b) }
}

fn phone_level(a: u32, b: u32) -> u8 {
    match code_level(a, b) {
        2 if is_mobile(a) => 3,
        level => level,
    }
}

fn email_level(a: &Record, b: &Record) -> u8 {
    match code_level(a.email, b.email) {
        2 => 3,
        1 if a.email_name == b.email_name => 2,
        level => level,
    }
}

fn other_id_level(a: OtherId, b: OtherId) -> u8 {
    match (a.is_missing() || b.is_missing(), a == b) {
        (true, _) => 0,
        (_, true) => 3,
        _ => 1 + u8::from(a.is_one_slip_from(b)),
    }
}

fn text_level(a: Term, b: Term, lexicon: &Lexicon) -> u8 {
    if a.is_missing() || b.is_missing() {
        return 0;
    }
    if a == b || lexicon.squeezed(a) == lexicon.squeezed(b) {
        return 3;
    }
    let (x, y) = (lexicon.text(a), lexicon.text(b));
    if 4 <= x.len().min(y.len()) && (is_one_edit(x, y) || 0.9 <= jaro_winkler(x, y)) { 2 } else { 1 }
}

fn home_level(a: &Record, b: &Record, lexicon: &Lexicon) -> u8 {
    let postcode = (!a.postcode.is_missing() && !b.postcode.is_missing()).then(|| a.postcode == b.postcode);
    let street = street_level(a, b, lexicon);
    let slip = || a.postcode.is_one_slip_from(b.postcode);
    let near = || a.postcode.is_near(b.postcode);
    match (street, postcode) {
        (3, Some(true)) => home::BOTH,
        (2, Some(true)) => home::ADDRESS,
        (_, Some(true)) => home::POSTCODE,
        (3, Some(false)) if slip() => home::ADDRESS,
        (3, None) => home::ADDRESS,
        (3, Some(false)) if near() => home::SIMILAR,
        (2, None) => home::SIMILAR,
        (2, Some(false)) if slip() => home::SIMILAR,
        (_, Some(false)) if near() || slip() => home::NEAR,
        (0, None) => 0,
        _ => home::DIFFERENT,
    }
}

/// 0 missing, 1 differ, 2 alike, 3 same line of the address, with its numbers.
fn street_level(a: &Record, b: &Record, lexicon: &Lexicon) -> u8 {
    if a.street.is_missing() || b.street.is_missing() {
        return 0;
    }
    let numbers = a.house == b.house && a.house != 0;
    let (x, y) = (lexicon.text(a.street), lexicon.text(b.street));
    let words = a.street == b.street || lexicon.squeezed(a.street) == lexicon.squeezed(b.street);
    let alike = || 4 <= x.len().min(y.len()) && (is_one_edit(x, y) || 0.9 <= jaro_winkler(x, y));
    match (words, numbers) {
        (true, true) => 3,
        (true, false) if a.house == 0 || b.house == 0 => 2,
        (false, true) if alike() => 2,
        _ => 1,
    }
}

/// Bits that an agreement on a name tells, from how common the name is; `None` where the level says nothing of it.
pub fn name_bits(a: &Record, b: &Record, found: &Comparison, lexicon: &Lexicon, field: Field) -> Option<f32> {
    let rarer = |x: Term, y: Term, usage| lexicon.bits(x, usage).min(lexicon.bits(y, usage));
    match (field, found.level(field)) {
        (Field::Given, given::SAME) => Some(rarer(a.given, b.given, Usage::Given)),
        (Field::Family, family::SAME) => Some(rarer(a.family, b.family, Usage::Family)),
        _ => None,
    }
}

/// Do they live, as far as is known, where people live who are not a family?
pub fn is_communal(a: &Record, b: &Record) -> bool {
    a.flags.has(Flags::COMMUNAL) || b.flags.has(Flags::COMMUNAL)
}
