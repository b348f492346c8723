//! Forms and versions (BaRS Core, "Content negotiation"). The version in `Accept` is that of BaRS Core;
//! only its major number counts.

use crate::issue::{Issue, MEDIA_TYPE, NOT_ACCEPTABLE, VERSION_MISSING, VERSION_UNSUPPORTED};

/// The version of BaRS Core that this gateway speaks.
pub const CORE_VERSION: &str = "1.5.0";

/// Media types that are read and written.
const JSON: &[&str] = &["application/fhir+json", "application/json", "text/json", "json"];

/// Can the answer be given as it is asked for? `_format` wins over `Accept`.
pub fn accept(accept: Option<&str>, format: Option<&str>) -> Result<(), Issue> {
    // A `+` in a query that was not percent-encoded arrives as a blank.
    let format = format.map(|format| format.replace(' ', "+"));
    let wanted = format.as_deref().or(accept).unwrap_or("*/*");
    let offers: Vec<Offer> = wanted.split(',').map(Offer::read).collect();
    let at = if format.is_some() { "http._format" } else { "http.Accept" };
    if !offers.iter().any(|offer| offer.json) {
        return Err(Issue::new(&NOT_ACCEPTABLE, at));
    }
    // The version may stand in Accept while _format only names the form.
    let versions = accept.into_iter().flat_map(|accept| accept.split(',')).filter_map(|range| Offer::read(range).major);
    match versions.max() {
        Some(major) if major != 1 => {
            Err(Issue::with(&NOT_ACCEPTABLE, "http.Accept", "Only major version 1 is spoken here."))
        }
        _ => Ok(()),
    }
}

struct Offer {
    json: bool,
    major: Option<u32>,
}

impl Offer {
    fn read(range: &str) -> Self {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default().to_ascii_lowercase();
        let json = media.is_empty() || media == "*/*" || media == "application/*" || JSON.contains(&media.as_str());
        let version =
            parts.filter_map(|part| part.split_once('=')).find(|(name, _)| name.trim().eq_ignore_ascii_case("version"));
        let major = version.and_then(|(_, value)| major(value.trim().trim_matches('"')));
        Self { json, major }
    }
}

/// Can the body be read? An absent Content-Type is taken as JSON: parsing will tell.
pub fn content_type(value: Option<&str>) -> Result<(), Issue> {
    let media = value.and_then(|value| value.split(';').next()).map(|media| media.trim().to_ascii_lowercase());
    match media {
        None => Ok(()),
        Some(media) if JSON.contains(&media.as_str()) => Ok(()),
        Some(_) => Err(Issue::with(&MEDIA_TYPE, "http.Content-Type", "Send application/fhir+json.")),
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

    #[test]
    fn takes_json_of_major_version_1() {
        for text in [
            "application/fhir+json; version=1.1.0",
            "*/*",
            "application/fhir+xml, application/fhir+json;version=1.0.0-beta",
            "application/json",
        ] {
            assert!(accept(Some(text), None).is_ok(), "{text}");
        }
        assert!(accept(None, None).is_ok());
        assert!(accept(Some("application/fhir+xml"), Some("application/fhir json")).is_ok(), "_format wins");
    }

    #[test]
    fn refuses_other_forms_and_versions() {
        for text in ["application/fhir+json; version=2.0.0", "application/fhir+xml", "text/html"] {
            assert_eq!(accept(Some(text), None).unwrap_err().code.id, NOT_ACCEPTABLE.id, "{text}");
        }
        assert!(accept(Some("application/fhir+json"), Some("xml")).is_err());
    }

    #[test]
    fn application_versions() {
        assert!(application_version(Some("1.0.0-beta")).is_ok());
        assert_eq!(application_version(None).unwrap_err().code.id, VERSION_MISSING.id);
        assert_eq!(application_version(Some("2.0.0")).unwrap_err().code.id, VERSION_UNSUPPORTED.id);
    }
}
