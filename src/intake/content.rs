//! A body as everything inside works on it, whatever form it came in.

use std::borrow::Cow;

use serde_json::Value;

use crate::fhir::form::Form;
use crate::fhir::json::{self, Limits};
use crate::fhir::xml::position;
use crate::issue::{Issue, Issues};
use crate::profile::xml;

/// What a body holds.
#[derive(Debug)]
pub struct Content<'b> {
    /// As JSON: the body itself, or what its XML was turned into.
    pub json: Cow<'b, [u8]>,
    /// The same, read.
    pub value: Value,
    /// What is wrong in the XML and cannot be seen in the JSON.
    pub issues: Issues,
}

/// Reads a body in the form that its first byte tells.
pub fn read<'b>(body: &'b [u8], limits: &Limits) -> Result<Content<'b>, Issue> {
    match Form::of(body) {
        Form::Json => {
            let value = json::parse(body, limits).map_err(|error| error.issue())?;
            Ok(Content { json: Cow::Borrowed(body), value, issues: Issues::default() })
        }
        Form::Xml => read_xml(body, limits),
    }
}

fn read_xml<'b>(body: &'b [u8], limits: &Limits) -> Result<Content<'b>, Issue> {
    let parsed = xml::read(body, limits).map_err(|error| error.issue())?;
    // JSON may need more bytes than the XML that it is made of.
    let limits = Limits { bytes_max: parsed.json.len(), ..*limits };
    let value = json::parse(&parsed.json, &limits).map_err(|error| {
        let position = position(body, parsed.places.xml_offset(error.offset));
        Issue::with(error.code(), error.place.clone(), format!("{position}: {}.", error.kind.text()))
    })?;
    Ok(Content { json: Cow::Owned(parsed.json), value, issues: parsed.issues })
}
