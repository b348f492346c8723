//! The resources of a message to a referrer. Whoever, wherever and by whose consent is in the message that is answered,
//! and is sent back as it came; where that message does not have it, it is made of what is held.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Plan, provider_name, use_case};
use crate::bars::appointment::Booking;
use crate::bars::patient;
use crate::bars::request::Request;
use crate::bars::{systems, use_cases};
use crate::booking::appointment::Appointment;
use crate::booking::feed::Telling;
use crate::booking::referral::ReferralStatus;
use crate::fhir::bundle::Bundle;
use crate::fhir::view::{extension, identifier, items, reference_at, resource_type, str_at};

/// What a message is made of.
pub(super) struct Parts<'a> {
    pub(super) telling: &'a Telling,
    pub(super) original: Option<&'a Value>,
    pub(super) plan: &'a Plan,
    /// The id that follows from the cause and a name.
    pub(super) id: &'a dyn Fn(&str) -> Uuid,
    pub(super) case_system: &'a str,
}

/// The entries besides the MessageHeader, and the fullUrls that it names.
pub(super) struct Entries {
    list: Vec<(String, Value)>,
    pub(super) focus: String,
    pub(super) provider: String,
    pub(super) referrer: String,
}

impl Entries {
    /// As many of each type as the definition asks for.
    pub(super) fn collect(parts: &Parts<'_>) -> Self {
        let mut entries =
            Self { list: Vec::new(), focus: String::new(), provider: String::new(), referrer: String::new() };
        entries.add_organisations(parts);
        let patient = entries.add(parts.patient());
        for (kind, min, max) in parts.plan.definition.resources {
            match *kind {
                "Organization" | "Patient" => {}
                "Appointment" | "ServiceRequest" | "Encounter" => entries.add_own(kind, *min, parts, &patient),
                _ if *min == 0 => {}
                _ => entries.add_others(kind, *max, parts, &patient),
            }
        }
        entries.tie(&patient);
        entries.finish(parts);
        entries
    }

    fn add(&mut self, (url, resource): (String, Value)) -> String {
        self.list.push((url.clone(), resource));
        url
    }

    /// All of the original's, and among them whoever tells and whoever is told.
    fn add_organisations(&mut self, parts: &Parts<'_>) {
        let telling = parts.telling;
        self.list.extend(parts.taken("Organization"));
        let (provider, asker) = (&telling.service.organisation, telling.referral.requester.organisation.as_ref());
        let of = |code: &str| {
            let is = |resource: &Value| patient::ods_code(resource).is_some_and(|it| it.as_str() == code);
            self.list.iter().find(|(_, resource)| is(resource)).map(|(url, _)| url.clone())
        };
        let provider = of(provider.as_str());
        let sender = parts.header().and_then(|header| reference_at(header, "sender"));
        let sender = sender.filter(|sender| self.list.iter().any(|(url, _)| url == sender)).map(str::to_owned);
        let referrer = sender.or_else(|| of(asker?.as_str()));
        self.provider = provider.unwrap_or_else(|| self.add(parts.provider()));
        let referrer = referrer.filter(|referrer| *referrer != self.provider);
        self.referrer = referrer.unwrap_or_else(|| self.add(parts.referrer()));
    }

    /// What the news is about.
    fn add_own(&mut self, kind: &str, min: usize, parts: &Parts<'_>, patient: &str) {
        let telling = parts.telling;
        let url = match (kind, &telling.appointment, parts.plan.encounter) {
            ("Appointment", Some(appointment), _) => self.add(parts.appointment(appointment)),
            // A booking names its referral by its id.
            ("ServiceRequest", ..) if parts.plan.encounter.is_some() => self.add(parts.request(patient)),
            ("Encounter", _, Some(status)) => {
                if 1 < min {
                    self.add(parts.their_encounter(patient));
                }
                self.add(parts.our_encounter(status, patient))
            }
            _ => return,
        };
        if kind == parts.plan.focus {
            self.focus = url;
        }
    }

    fn add_others(&mut self, kind: &str, max: usize, parts: &Parts<'_>, patient: &str) {
        let taken = if kind == "Slot" { Vec::new() } else { parts.taken(kind) };
        let mut taken: Vec<_> = taken.into_iter().take(max).collect();
        if taken.is_empty() {
            let mut resource = parts.made(kind, self, patient);
            resource["resourceType"] = json!(kind);
            resource["id"] = json!((parts.id)(kind).to_string());
            taken.push((parts.url(kind), resource));
        }
        self.list.extend(taken);
    }

    /// The first of a type.
    fn url_of(&self, kind: &str) -> Option<&str> {
        let of = |(_, resource): &&(String, Value)| resource_type(resource) == Some(kind);
        self.list.iter().find(of).map(|(url, _)| url.as_str())
    }

    /// References between what this message holds, whatever order it was put together in.
    fn tie(&mut self, patient: &str) {
        let url = |kind: &str| self.url_of(kind).map(str::to_owned);
        let (slot, service) = (url("Slot"), url("HealthcareService"));
        let (practitioner, appointment) = (url("Practitioner"), url("Appointment"));
        let schedule = url("Schedule");
        let set = |resource: &mut Value, name: &str, url: Option<&String>| {
            if let Some(url) = url {
                resource[name] = json!({ "reference": url });
            }
        };
        for (_, resource) in &mut self.list {
            match resource_type(resource).unwrap_or_default() {
                "Appointment" => {
                    resource["slot"] = slot.iter().map(|url| json!({ "reference": url })).collect();
                    resource["participant"] = json!([{ "actor": { "reference": patient }, "status": "accepted" }]);
                }
                "Slot" => set(resource, "schedule", schedule.as_ref()),
                "ServiceRequest" => {
                    if str_at(resource, "requester.reference").is_none() {
                        set(resource, "requester", practitioner.as_ref());
                    }
                    if let Some(service) = &service {
                        resource["performer"] = json!([{ "reference": service }]);
                    }
                    if let Some(appointment) = &appointment {
                        resource["supportingInfo"] = json!([{ "reference": appointment }]);
                    }
                }
                _ => {}
            }
        }
    }

    /// Whatever points out of the message is left out, and everything says when it was last changed.
    fn finish(&mut self, parts: &Parts<'_>) {
        let known: Vec<String> = self.list.iter().map(|(url, _)| url.clone()).collect();
        let at = parts.telling.at.to_string();
        for (_, resource) in &mut self.list {
            prune(resource, &known);
            if str_at(resource, "meta.lastUpdated").is_none() {
                put_meta(resource, "lastUpdated", json!(at));
            }
        }
    }

    /// The entries of the Bundle, the header first.
    pub(super) fn with_header(self, header: Value) -> Value {
        let first = str_at(&header, "id").map(|id| format!("urn:uuid:{id}")).unwrap_or_default();
        let all = std::iter::once((first, header)).chain(self.list);
        all.map(|(url, resource)| json!({ "fullUrl": url, "resource": resource })).collect()
    }
}

/// Takes out references to what is not in the message, and whatever is left empty.
fn prune(value: &mut Value, known: &[String]) -> bool {
    match value {
        Value::Object(members) => {
            let dangles = members
                .get("reference")
                .and_then(Value::as_str)
                .is_some_and(|reference| reference.starts_with("urn:uuid:") && !known.iter().any(|it| it == reference));
            if dangles {
                return false;
            }
            members.retain(|_, member| prune(member, known));
            !members.is_empty()
        }
        Value::Array(list) => {
            list.retain_mut(|item| prune(item, known));
            !list.is_empty()
        }
        _ => true,
    }
}

impl<'a> Parts<'a> {
    fn bundle(&self) -> Option<Bundle<'a>> {
        Bundle::of(self.original?)
    }

    fn header(&self) -> Option<&'a Value> {
        self.bundle()?.message_header()?.resource()
    }

    fn url(&self, of: &str) -> String {
        format!("urn:uuid:{}", (self.id)(of))
    }

    /// What the original has of a type, as it has it.
    fn taken(&self, kind: &str) -> Vec<(String, Value)> {
        let Some(bundle) = self.bundle() else { return Vec::new() };
        let whole = |url: Option<&str>, resource: Option<&Value>| Some((url?.to_owned(), resource?.clone()));
        bundle.entries_of(kind).filter_map(|entry| whole(entry.full_url, entry.resource())).collect()
    }

    /// The original's, or a new one.
    fn taken_or_new(&self, kind: &str) -> (String, Value) {
        let taken = self.taken(kind).into_iter().next();
        taken.unwrap_or_else(|| (self.url(kind), json!({ "resourceType": kind })))
    }

    fn patient(&self) -> (String, Value) {
        let patient = &self.telling.patient;
        let number = |it: &Value| identifier(it, systems::NHS_NUMBER).map(|number| number.replace(' ', ""));
        let other = |it: &Value| {
            let held = patient.nhs_number.as_ref().map(|number| number.as_str());
            number(it).is_some_and(|said| held.is_some_and(|held| held != said))
        };
        let (url, mut resource) = self.taken_or_new("Patient");
        if resource.get("name").is_none() || other(&resource) {
            resource = self.whole_patient();
        }
        resource["id"] = json!(patient.id.to_string());
        if !items(&resource, "contact").iter().any(is_first_contact) {
            let contact = self.contact();
            match resource.get_mut("contact").and_then(Value::as_array_mut) {
                Some(contacts) => contacts.push(contact),
                None => resource["contact"] = json!([contact]),
            }
        }
        (url, resource)
    }

    fn whole_patient(&self) -> Value {
        let patient = &self.telling.patient;
        let mut resource = Map::new();
        resource.insert("resourceType".to_owned(), json!("Patient"));
        if let Some(number) = &patient.nhs_number {
            let code = json!({ "system": systems::VERIFICATION_CODES, "code": "number-present-and-verified" });
            let verified = json!({ "url": systems::VERIFICATION, "valueCodeableConcept": { "coding": [code] } });
            let number = json!({ "extension": [verified], "system": systems::NHS_NUMBER, "value": number.as_str() });
            resource.insert("identifier".to_owned(), json!([number]));
        }
        patient::write(&patient.demographics, &mut resource);
        Value::Object(resource)
    }

    /// Whom to telephone first: the patient, by a number that may not be known.
    fn contact(&self) -> Value {
        let telecoms = &self.telling.patient.demographics.telecoms;
        let phone = telecoms.iter().find(|it| it.system.as_deref() == Some("phone")).and_then(|it| it.value.clone());
        let telecom = match phone {
            Some(number) => json!({ "system": "phone", "value": number }),
            None => {
                json!({ "system": "phone", "_value": { "extension": [{ "url": ABSENT, "valueCode": "unknown" }] } })
            }
        };
        let oneself = json!({ "system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "ONESELF" });
        json!({
            "extension": [{ "url": systems::CONTACT_RANK, "valuePositiveInt": 1 }],
            "relationship": [{ "coding": [oneself] }],
            "telecom": [telecom],
        })
    }

    fn provider(&self) -> (String, Value) {
        let code = self.telling.service.organisation.as_str();
        (self.url("provider"), self.organisation("provider", Some(code), provider_name(self.telling)))
    }

    fn referrer(&self) -> (String, Value) {
        let asker = &self.telling.referral.requester;
        let code = asker.organisation.as_ref().map(|code| code.as_str());
        let name = asker.organisation_name.as_deref().or(code).unwrap_or(&self.telling.origin.reply_to);
        (self.url("referrer"), self.organisation("referrer", code, name))
    }

    fn organisation(&self, of: &str, code: Option<&str>, name: &str) -> Value {
        let id = (self.id)(of).to_string();
        let mut organisation = json!({ "resourceType": "Organization", "id": id, "name": name });
        if let Some(code) = code {
            organisation["identifier"] = json!([{ "system": systems::ODS_ORGANISATION, "value": code }]);
        }
        organisation
    }

    fn appointment(&self, appointment: &Appointment) -> (String, Value) {
        let (url, resource) = self.taken_or_new("Appointment");
        let Value::Object(mut members) = resource else { return (url, json!({ "resourceType": "Appointment" })) };
        members.insert("id".to_owned(), json!(appointment.id.to_string()));
        let reason = appointment.cancel_reason.clone().filter(|_| appointment.status.has_reason());
        let booking = Booking {
            status: appointment.status.as_str().to_owned(),
            start: Some(appointment.start),
            end: Some(appointment.end),
            description: appointment.description.clone(),
            cancel_reason: reason,
            identifiers: appointment.identifiers.clone(),
            based_on: None,
        };
        booking.write(&mut members);
        members.insert("minutesDuration".to_owned(), json!(minutes(appointment)));
        members.entry("created").or_insert_with(|| json!(appointment.created.to_string()));
        let mut resource = Value::Object(members);
        if !items(&resource, "serviceCategory").iter().any(|it| has_code(it, systems::USE_CASES)) {
            resource["serviceCategory"] = json!([{ "coding": [self.use_case()] }]);
        }
        // Only a referral that somebody made is one that the reader can find.
        let referral = &self.telling.referral;
        if referral.status != ReferralStatus::Awaited && !referral.origin.reply_to.is_empty() {
            resource["basedOn"] = json!([{ "reference": format!("ServiceRequest/{}", referral.id) }]);
        } else if let Some(members) = resource.as_object_mut() {
            members.remove("basedOn");
        }
        (url, changed(resource, self))
    }

    fn request(&self, patient: &str) -> (String, Value) {
        let referral = &self.telling.referral;
        let (url, resource) = self.taken_or_new("ServiceRequest");
        let Value::Object(mut members) = resource else { return (url, json!({ "resourceType": "ServiceRequest" })) };
        members.insert("id".to_owned(), json!(referral.id.to_string()));
        let request = Request {
            status: self.plan.request.to_owned(),
            priority: referral.priority,
            authored_on: referral.authored_on,
            ..Request::default()
        };
        request.write(&mut members);
        let mut resource = Value::Object(members);
        resource["intent"] = json!("plan");
        if !items(&resource, "category").iter().any(|it| has_code(it, systems::CATEGORY)) {
            let category = json!({ "system": systems::CATEGORY, "code": referral.category.as_str() });
            resource["category"] = json!([{ "coding": [category, self.use_case()] }]);
        }
        resource["subject"] = json!({ "reference": patient });
        // What the profile of requests asks for is not all in an answer.
        put_meta(&mut resource, "profile", json!([REQUEST_PROFILE]));
        (url, changed(resource, self))
    }

    fn use_case(&self) -> Value {
        let code = use_case(self.telling);
        match use_cases::find(code) {
            Some(known) => json!({ "system": systems::USE_CASES, "code": known.code, "display": known.display }),
            None => json!({ "system": systems::USE_CASES, "code": code }),
        }
    }

    /// The Encounter at which the referral was made.
    fn their_encounter(&self, patient: &str) -> (String, Value) {
        let taken = self.taken("Encounter").into_iter().next();
        taken.unwrap_or_else(|| {
            let mut encounter = self.encounter("triaged", patient);
            encounter["id"] = json!((self.id)("their encounter").to_string());
            (self.url("their encounter"), encounter)
        })
    }

    /// The responder's own, of the same kind and journey: it says where the referral stands.
    fn our_encounter(&self, status: &str, patient: &str) -> (String, Value) {
        let referral = &self.telling.referral;
        let mut encounter = self.encounter(status, patient);
        encounter["id"] = json!(Uuid::new_v5(&referral.id.0, b"encounter").to_string());
        if !referral.case_reference.is_empty() {
            encounter["identifier"] = json!([{ "system": self.case_system, "value": referral.case_reference }]);
        }
        let theirs = self.taken("Encounter").into_iter().next().map(|(_, encounter)| encounter);
        for element in ["class", "subject", "episodeOfCare"] {
            if let Some(same) = theirs.as_ref().and_then(|theirs| theirs.get(element)) {
                encounter[element] = same.clone();
            }
        }
        (self.url("encounter"), encounter)
    }

    fn encounter(&self, status: &str, patient: &str) -> Value {
        let remote = use_cases::find(use_case(self.telling)).is_some_and(|it| it.application == 8);
        let class = if remote { "VR" } else { "EMER" };
        json!({
            "resourceType": "Encounter",
            "status": status,
            "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": class },
            "subject": { "reference": patient },
        })
    }

    /// A resource that the definition asks for and the original does not have.
    fn made(&self, kind: &str, entries: &Entries, patient: &str) -> Value {
        let telling = self.telling;
        let to = |kind: &str| json!({ "reference": entries.url_of(kind).unwrap_or_default() });
        match kind {
            "HealthcareService" => json!({
                "identifier": [{ "system": systems::DOS_SERVICE, "value": telling.service.id.0 }],
                "active": true,
                "providedBy": { "reference": entries.provider },
                "name": service_name(telling),
            }),
            "Schedule" => json!({ "active": true, "actor": [to("HealthcareService")] }),
            "Slot" => self.slot(),
            "Practitioner" => self.practitioner(),
            "PractitionerRole" => json!({
                "practitioner": to("Practitioner"), "organization": { "reference": entries.referrer },
            }),
            _ => consent(patient),
        }
    }

    /// The time that the booking takes up, whether the diary here has it or not.
    fn slot(&self) -> Value {
        let (start, end) = self.telling.appointment.as_ref().map(|it| (it.start, it.end)).unwrap_or_default();
        json!({ "status": "busy", "start": start.to_string(), "end": end.to_string() })
    }

    fn practitioner(&self) -> Value {
        let asker = &self.telling.referral.requester;
        let mut practitioner = json!({});
        if let Some(number) = &asker.practitioner {
            practitioner["identifier"] = json!([{ "system": number.system, "value": number.value }]);
        }
        if let Some((family, given)) = &asker.practitioner_name {
            practitioner["name"] = json!([{ "family": family, "given": [given] }]);
        }
        practitioner
    }
}

const REQUEST_PROFILE: &str = "https://fhir.hl7.org.uk/StructureDefinition/UKCore-ServiceRequest";
const ABSENT: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";

/// It is newer than what it was made of.
fn changed(mut resource: Value, parts: &Parts<'_>) -> Value {
    put_meta(&mut resource, "lastUpdated", json!(parts.telling.at.to_string()));
    resource
}

/// What others sent may have anything in its place.
fn put_meta(resource: &mut Value, name: &str, value: Value) {
    if resource["meta"].as_object().is_none() {
        resource["meta"] = json!({});
    }
    resource["meta"][name] = value;
}

fn minutes(appointment: &Appointment) -> i64 {
    ((appointment.end.as_second() - appointment.start.as_second()) / 60).max(1)
}

fn service_name(telling: &Telling) -> &str {
    if telling.service.name.is_empty() { &telling.service.id.0 } else { &telling.service.name }
}

fn has_code(concept: &Value, system: &str) -> bool {
    crate::fhir::view::code_of(concept, system).is_some()
}

/// Rank 1, and it can be telephoned.
fn is_first_contact(contact: &Value) -> bool {
    let rank = extension(contact, systems::CONTACT_RANK).and_then(|rank| rank.get("valuePositiveInt")?.as_u64());
    rank == Some(1) && items(contact, "telecom").iter().any(|it| str_at(it, "system") == Some("phone"))
}

/// Direct care, as every message of the standard has it.
fn consent(patient: &str) -> Value {
    let coded = |system: &str, code: &str| json!({ "coding": [{ "system": system, "code": code }] });
    json!({
        "status": "active",
        "scope": coded("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [coded("https://fhir.nhs.uk/CodeSystem/consent-categories-bars", "DRC")],
        "patient": { "reference": patient },
        "policyRule": coded("http://terminology.hl7.org/CodeSystem/v3-ActCode", "IMPLIED"),
    })
}
