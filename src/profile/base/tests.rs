use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;
use crate::profile::definition::{Derivation, Element, Kind, Max, Strength};

/// All of them, for as long as the tests run.
static DEFINITIONS: LazyLock<Arc<[Definition]>> = LazyLock::new(definitions);

fn definition(name: &str) -> &'static Definition {
    let url = canonical(STRUCTURE, name);
    DEFINITIONS.iter().find(|definition| definition.url == url).unwrap()
}

fn element(path: &str) -> &'static Element {
    let of = definition(path.split('.').next().unwrap());
    of.snapshot.iter().find(|element| element.path == path).unwrap()
}

#[test]
fn everything_that_r4_publishes_is_there() {
    let count = |derivation, kind| {
        DEFINITIONS.iter().filter(|found| (found.derivation, found.kind) == (derivation, kind)).count()
    };
    assert_eq!(count(Derivation::Specialization, Kind::Resource), 148);
    assert_eq!(count(Derivation::Specialization, Kind::ComplexType), 41);
    assert_eq!(count(Derivation::Specialization, Kind::PrimitiveType), 20);
    assert_eq!(count(Derivation::Constraint, Kind::Resource), 45);
    assert_eq!(count(Derivation::Constraint, Kind::ComplexType), 396);
    let derived = DEFINITIONS.iter().filter(|found| found.derivation == Derivation::Constraint);
    let extensions = derived.filter(|found| found.type_name == "Extension");
    assert_eq!(extensions.count(), 393);
    assert_eq!((code_systems().len(), value_sets().len()), (1062, 1316));
}

#[test]
fn names_are_unique_and_bases_are_known() {
    let by_url: BTreeMap<&str, &Definition> = DEFINITIONS.iter().map(|found| (&*found.url, found)).collect();
    assert_eq!(by_url.len(), DEFINITIONS.len());
    for found in DEFINITIONS.iter() {
        let base = found.base.as_deref().map(|base| by_url[base]);
        assert!(base.is_some() || matches!(&*found.name, "Element" | "Resource"), "{}", found.url);
        assert!(!found.snapshot.is_empty(), "{}", found.url);
        assert_eq!(found.differential.is_empty(), found.derivation == Derivation::Specialization, "{}", found.url);
    }
}

#[test]
fn inherited_elements_and_invariants_are_in_the_snapshots() {
    let name = element("Patient.contact.name");
    assert_eq!((name.min, name.max, name.base_max), (Some(0), Some(Max::Count(1)), Some(Max::Count(1))));
    assert_eq!(element("Patient.text").base_path.as_deref(), Some("DomainResource.text"));
    assert_eq!(element("Patient.contact.id").base_path.as_deref(), Some("Element.id"));
    let keys = |path: &str| element(path).constraints.iter().map(|it| it.key.clone()).collect::<Vec<_>>();
    assert_eq!(keys("Patient"), ["dom-2", "dom-3", "dom-4", "dom-5", "dom-6"]);
    assert_eq!(keys("Patient.contact"), ["pat-1", "ele-1"]);
    assert_eq!(keys("Patient.extension"), ["ele-1", "ext-1"]);
    assert_eq!(keys("Age"), ["age-1", "qty-3", "ele-1"]);
    assert!(keys("Patient.id").is_empty());
    let item = element("Questionnaire.item.item");
    assert_eq!(item.content_reference.as_deref(), Some("#Questionnaire.item"));
}

#[test]
fn bindings_have_strength_value_set_and_upper_bound() {
    let binding = |path| element(path).binding.clone().unwrap();
    let gender = binding("Patient.gender");
    assert_eq!(gender.strength, Strength::Required);
    assert_eq!(gender.value_set.as_deref(), Some("http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1"));
    let language = binding("Patient.language");
    assert_eq!(language.strength, Strength::Preferred);
    assert_eq!(language.max_value_set.as_deref(), Some("http://hl7.org/fhir/ValueSet/all-languages"));
    assert_eq!(binding("Task.reasonCode").value_set, None);
}

#[test]
fn extensions_have_a_context_and_a_type() {
    let birth_time = definition("patient-birthTime");
    assert_eq!(birth_time.contexts[0].expression, "Patient.birthDate");
    let value = birth_time.differential.iter().find(|it| it.path == "Extension.value[x]").unwrap();
    assert_eq!(value.types[0].code, "dateTime");
    let code = definition("patient-nationality").differential.iter().find(|it| it.id == "Extension.extension:code.url");
    let code = code.unwrap();
    assert_eq!((&*code.path, &code.slice_name), ("Extension.extension.url", &None));
    assert_eq!(code.fixed, Some(Box::new(("Uri".to_owned(), "code".into()))));
}

#[test]
fn concepts_know_what_is_above_them() {
    let system = |url: &str| code_systems().iter().find(|system| system.url == url).unwrap();
    let act = system("http://terminology.hl7.org/CodeSystem/v3-ActCode");
    let concept = |code: &str| act.concepts.iter().find(|concept| concept.code == code).unwrap();
    let above = |code: &str| -> Vec<_> {
        concept(code).parents.iter().map(|index| &*act.concepts[*index as usize].code).collect()
    };
    assert_eq!(above("EMER"), ["_ActEncounterCode"]);
    assert_eq!(above("UD"), ["RF", "_ActPharmacySupplyType"]);
    assert_eq!(concept("_ActEncounterCode").properties, [("notSelectable".to_owned(), "true".to_owned())]);
    assert!(concept("EMER").properties.is_empty());
    assert!(!system("http://hl7.org/fhir/spdx-license").concepts.is_empty());
}

#[test]
fn value_sets_are_read_with_their_filters() {
    let set = |url: &str| value_sets().iter().find(|set| set.url == url).unwrap();
    let encounter = set("http://terminology.hl7.org/ValueSet/v3-ActEncounterCode");
    let filter = &encounter.include[0].filters[0];
    assert_eq!((&*filter.property, &*filter.op, &*filter.value), ("concept", "is-a", "_ActEncounterCode"));
    let excluding = value_sets().iter().filter(|set| !set.exclude.is_empty());
    assert_eq!(excluding.count(), 23);
    assert_eq!(set("http://hl7.org/fhir/ValueSet/ucum-common").include[0].concepts.len(), 1364);
}

mod official;
