//! Snapshots that others published, made again from their differentials, where the facts folder stands beside the
//! project. Every difference that is left is listed with its reason; one that is gone must go from the list too.

use std::path::{Path, PathBuf};

use onward::profile::definition::{Definition, Derivation};
use onward::profile::package::{Base, Limits, LoadFault, Packages};
use serde_json::Value;

mod compare;

use compare::differences;

const UK_CORE: &str = "fhir/ukcore/stu1-0.5.1";
const NHS_DIGITAL: &str = "fhir/nhsdigital/uk.nhsdigital.r4-2.5.0";
const BARS: &[&str] = &["bars/profiles/package-1.34.0-snapshots", "bars/profiles/ig-1.12.0-snapshots"];

/// How a difference begins, and who is right.
type Known = (&'static str, &'static str);

/// `code.value` is a string in R4's own definition of `code`; the publisher's tool had another one. A length of 1 MB
/// says nothing either way: R4 has it for all strings.
const OF_UK_CORE: &[Known] = &[
    ("UKCore-Patient: Patient.telecom.system.value: ", "ours: R4's code"),
    ("UKCore-Patient: Patient.contact.telecom.system.value: ", "ours: R4's code"),
    ("UKCore-RelatedPerson: RelatedPerson.telecom.system.value: ", "ours: R4's code"),
];

/// The package was published over UK Core 0.5.0, which is not at hand; 0.5.1 says more.
const OF_NHS_DIGITAL: &[Known] = &[
    ("NHSDigital-Appointment: Appointment.extension:bookingOrganization: only made", "both: UK Core 0.5.1"),
    ("NHSDigital-Appointment: Appointment.extension:deliveryChannel: only made", "both: UK Core 0.5.1"),
    ("NHSDigital-Appointment: Appointment.appointmentType: binding: ", "both: UK Core 0.5.1"),
    ("NHSDigital-HealthcareService: HealthcareService.communication: binding: ", "both: UK Core 0.5.1"),
    ("NHSDigital-Organization: Organization.type.extension:organisationRole: max: ", "both: UK Core 0.5.1"),
    ("NHSDigital-ServiceRequest: ServiceRequest.extension:sourceOfServiceRequest: only made", "both: UK Core 0.5.1"),
    ("NHSDigital-ServiceRequest: ServiceRequest.bodySite: binding: ", "both: UK Core 0.5.1"),
    ("NHSDigital-ServiceRequest: ServiceRequest.code: binding: ", "both: UK Core 0.5.1"),
    ("NHSDigital-ServiceRequest: ServiceRequest.reasonCode: binding: ", "both: UK Core 0.5.1"),
    (
        "NHSDigital-Bundle-FHIRDocument: Bundle.entry:composition.resource: constraints: ",
        "both: the published one repeats what the type's own profile says",
    ),
];

/// The differentials go into `event[x]`, which may be a Coding or a uri, without saying which. The publisher's tool
/// copied the two elements bare: no type, no cardinality. Only a Coding has a system and a code.
const OF_BARS: &[Known] = &[
    ("BARSMessageHeader-booking-request: MessageHeader.event[x].", "ours: a Coding is meant"),
    ("BARSMessageHeader-servicerequest-request: MessageHeader.event[x].", "ours: a Coding is meant"),
    ("BARSMessageHeader-servicerequest-response: MessageHeader.event[x].", "ours: a Coding is meant"),
];

/// The cases of the Java validator's own suite.
const OF_CASES: &[Known] = &[
    (
        "obs-perf: Observation.effective[x]: slicing: ",
        "both: Java closes what lists all of its types, the differential says open",
    ),
    ("obs-perf: Observation.value[x]: slicing: ", "both: the same"),
    (
        "StructureDefinition-ratio-measure-cqfm: Measure.group.population:measureObservation.extension: min: ",
        "both: Java adds up what the slices ask for",
    ),
    ("simple-quantity: MedicationDispense.quantity: types: ", "ours: a profile does not drop what its base asks for"),
    (
        "slice-cardinality-derived: Observation.effective[x]:effectiveDateTime: min: ",
        "ours: other types may stand there, so this one need not",
    ),
    ("ch-location: Location.telecom:", "both: Java copies the profile of the type below the element"),
    ("ch-location: Location.managingOrganization: types: ", "ours: a profile does not drop what its base asks for"),
    ("prov-fi: Provenance.language: binding: ", "both: a required binding is narrower than the greatest value set"),
];

/// Made over R5, which is not what this is about.
const OF_R5: &[&str] = &["telus-oo"];

fn shared(parts: &[&str]) -> Option<Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let found: Vec<PathBuf> = parts.iter().map(|part| root.join(part)).collect();
    let here = found.iter().all(|path| path.exists());
    if !here {
        eprintln!("SKIPPED: the folder with published definitions is not here");
    }
    here.then_some(found)
}

fn load(paths: &[PathBuf]) -> Packages {
    let (packages, issues) = Packages::load_over(Base::r4(), paths, &Limits::default());
    let failed: Vec<String> =
        issues.iter().filter(|it| it.fault != LoadFault::DependencyMissing).map(ToString::to_string).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    packages
}

/// What differs between the published and the made snapshot of a definition.
fn lines(packages: &Packages, name: &str, published: &Definition) -> Vec<String> {
    let definition = packages.definition(&published.url).unwrap_or(published);
    match packages.snapshot(definition) {
        Ok(made) => differences(packages, published, &made).iter().map(|it| format!("{name}: {it}")).collect(),
        Err(error) => vec![format!("{name}: {error}")],
    }
}

/// All definitions of the last package; every difference must be known, and every known one must be there.
fn prove(parts: &[&str], count: usize, known: &[Known]) {
    let Some(paths) = shared(parts) else { return };
    let packages = load(&paths);
    let last = packages.packages().last().unwrap();
    let subjects: Vec<&Definition> =
        packages.definitions_of(last).filter(|it| it.derivation == Derivation::Constraint).collect();
    assert_eq!(subjects.len(), count);
    let name = |it: &Definition| it.url.rsplit('/').next().unwrap_or_default().to_owned();
    let found: Vec<String> = subjects.iter().flat_map(|it| lines(&packages, &name(it), it)).collect();
    assert_known(&found, known);
    println!("{}: {count} definitions, {} known differences", last.label(), found.len());
}

fn assert_known(found: &[String], known: &[Known]) {
    let new: Vec<&String> =
        found.iter().filter(|line| !known.iter().any(|(start, _)| line.starts_with(start))).collect();
    assert!(new.is_empty(), "{new:#?}");
    let gone: Vec<&Known> = known.iter().filter(|(start, _)| !found.iter().any(|it| it.starts_with(start))).collect();
    assert!(gone.is_empty(), "not differences any more: {gone:#?}");
}

#[test]
fn uk_core_stu1_is_made_as_it_was_published() {
    prove(&[UK_CORE], 98, OF_UK_CORE);
}

#[test]
fn nhs_digital_is_made_as_it_was_published() {
    prove(&[UK_CORE, NHS_DIGITAL], 42, OF_NHS_DIGITAL);
}

#[test]
fn bars_is_made_as_it_was_published() {
    for bars in BARS {
        prove(&[UK_CORE, NHS_DIGITAL, bars], 10, OF_BARS);
    }
}

#[test]
fn the_current_uk_core_has_only_differentials_and_gets_all_snapshots() {
    let Some(paths) = shared(&["fhir/ukcore/current-2025-06-20"]) else { return };
    let packages = load(&paths);
    let last = packages.packages().last().unwrap();
    let made = packages.definitions_of(last).filter(|it| it.differential.len() < it.snapshot.len()).count();
    assert_eq!((packages.definitions_of(last).count(), made), (153, 153));
}

#[test]
fn the_reference_validators_own_cases_are_made_as_they_expect() {
    let Some(paths) = shared(&["oracle/snapshots"]) else { return };
    let read = |name: &Value| std::fs::read(paths[0].join(name.as_str().unwrap())).unwrap();
    let index: Value = serde_json::from_slice(&read(&"index.json".into())).unwrap();
    let mut found = Vec::new();
    let mut count = 0;
    for case in index["cases"].as_array().unwrap() {
        let id = case["id"].as_str().unwrap();
        if OF_R5.contains(&id) {
            continue;
        }
        let expected: Definition = serde_json::from_slice(&read(&case["expected"])).unwrap();
        // That suite keeps what earlier cases registered; one case relies on it.
        let base = (id == "nl-core-NursingIntervention").then(|| Value::from("zib-NursingIntervention-input.json"));
        let files = case["register"].as_array().unwrap().iter().chain([&case["input"]]).chain(&base);
        let mut files: Vec<PathBuf> = files.map(|file| paths[0].join(file.as_str().unwrap())).collect();
        files.sort();
        files.dedup();
        found.extend(lines(&load(&files), id, &expected));
        count += 1;
    }
    assert_eq!(count, 13);
    assert_known(&found, OF_CASES);
}
