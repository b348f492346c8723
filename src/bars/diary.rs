//! A diary as its owner publishes it (HealthcareService, Schedule, Slot and whom and where they mean) to
//! [`PublishSlots`].
//!
//! A slot belongs to the services that are actors of its schedule. Within a searchset resources often call each
//! other by `urn:uuid:`; what is kept is served one by one later, so such references become `Type/id`.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::patient::ods_code;
use super::systems::{DOS_SERVICE, same};
use crate::booking::command::{Carried, PublishSlots};
use crate::booking::identifier::{OdsCode, ServiceId, SlotId};
use crate::booking::service::Service;
use crate::booking::slot::{Slot, SlotStatus};
use crate::fhir::bundle::{Bundle, Entry};
use crate::fhir::instant::instant;
use crate::fhir::view::{bool_at, id, items, reference_at, str_at};
use crate::issue::{self, Issue, Issues};

/// What a diary may leave open.
pub struct Context<'a> {
    /// All slots belong to this service, whatever their schedules say.
    pub service: Option<&'a ServiceId>,
    /// Provides services that are new here and do not say who provides them.
    pub organisation: Option<&'a OdsCode>,
    /// Where messages about services that are new here are delivered to.
    pub destination: Option<&'a str>,
    /// Services that are known here already: they stay as they are.
    pub known: &'a dyn Fn(&ServiceId) -> Option<Service>,
}

/// Reads a Bundle of a diary where no service is known yet.
pub fn read(bundle: &Value, service_override: Option<&ServiceId>) -> (PublishSlots, Issues) {
    read_with(bundle, &Context { service: service_override, organisation: None, destination: None, known: &|_| None })
}

/// Reads a Bundle of a diary. What has an error is left out.
pub fn read_with(bundle: &Value, context: &Context<'_>) -> (PublishSlots, Issues) {
    let mut issues = Issues::default();
    let Some(bundle) = Bundle::of(bundle) else {
        issues.say(&issue::RESOURCE_TYPE, "", "A Bundle is expected here.");
        return (PublishSlots::default(), issues);
    };
    let mut reader = Reader::new(&bundle, context);
    bundle.entries().iter().for_each(|entry| reader.directory(entry));
    context.service.into_iter().for_each(|id| reader.service_override(id));
    bundle.entries_of("HealthcareService").for_each(|entry| reader.service(entry));
    bundle.entries_of("Slot").for_each(|entry| reader.slot(entry));
    issues.extend(reader.issues);
    (reader.found, issues)
}

struct Reader<'a> {
    context: &'a Context<'a>,
    /// By fullUrl and by `Type/id`: the type, the id and the resource.
    index: HashMap<String, (&'a str, &'a str, &'a Value)>,
    /// Services that a slot may belong to: they are in `found`.
    services: HashSet<ServiceId>,
    slots: HashSet<&'a str>,
    found: PublishSlots,
    issues: Issues,
}

impl<'a> Reader<'a> {
    fn new(bundle: &Bundle<'a>, context: &'a Context<'a>) -> Self {
        let mut index = HashMap::new();
        for entry in bundle.entries() {
            let Some((kind, id, resource)) = identity(entry) else { continue };
            index.entry(format!("{kind}/{id}")).or_insert((kind, id, resource));
            entry.full_url.map(|url| index.entry(url.into()).or_insert((kind, id, resource)));
        }
        let (services, slots) = Default::default();
        Self { context, index, services, slots, found: PublishSlots::default(), issues: Issues::default() }
    }

    /// Keeps whatever slots and schedules may refer to.
    fn directory(&mut self, entry: &Entry<'a>) {
        match (entry.resource_type(), identity(entry)) {
            (Some("Slot" | "OperationOutcome"), _) => {}
            (Some(_), Some((kind, id, resource))) => {
                let carried = self.carry(&with_id(resource, id));
                self.found.directory.push((kind.into(), id.into(), carried));
            }
            (Some(_), None) => self.issues.add(&issue::ELEMENT_MISSING, entry.place_of("id")),
            (None, _) => self.issues.add(&issue::RESOURCE_TYPE, entry.place()),
        }
    }

    /// The resource with its references within the Bundle as `Type/id`.
    fn carry(&self, resource: &Value) -> Carried {
        let mut resource = resource.clone();
        self.localise(&mut resource);
        Carried(resource.to_string())
    }

    fn localise(&self, value: &mut Value) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get_mut("reference")
                    && let Some((kind, id, _)) = self.index.get(reference.as_str())
                {
                    *reference = format!("{kind}/{id}");
                }
                members.values_mut().for_each(|value| self.localise(value));
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.localise(item)),
            _ => {}
        }
    }

    fn service_override(&mut self, id: &ServiceId) {
        let fresh = || self.context.organisation.map(|code| self.fresh_service(id, id.0.clone(), code.clone(), false));
        match (self.context.known)(id).or_else(fresh) {
            Some(service) => self.keep_service(service, None),
            None => self.issues.say(
                &issue::RULE_MISSING,
                "",
                "The service is not known here: say which organisation provides it.",
            ),
        }
    }

    fn service(&mut self, entry: &Entry<'a>) {
        let Some((_, _, resource)) = identity(entry).filter(|_| self.context.service.is_none()) else { return };
        let Some(id) = service_id(resource) else { return };
        match (self.context.known)(&id).or_else(|| self.new_service(&id, resource)) {
            Some(service) => {
                let carried = self.carry(resource);
                self.keep_service(service, Some(carried));
            }
            None => self.issues.say(
                &issue::RULE_MISSING,
                entry.place_of("providedBy"),
                "Nothing says which organisation provides this service.",
            ),
        }
    }

    fn new_service(&self, id: &ServiceId, resource: &Value) -> Option<Service> {
        let provider = reference_at(resource, "providedBy").and_then(|reference| self.resolve(reference));
        let organisation = provider.and_then(|(_, _, organisation)| ods_code(organisation));
        let organisation = organisation.or_else(|| self.context.organisation.cloned())?;
        let name = str_at(resource, "name").unwrap_or(&id.0).to_owned();
        Some(self.fresh_service(id, name, organisation, bool_at(resource, "active") == Some(false)))
    }

    fn fresh_service(&self, id: &ServiceId, name: String, organisation: OdsCode, closed: bool) -> Service {
        let destination = self.context.destination.map(str::to_owned);
        let id = id.clone();
        Service { id, name, organisation, use_cases: Vec::new(), treatment_function: None, destination, closed }
    }

    fn keep_service(&mut self, service: Service, carried: Option<Carried>) {
        if self.services.insert(service.id.clone()) {
            self.found.services.push((service, carried));
        }
    }

    fn resolve(&self, reference: &str) -> Option<(&'a str, &'a str, &'a Value)> {
        self.index.get(reference).copied()
    }

    fn slot(&mut self, entry: &Entry<'a>) {
        let Some(resource) = entry.resource() else { return };
        let before = self.issues.len();
        let slot = self.read_slot(entry, resource);
        if let Some(slot) = slot.filter(|_| before == self.issues.len()) {
            let carried = self.carry(resource);
            self.found.slots.push((slot, carried));
        }
    }

    /// Reads all of it before it gives up, so that all mistakes are told at once.
    fn read_slot(&mut self, entry: &Entry<'a>, resource: &'a Value) -> Option<Slot> {
        let id = self.slot_id(entry, resource);
        let (start, end) = (self.instant(entry, "start"), self.instant(entry, "end"));
        if let (Some(start), Some(end)) = (start, end)
            && end <= start
        {
            self.issues.say(&issue::RULE_VALUE, entry.place_of("end"), "A slot ends after it starts.");
        }
        let status = self.status(entry);
        let (schedule, services) = self.schedule(entry, resource)?;
        Some(Slot { id: SlotId(id?.into()), schedule, services, start: start?, end: end?, status: status? })
    }

    fn slot_id(&mut self, entry: &Entry<'a>, resource: &'a Value) -> Option<&'a str> {
        let found = id(resource).filter(|id| !id.is_empty());
        match found {
            None => self.issues.add(&issue::ELEMENT_MISSING, entry.place_of("id")),
            Some(id) if !self.slots.insert(id) => {
                self.issues.say(
                    &issue::RULE_VALUE,
                    entry.place_of("id"),
                    "Another slot of this Bundle has the same id.",
                );
            }
            Some(_) => {}
        }
        found
    }

    fn instant(&mut self, entry: &Entry<'_>, element: &str) -> Option<jiff::Timestamp> {
        let text = str_at(entry.resource()?, element);
        let found = text.and_then(instant);
        if found.is_none() {
            let code = if text.is_some() { &issue::VALUE_FORMAT } else { &issue::ELEMENT_MISSING };
            let rule = format!("Slot.{element} must be an instant with its offset, such as 2026-12-01T09:30:00+00:00.");
            self.issues.push(Issue::with(code, entry.place_of(element), rule));
        }
        found
    }

    fn status(&mut self, entry: &Entry<'_>) -> Option<SlotStatus> {
        let text = str_at(entry.resource()?, "status");
        let found = text.and_then(slot_status);
        if found.is_none() {
            let code = if text.is_some() { &issue::CODE_UNKNOWN } else { &issue::ELEMENT_MISSING };
            self.issues.add(code, entry.place_of("status"));
        }
        found
    }

    /// The schedule's id, and the services whose diary it is.
    fn schedule(&mut self, entry: &Entry<'a>, resource: &Value) -> Option<(String, Vec<ServiceId>)> {
        let Some(reference) = reference_at(resource, "schedule") else {
            self.issues.add(&issue::ELEMENT_MISSING, entry.place_of("schedule"));
            return None;
        };
        let resolved = self.resolve(reference).filter(|(kind, ..)| *kind == "Schedule");
        let Some(id) = resolved.map(|(_, id, _)| id).or_else(|| tail(reference, "Schedule")) else {
            self.issues.add(&issue::REFERENCE_UNRESOLVED, entry.place_of("schedule.reference"));
            return None;
        };
        let services = match self.context.service {
            Some(service) => vec![service.clone()],
            None => resolved.map(|(_, _, schedule)| self.actors(schedule)).unwrap_or_default(),
        };
        if services.is_empty() {
            let text =
                "The slot's schedule names no HealthcareService that is known here: say to which service it belongs.";
            self.issues.say(&issue::RULE_MISSING, entry.place_of("schedule"), text);
        }
        Some((id.to_owned(), services))
    }

    /// The services among a schedule's actors.
    fn actors(&mut self, schedule: &Value) -> Vec<ServiceId> {
        let references = items(schedule, "actor").iter().filter_map(|actor| str_at(actor, "reference"));
        references.filter_map(|reference| self.actor(reference)).collect()
    }

    /// A service of the Bundle, or one that is known here.
    fn actor(&mut self, reference: &str) -> Option<ServiceId> {
        let id = match self.resolve(reference) {
            Some(("HealthcareService", _, resource)) => service_id(resource)?,
            Some(_) => return None,
            None => ServiceId(tail(reference, "HealthcareService")?.to_owned()),
        };
        if !self.services.contains(&id) {
            self.keep_service((self.context.known)(&id)?, None);
        }
        Some(id)
    }
}

fn identity<'a>(entry: &Entry<'a>) -> Option<(&'a str, &'a str, &'a Value)> {
    let resource = entry.resource()?;
    // Within a searchset an entry may be known by its fullUrl only.
    let by_url = || entry.full_url?.strip_prefix("urn:uuid:");
    Some((entry.resource_type()?, id(resource).or_else(by_url).filter(|id| !id.is_empty())?, resource))
}

fn with_id(resource: &Value, id: &str) -> Value {
    let mut resource = resource.clone();
    resource["id"] = id.into();
    resource
}

/// The id in a reference that ends in `Type/id`.
fn tail<'a>(reference: &'a str, kind: &str) -> Option<&'a str> {
    let (head, id) = reference.rsplit_once('/')?;
    let is_kind = head == kind || head.strip_suffix(kind).is_some_and(|base| base.ends_with('/'));
    (is_kind && !id.is_empty()).then_some(id)
}

/// The Directory of Services id where there is one, else `HealthcareService.id`.
fn service_id(resource: &Value) -> Option<ServiceId> {
    let dos = |it: &&Value| str_at(it, "system").is_some_and(|system| same(system, DOS_SERVICE));
    let identifier = items(resource, "identifier").iter().find(dos).and_then(|it| str_at(it, "value"));
    identifier.or(id(resource)).map(|id| ServiceId(id.to_owned()))
}

/// What cannot be sold is not on offer; what may yet be sold to somebody else is sold.
fn slot_status(code: &str) -> Option<SlotStatus> {
    match code {
        "free" => Some(SlotStatus::Free),
        "busy" | "busy-tentative" => Some(SlotStatus::Busy),
        "busy-unavailable" | "entered-in-error" => Some(SlotStatus::BusyUnavailable),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
