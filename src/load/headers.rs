//! The headers that every BaRS request carries.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const TARGET: HeaderName = HeaderName::from_static("nhsd-target-identifier");
const ORGANISATION: HeaderName = HeaderName::from_static("nhsd-end-user-organisation");
const SOFTWARE: HeaderName = HeaderName::from_static("nhsd-requesting-software");

/// The organisation that the load tool says it acts for.
pub const ORGANISATION_CODE: &str = "YGM98";

/// The headers of requests to one service; each request adds ids of its own.
#[derive(Clone, Debug)]
pub struct Headers {
    read: HeaderMap,
    write: HeaderMap,
}

impl Headers {
    /// Prepares the headers of requests to a service.
    pub fn new(service: &str) -> Self {
        let mut read = HeaderMap::new();
        read.insert(ACCEPT, HeaderValue::from_static("application/fhir+json; version=1.1.0"));
        read.insert(TARGET, encoded(&json!({"system": "https://fhir.nhs.uk/Id/dos-service-id", "value": service})));
        read.insert(ORGANISATION, encoded(&organisation()));
        read.insert(SOFTWARE, encoded(&software()));
        let mut write = read.clone();
        write.insert(CONTENT_TYPE, HeaderValue::from_static("application/fhir+json"));
        Self { read, write }
    }

    /// For a request without a body.
    pub fn read(&self) -> HeaderMap {
        with_ids(self.read.clone())
    }

    /// For a request with one.
    pub fn write(&self) -> HeaderMap {
        with_ids(self.write.clone())
    }
}

fn organisation() -> Value {
    let identifier = json!({"system": "https://fhir.nhs.uk/Id/ods-organization-code", "value": ORGANISATION_CODE});
    json!({"resourceType": "Organization", "identifier": [identifier], "name": "Harbour Lane Telephone Advice"})
}

fn software() -> Value {
    let identifier = json!({"system": "https://harbour-lane.example/Id/software", "value": "onward-load"});
    let name = json!({"name": "Onward load tool", "type": "manufacturer-name"});
    json!({"resourceType": "Device", "identifier": [identifier], "deviceName": name, "version": {"value": "1.0"}})
}

fn encoded(value: &Value) -> HeaderValue {
    // Base64 has no character that a header could not hold.
    HeaderValue::from_str(&BASE64_STANDARD.encode(value.to_string())).expect("base64")
}

fn with_ids(mut headers: HeaderMap) -> HeaderMap {
    headers.insert(REQUEST_ID, fresh());
    headers.insert(CORRELATION_ID, fresh());
    headers
}

fn fresh() -> HeaderValue {
    let mut text = [0; 36];
    // A UUID is ASCII.
    HeaderValue::from_str(Uuid::new_v4().hyphenated().encode_lower(&mut text)).expect("a UUID")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_has_ids_of_its_own() {
        let headers = Headers::new("111111111");
        let (one, two) = (headers.read(), headers.write());
        assert_ne!(one[REQUEST_ID], two[REQUEST_ID]);
        assert_ne!(one[REQUEST_ID], one[CORRELATION_ID]);
        let target = BASE64_STANDARD.decode(one[TARGET].as_bytes()).unwrap();
        assert_eq!(target, br#"{"system":"https://fhir.nhs.uk/Id/dos-service-id","value":"111111111"}"#);
    }
}
