//! MFN^M05: clinics and where they are. Each becomes a Location of the directory.

use serde_json::json;

use super::reading::{Reading, sender_urn};
use crate::booking::command::{Carried, PublishSlots};
use crate::booking::feed::Wish;
use crate::hl7v2::path::Path;
use crate::issue::HL7_SEGMENT_MISSING;

/// Most clinics of one message.
const CLINICS_MAX: usize = 5_000;

/// Each LOC, with the MFE before it, which says whether it is open.
pub(super) fn clinics(reading: &mut Reading<'_>) -> Option<Wish> {
    if !reading.needs(b"LOC", &HL7_SEGMENT_MISSING) {
        return None;
    }
    let mut diary = PublishSlots::default();
    let mut open = true;
    for segment in reading.message.segments().take(CLINICS_MAX * 4) {
        match segment.name() {
            b"MFE" => open = !matches!(reading.part(&segment, 1, 1).as_deref(), Some("MDL" | "MDC")),
            b"LOC" => {
                let Some(code) = reading.part(&segment, 1, 1) else {
                    reading.missing(Path::of("LOC-1"));
                    return None;
                };
                let site = reading.part(&segment, 1, 4).unwrap_or_else(|| reading.facility());
                diary.directory.push(clinic(&site, &code, reading.part(&segment, 2, 1), open));
            }
            _ => {}
        }
    }
    Some(Wish::Directory(Box::new(diary)))
}

fn clinic(site: &str, code: &str, name: Option<String>, open: bool) -> (String, String, Carried) {
    let id: String =
        format!("{site}-{code}").chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let location = json!({
        "resourceType": "Location",
        "id": id,
        "identifier": [{ "system": sender_urn(site, "clinic"), "value": code }],
        "status": if open { "active" } else { "inactive" },
        "name": name.unwrap_or_else(|| code.to_owned()),
        "mode": "instance",
        "managingOrganization": {
            "identifier": { "system": "https://fhir.nhs.uk/Id/ods-organization-code", "value": site },
        },
    });
    ("Location".to_owned(), id, Carried(location.to_string()))
}
