//! Forms and versions (BaRS Core, "Content negotiation"; R4 3.1.0.1.11, 2.1.0.6). The version in `Accept` is that of
//! BaRS Core; only its major number counts.

use crate::fhir::form::Form;
use crate::issue::{Issue, MEDIA_TYPE, NOT_ACCEPTABLE, VERSION_MISSING, VERSION_UNSUPPORTED};

/// The version of BaRS Core that this gateway speaks.
pub const CORE_VERSION: &str = "1.5.0";

/// The version of FHIR, as the parameter `fhirVersion` has it.
const FHIR_VERSION: &str = "4.0";

/// Names of forms; the short ones are for `_format`.
const NAMES: &[(&str, Form)] = &[
    ("application/fhir+json", Form::Json),
    ("application/json", Form::Json),
    ("text/json", Form::Json),
    ("json", Form::Json),
    ("application/fhir+xml", Form::Xml),
    ("application/xml", Form::Xml),
    ("text/xml", Form::Xml),
    ("xml", Form::Xml),
];

/// The form in which the answer is given. `_format` wins over `Accept`; `otherwise` is given where both leave it open.
pub fn accept(accept: Option<&str>, format: Option<&str>, otherwise: Form) -> Result<Form, Issue> {
    // A `+` in a query that was not percent-encoded arrives as a blank.
    let format = format.map(|format| format.trim().replace(' ', "+")).filter(|format| !format.is_empty());
    let wanted = format.as_deref().or(accept).unwrap_or("*/*");
    let at = if format.is_some() { "http._format" } else { "http.Accept" };
    let form = best(wanted, otherwise).ok_or_else(|| Issue::new(&NOT_ACCEPTABLE, at))?;
    // The version may stand in Accept while _format only names the form.
    let versions = accept.into_iter().flat_map(ranges).filter_map(|range| range.version);
    match versions.max() {
        Some(major) if major != 1 => {
            Err(Issue::with(&NOT_ACCEPTABLE, "http.Accept", "Only major version 1 is spoken here."))
        }
        _ => Ok(form),
    }
}

/// The form that is wanted most; of two that are wanted alike, the one that is named first.
fn best(wanted: &str, otherwise: Form) -> Option<Form> {
    let ranges: Vec<Range> = ranges(wanted).collect();
    let other = if otherwise == Form::Json { Form::Xml } else { Form::Json };
    let (first, second) = (weight(&ranges, otherwise), weight(&ranges, other));
    match (first, second) {
        (None, None) => None,
        (first, second) if first == second => Some(named_first(&ranges).unwrap_or(otherwise)),
        (first, second) => Some(if second < first { otherwise } else { other }),
    }
}

/// How much a form is wanted: the weight of the range that fits it most closely; `None` where that is nothing.
fn weight(ranges: &[Range], form: Form) -> Option<u16> {
    let fits = ranges.iter().filter_map(|range| Some((range.media.closeness(form)?, range.weight)));
    let closest = fits.max_by_key(|(closeness, weight)| (*closeness, *weight));
    closest.map(|(_, weight)| weight).filter(|weight| 0 < *weight)
}

fn named_first(ranges: &[Range]) -> Option<Form> {
    ranges.iter().find_map(|range| match range.media {
        Media::Named(form) if 0 < range.weight => Some(form),
        _ => None,
    })
}

/// What a range of `Accept` covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Media {
    /// One form, by any of its names.
    Named(Form),
    /// `application/*` and `text/*`.
    AnyOfType,
    /// `*/*`.
    Any,
    /// Neither form.
    Nothing,
}

impl Media {
    fn closeness(self, form: Form) -> Option<u8> {
        match self {
            Self::Named(own) => (own == form).then_some(2),
            Self::AnyOfType => Some(1),
            Self::Any => Some(0),
            Self::Nothing => None,
        }
    }
}

/// One range of `Accept` (RFC 9110 section 12.5.1).
struct Range {
    media: Media,
    /// In thousandths.
    weight: u16,
    /// The major version of BaRS Core.
    version: Option<u32>,
}

fn ranges(header: &str) -> impl Iterator<Item = Range> {
    header.split(',').map(str::trim).filter(|range| !range.is_empty()).map(Range::read)
}

impl Range {
    fn read(range: &str) -> Self {
        let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
        let mut found = Self { media: media(name.trim()), weight: 1000, version: None };
        for (name, value) in parameters.split(';').filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => found.weight = thousandths(value),
                "version" => found.version = major(value),
                "fhirversion" if value != FHIR_VERSION => found.media = Media::Nothing,
                _ => {}
            }
        }
        found
    }
}

fn media(name: &str) -> Media {
    match name.to_ascii_lowercase().as_str() {
        "*/*" | "*" => Media::Any,
        "application/*" | "text/*" => Media::AnyOfType,
        name => form_named(name).map_or(Media::Nothing, Media::Named),
    }
}

fn form_named(name: &str) -> Option<Form> {
    NAMES.iter().find(|(own, _)| *own == name).map(|(_, form)| *form)
}

/// `0.5` as 500; what is no weight counts as the full one.
fn thousandths(weight: &str) -> u16 {
    match weight.parse::<f32>() {
        Ok(weight) if (0.0..=1.0).contains(&weight) => (weight * 1000.0).round() as u16,
        _ => 1000,
    }
}

/// The form that the body is said to have; `None` where nothing is said.
pub fn content_type(value: Option<&str>) -> Result<Option<Form>, Issue> {
    let Some(value) = value else { return Ok(None) };
    match Range::read(value).media {
        Media::Named(form) => Ok(Some(form)),
        _ => {
            let text = "Send application/fhir+json or application/fhir+xml, of FHIR version 4.0.";
            Err(Issue::with(&MEDIA_TYPE, "http.Content-Type", text))
        }
    }
}

/// `Bundle.meta.versionId` is the version of the BaRS Application that the payload follows.
pub fn application_version(version: Option<&str>) -> Result<(), Issue> {
    const AT: &str = "Bundle.meta.versionId";
    match version.map(str::trim) {
        None | Some("") => Err(Issue::new(&VERSION_MISSING, AT)),
        Some(version) if major(version) == Some(1) => Ok(()),
        Some(_) => Err(Issue::new(&VERSION_UNSUPPORTED, AT)),
    }
}

fn major(version: &str) -> Option<u32> {
    version.split(['.', '-', '+']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accepted: &str, format: &str) -> Result<Form, &'static str> {
        let given = |text: &'static str| Some(text).filter(|text| !text.is_empty());
        let accepted: &'static str = accepted.to_owned().leak();
        let format: &'static str = format.to_owned().leak();
        accept(given(accepted), given(format), Form::Json).map_err(|issue| issue.code.id)
    }

    #[test]
    fn the_form_is_the_one_that_is_wanted_most() {
        for (accepted, format, form) in [
            ("", "", Form::Json),
            ("*/*", "", Form::Json),
            ("application/*", "", Form::Json),
            ("application/json", "", Form::Json),
            ("application/fhir+json; version=1.1.0", "", Form::Json),
            ("text/xml", "", Form::Xml),
            ("Application/FHIR+XML; fhirVersion=4.0; version=1.5.0", "", Form::Xml),
            ("application/fhir+xml, application/fhir+json", "", Form::Xml),
            ("application/fhir+json, application/fhir+xml", "", Form::Json),
            ("application/fhir+xml;q=0.5, application/fhir+json;version=1.0.0-beta", "", Form::Json),
            ("application/fhir+xml;q=0.9, */*;q=0.1", "", Form::Xml),
            ("application/fhir+json;q=0, */*", "", Form::Xml),
            ("text/html, application/xml;q=0.9, */*;q=0.8", "", Form::Xml),
            ("application/fhir+xml", "application/fhir json", Form::Json),
            ("application/fhir+json", "xml", Form::Xml),
            ("text/html", "json", Form::Json),
            ("application/fhir+xml", " ", Form::Xml),
        ] {
            assert_eq!(chosen(accepted, format), Ok(form), "{accepted:?} {format:?}");
        }
    }

    #[test]
    fn what_is_left_open_follows_the_request() {
        assert_eq!(accept(None, None, Form::Xml), Ok(Form::Xml));
        assert_eq!(accept(Some("*/*"), None, Form::Xml), Ok(Form::Xml));
        assert_eq!(accept(Some("application/json"), None, Form::Xml), Ok(Form::Json));
    }

    #[test]
    fn refuses_other_forms_and_versions() {
        for (accepted, format) in [
            ("application/fhir+json; version=2.0.0", ""),
            ("application/fhir+xml; version=2.0.0", "xml"),
            ("text/html", ""),
            ("application/fhir+json;q=0", ""),
            ("application/fhir+json; fhirVersion=3.0", ""),
            ("application/fhir+json", "turtle"),
        ] {
            assert_eq!(chosen(accepted, format), Err(NOT_ACCEPTABLE.id), "{accepted:?} {format:?}");
        }
    }

    #[test]
    fn bodies_are_what_they_are_said_to_be() {
        assert_eq!(content_type(None), Ok(None));
        assert_eq!(content_type(Some("application/fhir+xml; charset=utf-8; fhirVersion=4.0")), Ok(Some(Form::Xml)));
        assert_eq!(content_type(Some("text/json")), Ok(Some(Form::Json)));
        for other in ["text/plain", "*/*", "application/*", "application/fhir+json; fhirVersion=5.0", ""] {
            assert_eq!(content_type(Some(other)).unwrap_err().code.id, MEDIA_TYPE.id, "{other}");
        }
    }

    #[test]
    fn application_versions() {
        assert!(application_version(Some("1.0.0-beta")).is_ok());
        assert_eq!(application_version(None).unwrap_err().code.id, VERSION_MISSING.id);
        assert_eq!(application_version(Some("2.0.0")).unwrap_err().code.id, VERSION_UNSUPPORTED.id);
    }
}
