//! How many bits each level of each field is evidence: the weights of Fellegi and Sunter, `log2(m / u)`.
//!
//! The shipped weights are for patients in the United Kingdom. [`train`](super::train) estimates others from a file.

use std::collections::BTreeMap;

use super::compare::{ALL, Comparison, FIELDS, Field, LEVELS_MAX, home, name_bits};
use super::lexicon::Lexicon;
use super::normal::Record;

/// Weights in bits, and where grades begin.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    bits: [[f32; LEVELS_MAX]; FIELDS],
    /// From how many bits on a person decides.
    pub probable: f32,
    /// From how many bits on a pair is shown.
    pub possible: f32,
    /// Which part of its bits a second agreement of home, telephone, e-mail and practice adds to the first one.
    /// They agree together: whoever shares a home shares more than that.
    pub second_contact: f32,
}

/// What is wrong with weights that somebody wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeightError {
    /// There is no such field.
    #[error("there is no field `{0}`; the fields are {known}", known = ALL.map(Field::as_str).join(", "))]
    Field(String),
    /// The field has no such level.
    #[error("{0} has no level `{1}`")]
    Level(String, String),
    /// Not in the form that `onward match train` writes.
    #[error("{0}")]
    Form(String),
    /// Not a number that can be added.
    #[error("{0}: a weight must be a number between -60 and 60")]
    Size(String),
}

/// Weights as they are written down: field → level → bits. `grades` holds where grades begin.
pub type WrittenWeights = BTreeMap<String, BTreeMap<String, f64>>;

/// Highest evidence of an agreeing first name, surname.
const NAME_BITS_MAX: [f32; 2] = [11.0, 12.0];
const BITS_MAX: f64 = 60.0;

impl Default for Weights {
    fn default() -> Self {
        let mut bits = [[0.0; LEVELS_MAX]; FIELDS];
        let mut set = |field: Field, levels: &[f32]| bits[field as usize][..levels.len()].copy_from_slice(levels);
        set(Field::Number, &[0.0, -16.0, -5.0, 10.0, 14.0, 20.0]);
        set(Field::Given, &[0.0, -5.0, 0.5, 3.0, 5.0, 5.0, 9.0]);
        set(Field::Middle, &[0.0, -4.0, 1.5, 4.0]);
        set(Field::Family, &[0.0, -4.0, 1.0, 6.0, 6.0, 7.0, 9.0]);
        set(Field::Birth, &[0.0, -8.0, 1.0, 5.0, 6.0, 7.0, 13.0]);
        set(Field::Sex, &[0.0, -4.0, 1.0]);
        set(Field::Home, &[0.0, -2.0, -0.5, 4.0, 7.0, 8.0, 9.0]);
        set(Field::Phone, &[0.0, -0.5, 7.0, 8.0]);
        set(Field::Email, &[0.0, -0.5, 5.0, 10.0]);
        set(Field::Town, &[0.0, -0.5, 0.5, 1.0]);
        set(Field::Practice, &[0.0, -0.5, 4.0]);
        set(Field::LocalId, &[0.0, 0.0, 12.0]);
        set(Field::OtherId, &[0.0, -2.0, 8.0, 18.0]);
        Self { bits, probable: 22.5, possible: 15.0, second_contact: 0.4 }
    }
}

/// The score of a pair, with its parts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Score {
    /// Bits of each field, as they were added.
    pub parts: [f32; FIELDS],
    /// Their sum.
    pub total: f32,
}

impl Score {
    /// The sum without what numbers tell: how alike the people are.
    pub fn without_numbers(&self) -> f32 {
        self.total - self.parts[Field::Number as usize] - self.parts[Field::LocalId as usize]
    }
}

const CONTACT: [Field; 5] = [Field::Home, Field::Phone, Field::Email, Field::Town, Field::Practice];

impl Weights {
    /// The bits of a level.
    pub fn bits(&self, field: Field, level: u8) -> f32 {
        self.bits[field as usize][usize::from(level)]
    }

    /// Sets the bits of a level.
    pub fn set(&mut self, field: Field, level: u8, bits: f32) {
        self.bits[field as usize][usize::from(level)] = bits;
    }

    /// The score of a comparison.
    pub fn score(&self, a: &Record, b: &Record, found: &Comparison, lexicon: &Lexicon) -> Score {
        let mut score = Score::default();
        for field in ALL {
            let plain = self.bits(field, found.level(field));
            score.parts[field as usize] = match name_bits(a, b, found, lexicon, field) {
                // The table has the weight of a name of 9 bits; rarer names tell more, common ones less.
                Some(bits) if !found.names_exchanged => {
                    (bits + plain - 9.0).min(NAME_BITS_MAX[usize::from(field == Field::Family)])
                }
                _ => plain,
            };
        }
        self.temper_contact(found, &mut score);
        score.total = score.parts.iter().sum();
        score
    }

    /// Of what a home shares, only the strongest agreement counts in full.
    fn temper_contact(&self, found: &Comparison, score: &mut Score) {
        let part = |field: Field| score.parts[field as usize];
        let strongest = CONTACT.into_iter().max_by(|a, b| part(*a).total_cmp(&part(*b)));
        let Some(strongest) = strongest.filter(|field| 0.0 < part(*field)) else { return };
        for field in CONTACT.into_iter().filter(|field| *field != strongest) {
            let part = &mut score.parts[field as usize];
            // Who moved has another home; that the telephone is the same says that it is not somebody else's.
            let moved = *part < 0.0 && (field != Field::Home || home::SIMILAR <= found.level(Field::Home));
            *part *= if moved { 0.0 } else { self.second_contact };
        }
    }

    /// As a person may read and change them.
    pub fn written(&self) -> WrittenWeights {
        let round = |bits: f32| (f64::from(bits) * 100.0).round() / 100.0;
        let levels = |field: Field| {
            let levels = field.levels().iter().zip(0u8..).skip(1);
            levels.map(|(name, level)| ((*name).to_owned(), round(self.bits(field, level)))).collect()
        };
        let mut written: WrittenWeights = ALL.iter().map(|field| (field.as_str().to_owned(), levels(*field))).collect();
        let grades =
            [("probable", self.probable), ("possible", self.possible), ("second_contact", self.second_contact)];
        written.insert("grades".into(), grades.iter().map(|(name, bits)| ((*name).to_owned(), round(*bits))).collect());
        written
    }

    /// Reads the file that `onward match train` writes.
    pub fn from_toml(text: &str) -> Result<Self, WeightError> {
        let written = toml::from_str(text).map_err(|error| WeightError::Form(error.to_string()))?;
        Self::read(&written)
    }

    /// Reads what [`Self::written`] writes; what is left out is as shipped.
    pub fn read(written: &WrittenWeights) -> Result<Self, WeightError> {
        let mut weights = Self::default();
        for (name, levels) in written {
            for (level, bits) in levels {
                let sound = bits.is_finite() && bits.abs() <= BITS_MAX;
                let bits = if sound { *bits as f32 } else { return Err(WeightError::Size(format!("{name}.{level}"))) };
                weights.take(name, level, bits)?;
            }
        }
        Ok(weights)
    }

    fn take(&mut self, name: &str, level: &str, bits: f32) -> Result<(), WeightError> {
        let unknown = || WeightError::Level(name.to_owned(), level.to_owned());
        if name == "grades" {
            let place = match level {
                "probable" => &mut self.probable,
                "possible" => &mut self.possible,
                "second_contact" => &mut self.second_contact,
                _ => return Err(unknown()),
            };
            *place = bits;
            return Ok(());
        }
        let field = ALL.into_iter().find(|field| field.as_str() == name);
        let field = field.ok_or_else(|| WeightError::Field(name.to_owned()))?;
        let at = field.levels().iter().skip(1).position(|it| *it == level).ok_or_else(unknown)?;
        self.bits[field as usize][at + 1] = bits;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_read_as_they_are_written() {
        let mut weights = Weights::default();
        weights.set(Field::Phone, 2, 6.25);
        assert_eq!(Weights::read(&weights.written()), Ok(weights));
    }

    #[test]
    fn what_is_unknown_is_named() {
        let with = |field: &str, level: &str, bits| {
            let levels = BTreeMap::from([(level.to_owned(), bits)]);
            Weights::read(&BTreeMap::from([(field.to_owned(), levels)]))
        };
        assert!(matches!(with("shoe_size", "same", 1.0), Err(WeightError::Field(_))));
        assert!(matches!(with("phone", "louder", 1.0), Err(WeightError::Level(..))));
        assert!(matches!(with("phone", "same", f64::NAN), Err(WeightError::Size(_))));
        assert!(with("phone", "same", 3.0).is_ok());
    }

    #[test]
    fn every_field_has_as_many_weights_as_levels() {
        assert!(ALL.iter().all(|field| field.levels().len() <= LEVELS_MAX));
    }
}
