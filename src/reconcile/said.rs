//! From what the booking model says of a person to a packed record.

use super::normal::{Normaliser, Record, Written};
use crate::booking::nhs_number::NhsNumber;
use crate::booking::patient::{Address, Demographics, Gender, HumanName, Patient};

/// System of NHS numbers.
const NHS: &str = NhsNumber::SYSTEM;

/// Packs what is said of a person; `proven`: the NHS number that is known to be theirs.
pub fn record(normaliser: &mut Normaliser, proven: Option<NhsNumber>, who: &Demographics) -> Record {
    let name = who.name();
    let given = given_names(name);
    let former = who.names.iter().find(|it| matches!(it.usage.as_deref(), Some("old" | "maiden")));
    let address = home(&who.addresses);
    let lines = address.map(|it| it.lines.join(" ")).unwrap_or_default();
    let said = said_number(who);
    let number = proven.as_ref().map_or(said.as_str(), |number| number.as_str());
    let local = who.identifiers.iter().find(|it| !it.system.starts_with(NHS));
    let written = Written {
        nhs_number: number,
        nhs_number_status: if proven.is_some() { "01" } else { who.nhs_number_status.as_deref().unwrap_or_default() },
        family_name: name.and_then(|it| it.family.as_deref()).unwrap_or_default(),
        former_family_name: former.and_then(|it| it.family.as_deref()).unwrap_or_default(),
        given_names: &given,
        birth_date: who.birth_date.as_deref().unwrap_or_default(),
        death_date: who.deceased.as_deref().unwrap_or_default(),
        gender: match who.gender {
            Some(Gender::Male) => "male",
            Some(Gender::Female) => "female",
            _ => "",
        },
        postcode: address.and_then(|it| it.postal_code.as_deref()).unwrap_or_default(),
        address: if lines.is_empty() { address.and_then(|it| it.text.as_deref()).unwrap_or_default() } else { &lines },
        town: address.and_then(|it| it.city.as_deref()).unwrap_or_default(),
        phone: contact(who, "phone"),
        email: contact(who, "email"),
        gp_practice: who.practice.as_ref().map_or("", |it| it.as_str()),
        source: local.map_or("", |it| &it.system),
        local_id: local.map_or("", |it| &it.value),
        flags: match (who.unidentified, who.restricted) {
            (true, _) => "pseudo",
            (false, true) => "restricted",
            _ => "",
        },
        ..Written::default()
    };
    normaliser.record(&written).0
}

/// Packs a record that is held.
pub fn held(normaliser: &mut Normaliser, patient: &Patient) -> Record {
    record(normaliser, patient.nhs_number, &patient.demographics)
}

/// First and middle names; the name as a text where it has no parts is left out: nobody knows which word is which.
fn given_names(name: Option<&HumanName>) -> String {
    name.map(|it| it.given.join(" ")).unwrap_or_default()
}

/// A number that its sender says but does not prove is weak evidence, and still evidence.
fn said_number(who: &Demographics) -> String {
    let said = who.identifiers.iter().find(|it| it.system == NHS);
    said.map(|it| it.value.clone()).unwrap_or_default()
}

/// Where the person lives; a place of work is nobody's home.
fn home(addresses: &[Address]) -> Option<&Address> {
    let at_home = addresses.iter().find(|it| it.usage.as_deref() == Some("home"));
    at_home.or_else(|| addresses.iter().find(|it| !matches!(it.usage.as_deref(), Some("work" | "old" | "billing"))))
}

/// The mobile telephone before others, and none of work: that is many people's.
fn contact<'a>(who: &'a Demographics, system: &str) -> &'a str {
    let ours = || {
        let of_system = who.telecoms.iter().filter(|it| it.system.as_deref() == Some(system));
        of_system.filter(|it| !matches!(it.usage.as_deref(), Some("work" | "old")))
    };
    let mobile = ours().find(|it| it.usage.as_deref() == Some("mobile"));
    mobile.or_else(|| ours().next()).and_then(|it| it.value.as_deref()).unwrap_or_default()
}
