use super::*;

fn element<'a>(path: &str, name: &str) -> &'a Element {
    let found = r4().named(path).unwrap();
    found.elements.iter().find(|element| element.name == name).unwrap()
}

#[test]
fn every_type_of_r4_is_there() {
    let count = |wanted: fn(&Kind) -> bool| r4().types().iter().filter(|found| wanted(&found.kind)).count();
    assert_eq!(count(|kind| matches!(kind, Kind::Resource { is_abstract: false })), 146);
    assert_eq!(count(|kind| matches!(kind, Kind::Resource { is_abstract: true })), 2);
    assert_eq!(count(|kind| matches!(kind, Kind::Primitive(_))), 20);
    let data_types = r4().types().iter().filter(|found| found.kind == Kind::Complex && !found.name.contains('.'));
    assert_eq!(data_types.count(), 41);
}

#[test]
fn every_property_is_found_by_its_name() {
    for kind in r4().types() {
        for field in kind.fields() {
            let (found, sibling) = r4().field(kind, &field.key).unwrap();
            assert!(std::ptr::eq(found, field) && !sibling, "{}.{}", kind.name, field.key);
            let number = r4().names().find(&format!("_{}", field.key));
            assert!(number.is_sibling() && std::ptr::eq(kind.field_of(number).unwrap(), field));
        }
        assert!(kind.field_of(NameId::UNKNOWN).is_none());
        assert!(r4().field(kind, "zzUnknown").is_none() && r4().field(kind, "").is_none());
    }
}

#[test]
fn cardinalities_choices_and_lists_are_read() {
    assert!(element("Patient", "name").many && !element("Patient", "birthDate").many);
    assert!(element("Patient", "deceased").choice);
    assert!(!element("xhtml", "extension").allowed);
    let genders: Vec<_> = r4().list(element("Patient", "gender").list.unwrap()).codes().collect();
    assert_eq!(genders, ["male", "female", "other", "unknown"]);
    let observation = r4().resource("Observation").unwrap();
    let required = observation.elements.iter().enumerate().filter(|(index, _)| observation.required >> index & 1 == 1);
    assert_eq!(required.map(|(_, element)| element.name).collect::<Vec<_>>(), ["status", "code"]);
}

#[test]
fn choices_have_a_property_for_each_type() {
    let extension = r4().named("Extension").unwrap();
    assert_eq!(extension.fields().iter().filter(|field| field.key.starts_with("value")).count(), 50);
    let (field, sibling) = r4().field(extension, "_valueDateTime").unwrap();
    assert_eq!((r4().of(field.kind).name, sibling), ("dateTime", true));
}

#[test]
fn an_element_may_be_defined_by_another() {
    let (field, _) = r4().field(r4().named("Questionnaire.item").unwrap(), "item").unwrap();
    assert_eq!(r4().of(field.kind).name, "Questionnaire.item");
    let (field, _) = r4().field(r4().named("Bundle.entry").unwrap(), "link").unwrap();
    assert_eq!(r4().of(field.kind).name, "Bundle.link");
}

#[test]
fn targets_are_read() {
    let (field, _) = r4().field(r4().resource("Patient").unwrap(), "generalPractitioner").unwrap();
    assert_eq!(*field.targets, ["Organization", "Practitioner", "PractitionerRole"]);
}

#[test]
fn abstract_types_are_no_resources() {
    assert!(r4().resource("DomainResource").is_none() && r4().resource("HumanName").is_none());
    assert!(r4().resource("Appointment").is_some());
}
