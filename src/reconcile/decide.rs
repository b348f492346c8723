//! What follows from a comparison. Rules stand before the sum of bits: see [`super`].

use super::Grade;
use super::compare::{Comparison, Field, compare, family, given, home, is_communal};
use super::date::BirthLevel;
use super::lexicon::Lexicon;
use super::normal::{Flags, Record};
use super::number::NumberLevel;
use super::weight::{Score, Weights};

macro_rules! rules {
    ($($name:ident $text:literal)*) => {
        /// The rule by which a pair was graded.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[allow(missing_docs)]
        pub enum Rule { $(#[doc = $text] $name,)* }

        impl Rule {
            /// The rule in words.
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

rules! {
    Nobody "one of them says that nobody knows who it is"
    NobodyWithNumber "one of them says that nobody knows who it is, but the NHS number is the same"
    Flagged "one of them is flagged: a person decides"
    BornTogether "placeholders for two who were born together"
    NumberAndPerson "the same NHS number, and name and birth date agree"
    NumberAndBirthDate "the same NHS number and birth date, and nothing about the name contradicts"
    NumberAndContact "the same NHS number, a compatible name, and home, telephone or e-mail agree"
    NumberOfAnother "the same NHS number, but name or birth date are another's: it may have been mixed up"
    TwoNumbers "two valid NHS numbers, and yet all else agrees: one may be wrong, or the person has two"
    TwoNumbersShown "two valid NHS numbers with the same name and birth date"
    TwoNumbersDiffer "two valid NHS numbers are two people"
    NumberSlip "one slip in the NHS number, and name and birth date agree"
    OtherNumber "the same other number, and name and birth date agree"
    OtherNumberOnly "the same other number, but name or birth date differ"
    LocalNumber "the same local number at the same source, and name and birth date agree"
    LocalNumberOnly "the same local number at the same source, but name or birth date differ"
    NamesAndBirthDate "names and birth date are the same, and home, telephone or e-mail confirm it"
    NamesAndPractice "uncommon names, birth date and practice are the same"
    SurnameDiffers "first name and birth date are the same, the surname changed or has a slip, and contacts confirm it"
    BirthDateSlip "names are the same, the birth date has a slip, and contacts confirm it"
    FirstNameForm "another form of the first name, all else is the same, and contacts confirm it"
    FirstNameDiffers "another first name: brothers, sisters and twins share all the rest"
    FirstNameShown "another first name, all else agrees: a twin, or somebody who is called otherwise"
    BirthDateDiffers "another birth date: parents and children share name and home"
    BirthDateShown "another birth date, but telephone or e-mail are the person's own"
    Weight "by weight"
    Light "too little agrees"
    Rival "somebody else could be meant as well"
    Unseen "too many have what is known of them in common to look at all: somebody else could be meant"
    JoinsTwo "it would join two people who are known to be different"
    ThroughAnother "both are the same person as a third record"
}

/// What a pair is, and why.
#[derive(Clone, Copy)]
pub struct Judged {
    /// Field by field.
    pub found: Comparison,
    /// In bits.
    pub score: Score,
    /// How sure it is.
    pub grade: Grade,
    /// By which rule.
    pub rule: Rule,
}

/// Everything that a decision needs beside the two records.
pub struct Matcher<'a> {
    /// The texts of the names.
    pub lexicon: &'a Lexicon,
    /// In bits.
    pub weights: &'a Weights,
    /// The present year: tells children from adults.
    pub year: u32,
}

/// Under this age (years of birth, not birthdays) a slip in the first name may be a twin.
const ADULT_YEARS: u32 = 18;
/// A slip that is a decade or more may be somebody else's year of birth.
const DECADE_YEARS: u32 = 10;
/// A generation: from so many years on, people of one name are parent and child.
const GENERATION_YEARS: u32 = 13;
/// From so many bits on two agreeing names are uncommon.
const UNCOMMON_BITS: f32 = 14.0;

impl Matcher<'_> {
    /// Compares two records and grades the pair. Whether somebody else could be meant is not known here:
    /// see [`super::rival`].
    pub fn judge(&self, a: &Record, b: &Record) -> Judged {
        let found = compare(a, b, self.lexicon);
        let score = self.weights.score(a, b, &found, self.lexicon);
        let facts = Facts { a, b, found: &found, score: &score, weights: self.weights, year: self.year };
        let (grade, rule) = facts.decide();
        Judged { found, score, grade, rule }
    }
}

/// A comparison with the questions that rules ask of it.
struct Facts<'a> {
    a: &'a Record,
    b: &'a Record,
    found: &'a Comparison,
    score: &'a Score,
    weights: &'a Weights,
    year: u32,
}

type Decision = (Grade, Rule);

impl Facts<'_> {
    fn level(&self, field: Field) -> u8 {
        self.found.level(field)
    }

    fn given(&self) -> u8 {
        self.level(Field::Given)
    }

    fn family(&self) -> u8 {
        self.level(Field::Family)
    }

    fn birth(&self) -> BirthLevel {
        self.found.birth()
    }

    fn number(&self) -> u8 {
        self.level(Field::Number)
    }

    fn sexes_differ(&self) -> bool {
        self.level(Field::Sex) == 1
    }

    fn middles_differ(&self) -> bool {
        self.level(Field::Middle) == 1
    }

    /// Telephone or e-mail that is one person's, not a home's.
    fn is_reached_in_person(&self) -> bool {
        self.level(Field::Phone) == 3 || self.level(Field::Email) == 3
    }

    /// How many of home, telephone and e-mail agree.
    fn contacts(&self) -> usize {
        let home = home::POSTCODE <= self.level(Field::Home);
        let phone = 2 <= self.level(Field::Phone);
        let email = self.level(Field::Email) == 3;
        usize::from(home) + usize::from(phone) + usize::from(email)
    }

    fn is_child(&self) -> bool {
        let born = self.a.birth.year().max(self.b.birth.year());
        born == 0 || self.year < born + ADULT_YEARS
    }

    fn years_apart(&self) -> u32 {
        self.a.birth.year().abs_diff(self.b.birth.year())
    }

    fn has(&self, flag: Flags) -> bool {
        self.a.flags.has(flag) || self.b.flags.has(flag)
    }

    fn name_bits(&self) -> f32 {
        self.score.parts[Field::Given as usize] + self.score.parts[Field::Family as usize]
    }

    fn decide(&self) -> Decision {
        let same_number = self.number() == NumberLevel::Same as u8;
        if self.has(Flags::NOBODY) {
            return if same_number { (Grade::Probable, Rule::NobodyWithNumber) } else { (Grade::None, Rule::Nobody) };
        }
        if self.found.other_of_twins && !same_number {
            return (Grade::None, Rule::BornTogether);
        }
        let decision = match self.number() {
            _ if same_number => self.same_number(),
            number if number == NumberLevel::Different as u8 => self.two_numbers(),
            _ => self.without_number(),
        };
        match decision {
            (Grade::Certain, _) if self.has(Flags::FLAGGED) => (Grade::Probable, Rule::Flagged),
            decision => decision,
        }
    }

    /// A number alone joins nobody: it may have been mixed up, most often within a family.
    fn same_number(&self) -> Decision {
        let (given, family, birth) = (self.given(), self.family(), self.birth());
        let certain = |rule| (Grade::Certain, rule);
        let compatible = given::INITIAL <= given;
        if birth == BirthLevel::Same {
            let unnamed = given == given::MISSING && family::SLIP <= family;
            let alike = given == given::SIMILAR && family::SLIP <= family && !self.sexes_differ();
            if compatible || unnamed || alike {
                return certain(Rule::NumberAndBirthDate);
            }
            // Called otherwise. Twins have one surname, and do not share a mobile telephone or a mailbox.
            let no_twin = family < family::SLIP && 1 <= self.contacts() || self.is_reached_in_person();
            if no_twin && !self.is_child() && !self.sexes_differ() {
                return certain(Rule::NumberAndContact);
            }
        }
        if given::SLIP <= given && family::SLIP <= family && BirthLevel::TwoParts <= birth {
            return certain(Rule::NumberAndPerson);
        }
        if given == given::INITIAL && family::SLIP <= family && BirthLevel::Partial <= birth {
            return certain(Rule::NumberAndPerson);
        }
        if given == given::SAME && BirthLevel::Partial <= birth && !self.sexes_differ() {
            return certain(Rule::NumberAndPerson);
        }
        let confirmed = 1 <= self.contacts() && !self.sexes_differ() && !self.middles_differ();
        let known_year = birth == BirthLevel::Missing || BirthLevel::Partial <= birth;
        if confirmed && known_year && given::SLIP <= given && family::SLIP <= family {
            return certain(Rule::NumberAndContact);
        }
        if confirmed
            && BirthLevel::Partial <= birth
            && given == given::SIMILAR
            && family::SLIP <= family
            && !self.is_child()
        {
            return certain(Rule::NumberAndContact);
        }
        (Grade::Probable, Rule::NumberOfAnother)
    }

    /// No slip makes one valid number of another, so these are two people, or one of the numbers is not the person's.
    fn two_numbers(&self) -> Decision {
        let person =
            given::FORM <= self.given() && family::SLIP <= self.family() && BirthLevel::OneDigit <= self.birth();
        let contradicted = self.middles_differ() || self.sexes_differ();
        if person && 1 <= self.contacts() && !contradicted {
            return (Grade::Probable, Rule::TwoNumbers);
        }
        let shown = self.given() == given::SAME && family::PART <= self.family() && self.birth() == BirthLevel::Same;
        if shown && !contradicted {
            return (Grade::Possible, Rule::TwoNumbersShown);
        }
        (Grade::None, Rule::TwoNumbersDiffer)
    }

    /// Nothing but what a record says of the person.
    fn without_number(&self) -> Decision {
        if let Some(decision) = self.other_numbers() {
            return decision;
        }
        if let Some(rule) = self.near_number().or_else(|| self.demographics()) {
            return (Grade::Certain, rule);
        }
        if let Some(decision) = self.contradiction() {
            return decision;
        }
        match self.score.total {
            bits if self.weights.probable <= bits => (Grade::Probable, Rule::Weight),
            bits if self.weights.possible <= bits => (Grade::Possible, Rule::Weight),
            _ => (Grade::None, Rule::Light),
        }
    }

    /// Passports and the like; and the source's own numbers, which are given out again.
    fn other_numbers(&self) -> Option<Decision> {
        let parts = [given::SLIP <= self.given(), family::SLIP <= self.family(), BirthLevel::Partial <= self.birth()];
        let agreeing = parts.into_iter().filter(|it| *it).count();
        let sure = agreeing == 3 && !self.sexes_differ() && !self.middles_differ();
        match (self.level(Field::OtherId) == 3, self.level(Field::LocalId) == 2) {
            (true, _) if sure => Some((Grade::Certain, Rule::OtherNumber)),
            (true, _) => Some((Grade::Probable, Rule::OtherNumberOnly)),
            (_, true) if sure => Some((Grade::Certain, Rule::LocalNumber)),
            (_, true) if 2 <= agreeing => Some((Grade::Probable, Rule::LocalNumberOnly)),
            (_, true) => Some((Grade::None, Rule::LocalNumberOnly)),
            _ => None,
        }
    }

    fn near_number(&self) -> Option<Rule> {
        let near = [NumberLevel::Near as u8, NumberLevel::SameInvalid as u8].contains(&self.number());
        let exact = self.given() == given::SAME && family::PART <= self.family() && self.birth() == BirthLevel::Same;
        let alike = given::SLIP <= self.given() && family::SLIP <= self.family() && BirthLevel::Partial <= self.birth();
        let twin = self.given() != given::SAME && self.is_child();
        let sure = exact || alike && 1 <= self.contacts() && !twin;
        (near && sure && !self.middles_differ() && !self.sexes_differ()).then_some(Rule::NumberSlip)
    }

    /// What is a person's own must agree, and something of another kind must confirm it.
    fn demographics(&self) -> Option<Rule> {
        let (given, family, birth, contacts) = (self.given(), self.family(), self.birth(), self.contacts());
        let two = 2 <= contacts;
        if self.middles_differ() || self.sexes_differ() && !(two && given == given::SAME) {
            return None;
        }
        let at_home = home::ADDRESS <= self.level(Field::Home);
        let similar_home = self.level(Field::Home) == home::SIMILAR;
        if given == given::SAME && birth == BirthLevel::Same {
            if family::PART <= family && (1 <= contacts || similar_home) {
                return Some(Rule::NamesAndBirthDate);
            }
            if family::SLIP <= family && (two || at_home || self.is_reached_in_person()) {
                return Some(Rule::SurnameDiffers);
            }
            let another = family == family::DIFFERENT || family == family::SIMILAR;
            if another && two && !self.is_child() && !is_communal(self.a, self.b) {
                return Some(Rule::SurnameDiffers);
            }
            let rare = UNCOMMON_BITS <= self.name_bits() && self.level(Field::Practice) == 2;
            if family::FORMER <= family && rare && self.level(Field::Sex) == 2 {
                return Some(Rule::NamesAndPractice);
            }
        }
        // Two contacts, or one that is the person's own, or a home and the middle name.
        // A mailbox that is named after a common name may be a namesake's.
        let mail = self.level(Field::Email) == 3 && (two || UNCOMMON_BITS <= self.name_bits());
        let own = self.level(Field::Phone) == 3 || mail || self.level(Field::Middle) == 3 && at_home;
        let near = matches!(birth, BirthLevel::Swapped | BirthLevel::OneDigit) && self.years_apart() < DECADE_YEARS;
        let slip = matches!(birth, BirthLevel::Swapped | BirthLevel::OneDigit | BirthLevel::Partial)
            || birth == BirthLevel::TwoParts && self.years_apart() == 0;
        let aged = !self.is_child() || self.years_apart() == 0;
        if given == given::SAME && family::PART <= family && aged && (slip && two || near && own) {
            return Some(Rule::BirthDateSlip);
        }
        let form = matches!(given, given::FORM | given::SLIP | given::INITIAL);
        let surname = family::PART <= family || family::SLIP <= family && two;
        let rest = surname && birth == BirthLevel::Same;
        // Twins share home and, now and then, the middle name; not a telephone of their own.
        let confirmed = self.is_reached_in_person() || given == given::FORM && (two || own);
        (form && rest && confirmed && !self.is_child()).then_some(Rule::FirstNameForm)
    }

    /// What families share agrees, and what is a person's own does not.
    fn contradiction(&self) -> Option<Decision> {
        let (given, family, birth) = (self.given(), self.family(), self.birth());
        if birth == BirthLevel::Different {
            let own = given == given::SAME && family == family::SAME && self.is_reached_in_person();
            let shown = own && self.years_apart() < GENERATION_YEARS;
            return Some(if shown {
                (Grade::Possible, Rule::BirthDateShown)
            } else {
                (Grade::None, Rule::BirthDateDiffers)
            });
        }
        if given == given::DIFFERENT || given == given::SIMILAR && 1 <= self.contacts() {
            let same = family::PART <= family && birth == BirthLevel::Same && !self.sexes_differ();
            let shown = same && !self.is_child() && (1 <= self.contacts());
            return Some(if shown {
                (Grade::Possible, Rule::FirstNameShown)
            } else {
                (Grade::None, Rule::FirstNameDiffers)
            });
        }
        // Names alone, and a birth date that is not the same: namesakes are more frequent than slips.
        let apart = self.contacts() == 0 && self.level(Field::Home) < home::SIMILAR && birth != BirthLevel::Same;
        (apart && self.score.total < self.weights.probable).then_some((Grade::None, Rule::Light))
    }
}
