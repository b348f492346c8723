//! What the load tool wants to know from a reply, found without reading all of it.

use memchr::memmem;
use serde::Deserialize;

use super::synthetic::FreeSlot;

/// The id that the receiver gave the `ServiceRequest` of an accepted referral.
///
/// The reply is as large as the referral, so only the one entry is walked through; a reply written in another way
/// (spaces, the id first) is read as JSON.
pub(super) fn service_request_id(body: &[u8]) -> Option<String> {
    let kind = br#""resourceType":"ServiceRequest""#;
    let found = memmem::find(body, kind).and_then(|at| id_in_object(&body[at + kind.len()..]));
    found.map(|id| String::from_utf8_lossy(id).into_owned()).or_else(|| service_request_id_slowly(body))
}

/// The value of the key `id` in the object that the text is in the middle of, if it comes after this place.
fn id_in_object(text: &[u8]) -> Option<&[u8]> {
    let key = br#""id":""#;
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match text[at] {
            b'"' if depth == 0 && text[at..].starts_with(key) => {
                let value = &text[at + key.len()..];
                return memchr::memchr(b'"', value).map(|end| &value[..end]);
            }
            b'"' => at = end_of_string(text, at)?,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return None,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    None
}

/// The closing quotation mark of the string that begins at `start`.
fn end_of_string(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

#[derive(Deserialize)]
struct Bundle {
    #[serde(default = "Vec::new")]
    entry: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "fullUrl")]
    full_url: Option<String>,
    resource: Resource,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    resource_type: String,
    id: Option<String>,
    start: Option<String>,
    end: Option<String>,
    status: Option<serde_json::Value>,
    schedule: Option<Reference>,
}

#[derive(Deserialize)]
struct Reference {
    reference: Option<String>,
}

fn service_request_id_slowly(body: &[u8]) -> Option<String> {
    let bundle: Bundle = serde_json::from_slice(body).ok()?;
    bundle.entry.into_iter().find(|entry| entry.resource.resource_type == "ServiceRequest")?.resource.id
}

/// The free slots of a search; none: it is not a Bundle.
pub(super) fn free_slots(body: &[u8]) -> Option<Vec<FreeSlot>> {
    let entries = serde_json::from_slice::<Bundle>(body).ok()?.entry;
    let slots = entries.iter().filter(|entry| entry.resource.resource_type == "Slot").filter_map(|entry| {
        let slot = &entry.resource;
        slot.status.as_ref().is_some_and(|status| status == "free").then_some(())?;
        Some(FreeSlot {
            id: slot.id.clone()?,
            schedule: schedule_id(slot, &entries).unwrap_or_else(|| "diary".to_owned()),
            start: slot.start.clone()?,
            end: slot.end.clone()?,
        })
    });
    Some(slots.collect())
}

/// A slot names its diary by the entry's URL or by `Schedule/<id>`.
fn schedule_id(slot: &Resource, entries: &[Entry]) -> Option<String> {
    let reference = slot.schedule.as_ref()?.reference.as_deref()?;
    if let Some(id) = reference.strip_prefix("Schedule/") {
        return Some(id.to_owned());
    }
    entries.iter().find(|entry| entry.full_url.as_deref() == Some(reference))?.resource.id.clone()
}

/// The code of an `OperationOutcome`, and the kind of its first issue.
pub(super) fn outcome_code(body: &[u8]) -> (String, String) {
    let outcome: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let issue = &outcome["issue"][0];
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
    (text(&issue["details"]["coding"][0]["code"]), text(&issue["code"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_id_wherever_it_stands() {
        let last = br#"{"entry":[{"resource":{"resourceType":"Patient","id":"p"}},{"resource":{"resourceType":"ServiceRequest","meta":{"id":"no"},"text":"\"id\":\"no\"}","category":[{"id":"no"}],"id":"yes"}}]}"#;
        assert_eq!(service_request_id(last).unwrap(), "yes");
        let first = br#"{"entry": [{"resource": {"id": "yes", "resourceType": "ServiceRequest"}}]}"#;
        assert_eq!(service_request_id(first).unwrap(), "yes");
        let compact = br#"{"entry":[{"resource":{"id":"yes","resourceType":"ServiceRequest","x":[]}},{"resource":{"resourceType":"Patient","id":"p"}}]}"#;
        assert_eq!(service_request_id(compact).unwrap(), "yes");
        for wrong in [
            "",
            "{",
            r#"{"entry":[{"resource":{"resourceType":"ServiceRequest"}}]}"#,
            r#"x"resourceType":"ServiceRequest","a\"#,
        ] {
            assert_eq!(service_request_id(wrong.as_bytes()), None);
        }
    }

    #[test]
    fn reads_free_slots_with_their_diary() {
        let body = br#"{"entry":[
            {"fullUrl":"urn:a","resource":{"resourceType":"Slot","id":"1","status":"free","start":"s","end":"e","schedule":{"reference":"urn:d"}}},
            {"resource":{"resourceType":"Slot","id":"2","status":"busy","start":"s","end":"e"}},
            {"fullUrl":"urn:d","resource":{"resourceType":"Schedule","id":"diary"}}]}"#;
        let slots = free_slots(body).unwrap();
        assert_eq!((slots.len(), slots[0].id.as_str(), slots[0].schedule.as_str()), (1, "1", "diary"));
        assert_eq!(free_slots(br#"{"resourceType":"Bundle"}"#).unwrap(), []);
        assert_eq!(free_slots(b"no"), None);
    }

    #[test]
    fn reads_an_outcome() {
        let body = br#"{"issue":[{"code":"conflict","details":{"coding":[{"code":"REC_CONFLICT"}]}}]}"#;
        assert_eq!(outcome_code(body), ("REC_CONFLICT".to_owned(), "conflict".to_owned()));
        assert_eq!(outcome_code(b"<html>"), ("-".to_owned(), "-".to_owned()));
    }
}
