//! The person, as all records that are linked tell of them together.
//!
//! Each field comes from one record, and which one is told. The record whose NHS number is proven goes first, then the
//! one that stands for the person, then the others in the order in which they came. What a record does not say is
//! taken from the next one: absent never erases present. Where one of them says that the place is not to be told, no
//! other one tells it.

use super::identifier::{Identifier, PatientId};
use super::nhs_number::NhsNumber;
use super::patient::{Demographics, Patient};

/// See the module.
#[derive(Clone, Debug)]
pub struct Person {
    /// The record that stands for the person.
    pub id: PatientId,
    /// The proven number, if any record has one.
    pub nhs_number: Option<NhsNumber>,
    /// What is known.
    pub demographics: Demographics,
    /// Which record each field comes from.
    pub from: Vec<(&'static str, PatientId)>,
    /// All records, the one that stands for the person first.
    pub records: Vec<PatientId>,
}

/// The person of these records, in the order in which they came; `id` is the one that stands for the person.
pub fn person(id: PatientId, records: &[Patient]) -> Person {
    let proven = records.iter().filter(|it| it.nhs_number.is_some());
    let leader = records.iter().filter(|it| it.id == id && it.nhs_number.is_none());
    let others = records.iter().filter(|it| it.id != id && it.nhs_number.is_none());
    let ranked: Vec<&Patient> = proven.chain(leader).chain(others).collect();
    let mut view = View { ranked: &ranked, from: Vec::new() };
    let restricted = records.iter().any(|it| it.demographics.restricted);
    let demographics = Demographics {
        identifiers: identifiers(&ranked),
        nhs_number_status: view.take("nhs_number_status", |it| it.nhs_number_status.clone()),
        names: view.list("names", |it| &it.names),
        birth_date: view.take("birth_date", |it| it.birth_date.clone()),
        gender: view.take("gender", |it| it.gender),
        addresses: if restricted { Vec::new() } else { view.list("addresses", |it| &it.addresses) },
        telecoms: if restricted { Vec::new() } else { view.list("telecoms", |it| &it.telecoms) },
        practice: view.take("practice", |it| it.practice.clone()),
        deceased: view.take("deceased", |it| it.deceased.clone()),
        restricted,
        unidentified: ranked.iter().all(|it| it.demographics.unidentified),
    };
    let followers = records.iter().map(|it| it.id).filter(|it| *it != id);
    let number = ranked.iter().find_map(|it| it.nhs_number);
    Person {
        id,
        nhs_number: number,
        demographics,
        from: view.from,
        records: std::iter::once(id).chain(followers).collect(),
    }
}

struct View<'a> {
    ranked: &'a [&'a Patient],
    from: Vec<(&'static str, PatientId)>,
}

impl View<'_> {
    fn take<T>(&mut self, name: &'static str, field: impl Fn(&Demographics) -> Option<T>) -> Option<T> {
        let (record, value) = self.ranked.iter().find_map(|it| Some((it.id, field(&it.demographics)?)))?;
        self.from.push((name, record));
        Some(value)
    }

    fn list<T: Clone>(&mut self, name: &'static str, field: impl Fn(&Demographics) -> &Vec<T>) -> Vec<T> {
        self.take(name, |who| Some(field(who).clone()).filter(|list| !list.is_empty())).unwrap_or_default()
    }
}

/// All numbers of all records, each once.
fn identifiers(records: &[&Patient]) -> Vec<Identifier> {
    let mut all: Vec<Identifier> = Vec::new();
    for number in records.iter().flat_map(|it| &it.demographics.identifiers) {
        if !all.contains(number) {
            all.push(number.clone());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::booking::patient::Telecom;

    fn record(id: u128, birth_date: Option<&str>, phone: Option<&str>) -> Patient {
        let telecoms = phone.map(|it| Telecom { value: Some(it.to_owned()), ..Telecom::default() });
        Patient {
            id: PatientId(Uuid::from_u128(id)),
            nhs_number: None,
            demographics: Demographics {
                birth_date: birth_date.map(str::to_owned),
                telecoms: telecoms.into_iter().collect(),
                ..Demographics::default()
            },
            replaced_by: None,
        }
    }

    #[test]
    fn absent_never_erases_present_and_each_field_tells_where_it_comes_from() {
        let (first, second) = (record(1, Some("1970-01-02"), None), record(2, None, Some("0113 496 0000")));
        let seen = person(first.id, &[first.clone(), second.clone()]);
        assert_eq!(seen.demographics.birth_date, first.demographics.birth_date);
        assert_eq!(seen.demographics.telecoms, second.demographics.telecoms);
        assert_eq!(seen.from, [("birth_date", first.id), ("telecoms", second.id)]);
    }

    #[test]
    fn the_record_with_the_proven_number_goes_first() {
        let mut proven = record(2, Some("1970-02-01"), None);
        proven.nhs_number = NhsNumber::parse("9990000018").ok();
        let seen = person(PatientId(Uuid::from_u128(1)), &[record(1, Some("1970-01-02"), None), proven.clone()]);
        assert_eq!((seen.demographics.birth_date.as_deref(), seen.nhs_number), (Some("1970-02-01"), proven.nhs_number));
    }

    #[test]
    fn where_one_record_is_restricted_no_other_one_tells_the_place() {
        let mut restricted = record(2, None, None);
        restricted.demographics.restricted = true;
        let seen = person(restricted.id, &[record(1, None, Some("0113 496 0000")), restricted]);
        assert!(seen.demographics.restricted && seen.demographics.telecoms.is_empty());
    }
}
