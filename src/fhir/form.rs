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
        // UTF-16 is not read in either form, but its sender is told so by the reader of the form that it means.
        if body.starts_with(b"\xFE\xFF\0<") || body.starts_with(b"\xFF\xFE<") || body.starts_with(b"\0<") {
            return Self::Xml;
        }
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
        for text in ["<a/>", "\u{feff}<a/>"] {
            let (big, little): (Vec<_>, Vec<_>) =
                text.encode_utf16().map(|unit| (unit.to_be_bytes(), unit.to_le_bytes())).unzip();
            assert_eq!([Form::of(&big.concat()), Form::of(&little.concat())], [Form::Xml; 2]);
        }
        for json in ["{}", "", " ", "\"<\"", "x"] {
            assert_eq!(Form::of(json.as_bytes()), Form::Json);
        }
    }
}
