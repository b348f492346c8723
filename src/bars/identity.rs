//! FHIR to the model and back is the identity, for whatever is in the resource beside what the model holds.
//!
//! Three laws for each of ServiceRequest, Appointment and Patient: writing what was read changes nothing; what was
//! written is read again; and what the model does not know stays as it is.

use std::path::Path;

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::appointment::Booking;
use super::patient;
use super::request::Request;
use crate::booking::identifier::{AppointmentId, Coding, Identifier, ReferralId};
use crate::booking::patient::{Address, Demographics, Gender, HumanName, Telecom};
use crate::booking::referral::Priority;
use crate::fhir::bundle::Bundle;

type Checked = Result<(), TestCaseError>;

/// A resource type's reading and writing.
trait Both: Sized {
    fn read(resource: &Value) -> Self;
    fn write(&self, resource: &mut Map<String, Value>);
}

impl Both for Request {
    fn read(resource: &Value) -> Self {
        Self::read(resource)
    }
    fn write(&self, resource: &mut Map<String, Value>) {
        self.write(resource);
    }
}

impl Both for Booking {
    fn read(resource: &Value) -> Self {
        Self::read(resource)
    }
    fn write(&self, resource: &mut Map<String, Value>) {
        self.write(resource);
    }
}

impl Both for Demographics {
    fn read(resource: &Value) -> Self {
        let alone = json!({ "resourceType": "Bundle" });
        patient::demographics(&Bundle::of(&alone).unwrap(), resource)
    }
    fn write(&self, resource: &mut Map<String, Value>) {
        patient::write(self, resource);
    }
}

fn written(model: &impl Both, base: &Value) -> Value {
    let mut resource = base.as_object().cloned().unwrap_or_default();
    model.write(&mut resource);
    Value::Object(resource)
}

// Law 1.

fn is_left_alone<T: Both>(base: &Value) -> Checked {
    prop_assert_eq!(&written(&T::read(base), base), base);
    Ok(())
}

// Law 2: the model's own words, read again. What it is silent about may be there from before.

fn request_is_read_again(model: &Request, base: &Value) -> Checked {
    let read = Request::read(&written(model, base));
    said(&model.status, &read.status)?;
    held(model.priority, read.priority)?;
    held(model.authored_on, read.authored_on)?;
    held(model.occurrence.0, read.occurrence.0)?;
    held(model.occurrence.1, read.occurrence.1)?;
    prop_assert!(model.reasons.is_empty() || model.reasons == read.reasons, "{:?} {:?}", model.reasons, read.reasons);
    held(model.reason_text.as_ref(), read.reason_text.as_ref())?;
    held(model.patient_instruction.as_ref(), read.patient_instruction.as_ref())?;
    all_in(&model.identifiers, &read.identifiers)?;
    all_in(&model.based_on, &read.based_on)?;
    all_in(&model.replaces, &read.replaces)?;
    held(model.linked_appointment, read.linked_appointment)
}

fn booking_is_read_again(model: &Booking, base: &Value) -> Checked {
    let read = Booking::read(&written(model, base));
    said(&model.status, &read.status)?;
    held(model.start, read.start)?;
    held(model.end, read.end)?;
    held(model.description.as_ref(), read.description.as_ref())?;
    held(model.cancel_reason.as_ref(), read.cancel_reason.as_ref())?;
    all_in(&model.identifiers, &read.identifiers)?;
    held(model.based_on, read.based_on)
}

fn patient_is_read_again(model: &Demographics, base: &Value) -> Checked {
    let read = Demographics::read(&written(model, base));
    held(model.birth_date.as_ref(), read.birth_date.as_ref())?;
    held(model.gender, read.gender)?;
    all_in(&model.identifiers, &read.identifiers)?;
    all_in(&model.telecoms, &read.telecoms)?;
    prop_assert!(model.names.len() <= read.names.len() && model.addresses.len() <= read.addresses.len());
    for (model, read) in model.names.iter().zip(&read.names) {
        for (model, read) in [(&model.usage, &read.usage), (&model.family, &read.family), (&model.text, &read.text)] {
            held(model.as_ref(), read.as_ref())?;
        }
        for (model, read) in [(&model.given, &read.given), (&model.prefix, &read.prefix), (&model.suffix, &read.suffix)]
        {
            prop_assert!(model.is_empty() || model == read);
        }
    }
    for (model, read) in model.addresses.iter().zip(&read.addresses) {
        for (model, read) in [
            (&model.usage, &read.usage),
            (&model.city, &read.city),
            (&model.district, &read.district),
            (&model.postal_code, &read.postal_code),
            (&model.country, &read.country),
            (&model.text, &read.text),
        ] {
            held(model.as_ref(), read.as_ref())?;
        }
        prop_assert!(model.lines.is_empty() || model.lines == read.lines);
    }
    Ok(())
}

fn said(model: &str, read: &str) -> Checked {
    prop_assert!(model.is_empty() || model == read);
    Ok(())
}

fn held<T: PartialEq + std::fmt::Debug>(model: Option<T>, read: Option<T>) -> Checked {
    prop_assert!(model.is_none() || model == read, "{:?} became {:?}", model, read);
    Ok(())
}

fn all_in<T: PartialEq + std::fmt::Debug>(model: &[T], read: &[T]) -> Checked {
    prop_assert!(model.iter().all(|it| read.contains(it)), "{:?} became {:?}", model, read);
    Ok(())
}

// Law 3: members of any name but those of the model, wherever they are, and every item of a list.

const KNOWN: &[&str] = &[
    "status",
    "priority",
    "authoredOn",
    "occurrencePeriod",
    "reasonCode",
    "patientInstruction",
    "identifier",
    "basedOn",
    "replaces",
    "supportingInfo",
    "reference",
    "display",
    "start",
    "end",
    "description",
    "cancelationReason",
    "name",
    "address",
    "birthDate",
    "gender",
    "telecom",
    "contact",
    "use",
    "text",
    "family",
    "given",
    "prefix",
    "suffix",
    "line",
    "city",
    "district",
    "postalCode",
    "country",
    "coding",
    "system",
    "value",
];

fn unknown_stays(before: &Value, after: &Value) -> bool {
    let known = |name: &String| KNOWN.contains(&name.as_str());
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            let stays = |(name, value): (&String, &Value)| match new.get(name) {
                // Codes are replaced by others.
                _ if name == "coding" => true,
                Some(found) if known(name) => unknown_stays(value, found),
                found => known(name) || found == Some(value),
            };
            old.iter().all(stays) && new.keys().all(|name| old.contains_key(name) || known(name))
        }
        (Value::Array(old), Value::Array(new)) if old.iter().all(Value::is_object) => {
            // A concept that had nothing but codes goes with them.
            let empty = |old: &Value| old.as_object().is_some_and(|old| old.keys().all(|name| name == "coding"));
            old.iter().all(|old| empty(old) || new.iter().any(|new| unknown_stays(old, new)))
        }
        _ => true,
    }
}

// What the resources are made of.

fn word() -> impl Strategy<Value = String> {
    prop_oneof![Just("a"), Just("b"), Just("ü "), Just("0")].prop_map(str::to_owned)
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        word().prop_map(Value::from),
        Just(serde_json::from_str("1.50").unwrap()),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            vec((name(), inner), 0..3).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    let known = proptest::sample::select(KNOWN).prop_map(str::to_owned);
    prop_oneof![known, Just("coding".to_owned()), Just("x".to_owned())]
}

fn moment() -> impl Strategy<Value = Timestamp> {
    (0..4_i64).prop_map(|hours| Timestamp::from_second(1_700_000_000 + 3600 * hours).unwrap())
}

/// A moment in the words of somebody else, or a date that is none.
fn moment_text() -> impl Strategy<Value = Value> {
    (moment(), 0..4_u8).prop_map(|(moment, style)| {
        let zoned = moment.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(1)));
        match style {
            0 => json!(zoned.strftime("%Y-%m-%dT%H:%M:%S+01:00").to_string()),
            1 => json!(zoned.strftime("%Y-%m-%dT%H:%M:%S.000+01:00").to_string()),
            2 => json!("2024-05"),
            _ => json!(moment.to_string()),
        }
    })
}

fn id() -> impl Strategy<Value = Uuid> {
    (1..4_u128).prop_map(Uuid::from_u128)
}

/// An object of some of these members, and of one that nobody knows.
fn object(members: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let (names, values): (Vec<_>, Vec<_>) = members.into_iter().unzip();
    let values: Vec<_> = values.into_iter().map(of).collect();
    (values, of(anything()), of(anything()))
        .prop_map(move |(values, x, extension)| {
            let known = names.iter().map(|name| (*name).to_owned()).zip(values);
            let all = known.chain([("x".to_owned(), x), ("extension".to_owned(), extension)]);
            Value::Object(all.filter_map(|(name, value)| Some((name, value?))).collect())
        })
        .boxed()
}

fn some_of(item: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    vec(item, 1..3).prop_map(Value::from).boxed()
}

fn texts() -> BoxedStrategy<Value> {
    vec(of(word()), 1..3).prop_map(|words| json!(words)).boxed()
}

fn text() -> BoxedStrategy<Value> {
    word().prop_map(Value::from).boxed()
}

fn code(codes: &'static [&'static str]) -> BoxedStrategy<Value> {
    proptest::sample::select(codes).prop_map(Value::from).boxed()
}

fn reference() -> BoxedStrategy<Value> {
    let kinds = prop_oneof![Just("ServiceRequest/"), Just("Appointment/"), Just("urn:uuid:")];
    let target = (kinds, id()).prop_map(|(kind, id)| json!(format!("{kind}{id}"))).boxed();
    object(vec![("reference", target), ("display", text())])
}

fn concept() -> BoxedStrategy<Value> {
    let coding = object(vec![("system", text()), ("code", text()), ("display", text())]);
    object(vec![("text", text()), ("coding", some_of(coding))])
}

fn identifier() -> BoxedStrategy<Value> {
    object(vec![("system", text()), ("value", text()), ("use", text())])
}

fn request() -> BoxedStrategy<Value> {
    object(vec![
        ("status", code(&["active", "draft", "new"])),
        ("priority", code(&["urgent", "stat", "later"])),
        ("authoredOn", moment_text().boxed()),
        ("occurrencePeriod", object(vec![("start", moment_text().boxed()), ("end", moment_text().boxed())])),
        ("reasonCode", some_of(concept())),
        ("patientInstruction", text()),
        ("identifier", some_of(identifier())),
        ("basedOn", some_of(reference())),
        ("replaces", some_of(reference())),
        ("supportingInfo", some_of(reference())),
    ])
}

fn appointment() -> BoxedStrategy<Value> {
    object(vec![
        ("status", code(&["booked", "proposed"])),
        ("start", moment_text().boxed()),
        ("end", moment_text().boxed()),
        ("description", text()),
        ("cancelationReason", concept()),
        ("identifier", some_of(identifier())),
        ("basedOn", some_of(reference())),
    ])
}

fn person() -> BoxedStrategy<Value> {
    let telecom = || some_of(object(vec![("system", text()), ("value", text()), ("use", text())]));
    let oneself = json!([{ "coding": [{ "code": "ONESELF" }] }]);
    let relationship = prop_oneof![Just(oneself), some_of(concept())].boxed();
    object(vec![
        (
            "name",
            some_of(object(vec![
                ("use", text()),
                ("text", text()),
                ("family", text()),
                ("given", texts()),
                ("prefix", texts()),
                ("suffix", texts()),
            ])),
        ),
        (
            "address",
            some_of(object(vec![
                ("use", text()),
                ("line", texts()),
                ("city", text()),
                ("district", text()),
                ("postalCode", text()),
                ("country", text()),
                ("text", text()),
            ])),
        ),
        ("birthDate", code(&["1970", "1970-01-02"])),
        ("gender", code(&["female", "none"])),
        ("identifier", some_of(identifier())),
        ("telecom", telecom()),
        ("contact", some_of(object(vec![("relationship", relationship), ("telecom", telecom())]))),
    ])
}

/// A resource in which one element is of another shape than FHIR gives it.
fn mangled(base: BoxedStrategy<Value>) -> impl Strategy<Value = Value> {
    (base, name(), anything()).prop_map(|(mut base, name, value)| {
        base[name] = value;
        base
    })
}

// What the models are made of.

fn identifiers() -> impl Strategy<Value = Vec<Identifier>> {
    vec((word(), word()).prop_map(|(system, value)| Identifier { system, value }), 0..3)
}

fn request_model() -> impl Strategy<Value = Request> {
    let status = prop_oneof![Just(String::new()), Just("active".to_owned()), Just("revoked".to_owned())];
    let coding = (of(word()), word(), of(word())).prop_map(|(system, code, display)| Coding {
        system: system.unwrap_or_default(),
        code,
        display: display.unwrap_or_default(),
    });
    let times = (of(moment()), of(moment()), of(moment()));
    let words = (of(word()), of(word()), vec(coding, 0..3));
    let links = (vec(id(), 0..3), vec(id(), 0..3), of(id()));
    let priority = of(prop_oneof![Just(Priority::Urgent), Just(Priority::Routine)]);
    (status, priority, times, words, identifiers(), links).prop_map(
        |(status, priority, times, words, identifiers, links)| Request {
            status,
            priority,
            authored_on: times.0,
            occurrence: (times.1, times.2),
            reason_text: words.0,
            patient_instruction: words.1,
            reasons: words.2,
            identifiers,
            based_on: links.0.into_iter().map(ReferralId).collect(),
            replaces: links.1.into_iter().map(ReferralId).collect(),
            linked_appointment: links.2.map(AppointmentId),
        },
    )
}

fn booking_model() -> impl Strategy<Value = Booking> {
    let status = prop_oneof![Just(String::new()), Just("booked".to_owned()), Just("cancelled".to_owned())];
    let words = (of(word()), of(word()));
    (status, of(moment()), of(moment()), words, identifiers(), of(id())).prop_map(
        |(status, start, end, (description, cancel_reason), identifiers, based_on)| Booking {
            status,
            start,
            end,
            description,
            cancel_reason,
            identifiers,
            based_on: based_on.map(ReferralId),
        },
    )
}

fn patient_model() -> impl Strategy<Value = Demographics> {
    let words = || vec(word(), 0..3);
    let name = (of(word()), of(word()), words(), words(), words(), of(word())).prop_map(
        |(usage, family, given, prefix, suffix, text)| HumanName { usage, family, given, prefix, suffix, text },
    );
    let address = (of(word()), words(), of(word()), of(word()), of(word()), of(word()), of(word())).prop_map(
        |(usage, lines, city, district, postal_code, country, text)| Address {
            usage,
            lines,
            city,
            district,
            postal_code,
            country,
            text,
        },
    );
    let telecom =
        (of(word()), of(word()), of(word())).prop_map(|(system, value, usage)| Telecom { system, value, usage });
    let gender = of(prop_oneof![Just(Gender::Female), Just(Gender::Other)]);
    let birth_date = of(Just("1980-01-02".to_owned()));
    (vec(name, 0..3), vec(address, 0..3), vec(telecom, 0..3), identifiers(), gender, birth_date).prop_map(
        |(names, addresses, telecoms, identifiers, gender, birth_date)| Demographics {
            names,
            addresses,
            telecoms,
            identifiers,
            gender,
            birth_date,
            ..Demographics::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_request_that_was_only_read_is_left_alone(base in request(), odd in mangled(request())) {
        is_left_alone::<Request>(&base)?;
        is_left_alone::<Request>(&odd)?;
    }

    #[test]
    fn a_booking_that_was_only_read_is_left_alone(base in appointment(), odd in mangled(appointment())) {
        is_left_alone::<Booking>(&base)?;
        is_left_alone::<Booking>(&odd)?;
    }

    #[test]
    fn a_patient_that_was_only_read_is_left_alone(base in person(), odd in mangled(person())) {
        is_left_alone::<Demographics>(&base)?;
        is_left_alone::<Demographics>(&odd)?;
    }

    #[test]
    fn a_written_request_is_read_again(model in request_model(), base in request()) {
        request_is_read_again(&model, &base)?;
        prop_assert!(unknown_stays(&base, &written(&model, &base)));
    }

    #[test]
    fn a_written_booking_is_read_again(model in booking_model(), base in appointment()) {
        booking_is_read_again(&model, &base)?;
        prop_assert!(unknown_stays(&base, &written(&model, &base)));
    }

    #[test]
    fn a_written_patient_is_read_again(model in patient_model(), base in person()) {
        patient_is_read_again(&model, &base)?;
        prop_assert!(unknown_stays(&base, &written(&model, &base)));
    }

    #[test]
    fn writing_twice_is_writing_once(model in request_model(), base in request(), who in patient_model(), x in person()) {
        let once = written(&model, &base);
        prop_assert_eq!(&written(&model, &once), &once);
        let once = written(&who, &x);
        prop_assert_eq!(&written(&who, &once), &once);
    }
}

/// Every resource in the standard's own examples, read and written.
#[test]
fn the_examples_of_the_standard_are_left_alone() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/bars/examples");
    if !folder.is_dir() {
        return eprintln!("SKIPPED: the folder with the standard's examples is not here");
    }
    let mut seen = 0;
    each_file(&folder, &mut |path| {
        let read = std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        each_resource(&read.unwrap_or_default(), &mut |resource| {
            let checked = match resource["resourceType"].as_str() {
                Some("ServiceRequest") => is_left_alone::<Request>(resource),
                Some("Appointment") => is_left_alone::<Booking>(resource),
                Some("Patient") => is_left_alone::<Demographics>(resource),
                _ => return,
            };
            assert!(checked.is_ok(), "{}: {checked:?}", path.display());
            seen += 1;
        });
    });
    assert!(60 < seen, "{seen}");
}

fn each_file(folder: &Path, look: &mut impl FnMut(&Path)) {
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() { each_file(&path, look) } else { look(&path) }
    }
}

fn each_resource(value: &Value, look: &mut impl FnMut(&Value)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| each_resource(item, look)),
        Value::Object(members) => {
            look(value);
            members.values().for_each(|member| each_resource(member, look));
        }
        _ => {}
    }
}
