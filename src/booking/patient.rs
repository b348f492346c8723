//! The patient, as far as a booking needs to know one.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::identifier::{Identifier, OdsCode, PatientId};
use super::nhs_number::NhsNumber;

/// A patient record. Nothing in it is printed by `Debug` but its id.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patient {
    /// This gateway's id.
    pub id: PatientId,
    /// The NHS number, only where it is proven: verified by the sender and passing its check.
    /// It is the only thing that links two messages about one person by itself.
    pub nhs_number: Option<NhsNumber>,
    /// Who the record says the person is.
    pub demographics: Demographics,
    /// It is no longer used: withdrawn, or the same person's as this other record, which took over all that it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<PatientId>,
}

/// What is said about a person.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demographics {
    /// All identifiers, as sent, NHS numbers that prove nothing included.
    pub identifiers: Vec<Identifier>,
    /// NHS number status code 01 to 08 (NHS Data Dictionary), where it was said.
    pub nhs_number_status: Option<String>,
    /// Names, the official one first.
    pub names: Vec<HumanName>,
    /// Date of birth as written: `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
    pub birth_date: Option<String>,
    /// FHIR AdministrativeGender.
    pub gender: Option<Gender>,
    /// Addresses, as sent.
    pub addresses: Vec<Address>,
    /// Telephone numbers and e-mail addresses of the patient.
    pub telecoms: Vec<Telecom>,
    /// The registered practice.
    pub practice: Option<OdsCode>,
    /// The date of death as written, or `true` where only the fact is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deceased: Option<String>,
    /// Where the person lives and how to reach them is not to be told to others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restricted: bool,
    /// Nobody knows who it is: never taken for anybody by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unidentified: bool,
}

/// FHIR AdministrativeGender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Gender {
    Male,
    Female,
    Other,
    Unknown,
}

/// A name.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HumanName {
    /// FHIR NameUse: usual, official, temp, nickname, anonymous, old or maiden.
    pub usage: Option<String>,
    /// Surname.
    pub family: Option<String>,
    /// First and middle names, in order.
    pub given: Vec<String>,
    /// Titles.
    pub prefix: Vec<String>,
    /// Suffixes.
    pub suffix: Vec<String>,
    /// The whole name as text.
    pub text: Option<String>,
}

/// A postal address.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// FHIR AddressUse: home, work, temp, old or billing.
    pub usage: Option<String>,
    /// Street lines.
    pub lines: Vec<String>,
    /// Town.
    pub city: Option<String>,
    /// County.
    pub district: Option<String>,
    /// Postcode, as sent.
    pub postal_code: Option<String>,
    /// Country.
    pub country: Option<String>,
    /// The whole address as text.
    pub text: Option<String>,
}

/// A way to reach somebody.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Telecom {
    /// FHIR ContactPointSystem: phone, email, sms …
    pub system: Option<String>,
    /// The number or address.
    pub value: Option<String>,
    /// FHIR ContactPointUse: home, work, mobile …
    pub usage: Option<String>,
}

impl Demographics {
    /// Without an NHS number that is nobody's any more, and with the one that took its place.
    pub fn renumber(&mut self, old: NhsNumber, newer: Option<NhsNumber>) {
        let is_old = |it: &Identifier| it.system == NhsNumber::SYSTEM && NhsNumber::parse(&it.value) == Ok(old);
        match newer {
            Some(newer) => {
                let held = self.identifiers.iter_mut().filter(|it| is_old(it));
                held.for_each(|it| newer.as_str().clone_into(&mut it.value));
            }
            None => {
                self.identifiers.retain(|it| !is_old(it));
                self.nhs_number_status = None;
            }
        }
    }

    /// Is neither surname nor date of birth known?
    pub fn is_blank(&self) -> bool {
        self.birth_date.is_none() && self.name().is_none_or(|name| name.family.is_none())
    }

    /// The official name, or else the first; one with a surname before any that is only a text.
    pub fn name(&self) -> Option<&HumanName> {
        let official = self.names.iter().filter(|name| name.usage.as_deref() == Some("official"));
        let in_order = || official.clone().chain(&self.names);
        in_order().find(|name| name.family.is_some()).or_else(|| in_order().next())
    }

    /// Of the surname and the date of birth, is there one that both give, and none that is the same?
    /// Used to check a link that is claimed, never to look for one. Absent says nothing.
    pub fn contradicts(&self, other: &Self) -> bool {
        let family = |who: &Self| who.name().and_then(|name| name.family.as_deref()).map(folded);
        let same = |a: Option<String>, b: Option<String>| a.zip(b).map(|(a, b)| a == b);
        let compared = [same(self.birth_date.clone(), other.birth_date.clone()), same(family(self), family(other))];
        compared.contains(&Some(false)) && !compared.contains(&Some(true))
    }

    /// This record with what another message adds: what is absent there stays as it is here.
    pub fn updated_by(&self, newer: &Self) -> Self {
        let names: Vec<HumanName> = newer.names.iter().map(|name| name.completed_from(&self.names)).collect();
        Self {
            identifiers: renewed(&self.identifiers, &newer.identifiers, |a, b| a.system == b.system),
            nhs_number_status: newer.nhs_number_status.clone().or(self.nhs_number_status.clone()),
            names: renewed(&self.names, &names, |a, b| a.usage == b.usage),
            birth_date: newer.birth_date.clone().or(self.birth_date.clone()),
            gender: newer.gender.or(self.gender),
            addresses: renewed(&self.addresses, &newer.addresses, |a, b| a.usage == b.usage),
            telecoms: renewed(&self.telecoms, &newer.telecoms, |a, b| (&a.system, &a.usage) == (&b.system, &b.usage)),
            practice: newer.practice.clone().or(self.practice.clone()),
            deceased: newer.deceased.clone().or(self.deceased.clone()),
            restricted: newer.restricted || self.restricted,
            unidentified: newer.unidentified,
        }
    }

    /// Are these about one person as far as a reader can tell: same surname, same first name's
    /// initial and same date of birth, each present on both sides?
    pub fn agrees(&self, other: &Self) -> bool {
        let key = |who: &Self| {
            let name = who.name()?;
            let initial = folded(name.given.first()?).chars().next()?;
            Some((folded(name.family.as_deref()?), initial, who.birth_date.clone()?))
        };
        matches!((key(self), key(other)), (Some(a), Some(b)) if a == b)
    }
}

impl HumanName {
    /// With the surname and the first names of the held name of the same use, or of the same surname, where this
    /// one lacks them.
    fn completed_from(&self, held: &[Self]) -> Self {
        let same_family = |held: &&Self| self.family.is_some() && self.family == held.family;
        let same_use = held.iter().find(|held| held.usage == self.usage);
        let Some(held) = same_use.or_else(|| held.iter().find(same_family)) else { return self.clone() };
        let given = if self.given.is_empty() { held.given.clone() } else { self.given.clone() };
        Self { family: self.family.clone().or(held.family.clone()), given, ..self.clone() }
    }
}

/// The newer items, and the older ones of kinds of which nothing newer is said.
fn renewed<T: Clone>(old: &[T], new: &[T], same_kind: impl Fn(&T, &T) -> bool) -> Vec<T> {
    let kept = old.iter().filter(|held| !new.iter().any(|newer| same_kind(held, newer)));
    new.iter().chain(kept).cloned().collect()
}

/// Letters only, in lower case: `O'Neill-Smith` and `ONEILL SMITH` are one.
fn folded(text: &str) -> String {
    text.chars().filter(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect()
}

macro_rules! masked {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(***)"))
            }
        }
    )*};
}

masked! { Demographics HumanName Address Telecom }

impl fmt::Debug for Patient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Patient({})", self.id)
    }
}
