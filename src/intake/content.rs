//! A body as everything inside works on it, whatever form it came in.

use std::borrow::Cow;

use crate::fhir::form::Form;
use crate::fhir::json::{JsonError, Limits};
use crate::fhir::xml::Places;
use crate::issue::{Issue, Issues};
use crate::profile::xml;

/// What a body holds.
#[derive(Debug)]
pub struct Content<'b> {
    /// As JSON: the body itself, or what its XML was turned into.
    pub json: Cow<'b, [u8]>,
    /// What is wrong in the XML and cannot be seen in the JSON.
    pub issues: Issues,
    /// The XML, and where in it each part of the JSON stands.
    xml: Option<(&'b [u8], Places)>,
}

/// Reads a body in the form that its first byte tells.
pub fn read<'b>(body: &'b [u8], limits: &Limits) -> Result<Content<'b>, Issue> {
    if Form::of(body) == Form::Json {
        return Ok(Content { json: Cow::Borrowed(body), issues: Issues::default(), xml: None });
    }
    let parsed = xml::read(body, limits).map_err(|error| error.issue())?;
    Ok(Content { json: Cow::Owned(parsed.json), issues: parsed.issues, xml: Some((body, parsed.places)) })
}

impl Content<'_> {
    /// The limits on the JSON: what was made of XML is within them, but may have more bytes than the XML had.
    pub fn limits(&self, limits: &Limits) -> Limits {
        match self.xml {
            Some(_) => Limits { bytes_max: self.json.len(), ..*limits },
            None => *limits,
        }
    }

    /// Findings in the JSON, with the lines and columns of the body.
    pub fn placed(&self, found: Issues) -> Issues {
        match &self.xml {
            Some((xml, places)) => places.in_xml(&self.json, xml, found),
            None => found,
        }
    }

    /// Why the JSON cannot be read, with the line and column of the body.
    pub fn fault(&self, error: &JsonError) -> Issue {
        match &self.xml {
            None => error.issue(),
            Some((xml, places)) => {
                let text = format!("This cannot be read as JSON would be: {}.", error.kind.text());
                let position = crate::fhir::xml::position(xml, places.xml_offset(error.offset));
                Issue::with(error.code(), error.place.clone(), text).at_line(position.line, position.column)
            }
        }
    }
}
