//! The two forms in which FHIR travels (R4 2.1.0.6 "Content Types and encodings").

/// JSON or XML.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Form {
    /// The form that everything inside works on.
    #[default]
    Json,
    /// Read and written at the edge.
    Xml,
}

impl Form {
    /// The media type that R4 gives it.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/fhir+json",
            Self::Xml => "application/fhir+xml",
        }
    }

    /// What a body is, by its first byte: no JSON begins with `<`, and no XML with anything else.
    pub fn of(body: &[u8]) -> Self {
        let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
        match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'<') => Self::Xml,
            _ => Self::Json,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_known_by_its_first_byte() {
        for xml in ["<a/>", " \n<a/>", "\u{feff}<a/>"] {
            assert_eq!(Form::of(xml.as_bytes()), Form::Xml);
        }
        for json in ["{}", "", " ", "\"<\"", "x"] {
            assert_eq!(Form::of(json.as_bytes()), Form::Json);
        }
    }
}
