//! Could somebody else be meant as well? Then a person decides.

use super::Grade;
use super::compare::{Field, family, given};
use super::date::BirthLevel;
use super::decide::{Judged, Matcher, Rule};
use super::normal::Record;
use super::number::NumberLevel;

/// Somebody who is so many bits less alike could still be meant.
pub const MARGIN_BITS: f32 = 6.0;

impl Judged {
    /// Can no rival put it in doubt? Number, names and birth date all agree.
    pub fn is_beyond_rivals(&self) -> bool {
        let level = |field| self.found.level(field);
        level(Field::Number) == NumberLevel::Same as u8
            && level(Field::Given) == given::SAME
            && self.found.birth() == BirthLevel::Same
            && family::SLIP <= level(Field::Family)
    }

    /// From how many bits (without numbers) on a third record is a rival.
    pub fn rival_bits(&self) -> f32 {
        let same_number = self.found.level(Field::Number) == NumberLevel::Same as u8;
        // Who has the same number must be beaten outright.
        self.score.without_numbers() - if same_number { 0.0 } else { MARGIN_BITS }
    }

    /// With a rival.
    pub fn in_doubt(self) -> Self {
        Self { grade: self.grade.min(Grade::Probable), rule: Rule::Rival, ..self }
    }
}

impl Matcher<'_> {
    /// Are these known to be two people?
    pub fn are_two(&self, a: &Record, b: &Record) -> bool {
        match a.number.compare(b.number) {
            NumberLevel::Different => true,
            NumberLevel::Same => false,
            _ => {
                let judged = self.judge(a, b);
                let rules = [Rule::FirstNameDiffers, Rule::FirstNameShown, Rule::BornTogether, Rule::BirthDateDiffers];
                judged.grade < Grade::Probable && rules.contains(&judged.rule)
            }
        }
    }
}
