//! Places as FHIRPath: `Bundle.entry[3].resource.status` (R4 OperationOutcome.issue.expression).
//!
//! A walk over a message makes one step per element on its own stack and never allocates; the path is
//! written out only when something is found.

use std::fmt;

/// A place, as a chain of steps up to the root.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    up: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Root(&'a str),
    Name(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    /// The place that everything below is relative to: a resource type, another place, or empty.
    pub fn root(place: &'a str) -> Self {
        Self { up: None, step: Step::Root(place) }
    }

    /// The element `name` of this place.
    pub fn name(&'a self, name: &'a str) -> Path<'a> {
        Path { up: Some(self), step: Step::Name(name) }
    }

    /// The item `index` of this place, from 0.
    pub fn index(&'a self, index: usize) -> Path<'a> {
        Path { up: Some(self), step: Step::Index(index) }
    }

    /// Nothing written yet?
    fn is_blank(&self) -> bool {
        matches!(self.step, Step::Root("")) && self.up.is_none()
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(up) = self.up {
            up.fmt(f)?;
        }
        match self.step {
            Step::Root(place) => f.write_str(place),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Name(name) if self.up.is_none_or(Path::is_blank) => f.write_str(plain_name(name)),
            Step::Name(name) => write!(f, ".{}", plain_name(name)),
        }
    }
}

impl From<Path<'_>> for String {
    fn from(path: Path<'_>) -> Self {
        path.to_string()
    }
}

/// A property name as it may be shown: a sender's own name could hold anything, even a patient's data, so
/// whatever does not look like an element's name (`_birthDate`, `valueBase64Binary`) is shown as `?`.
pub fn plain_name(name: &str) -> &str {
    const LENGTH_MAX: usize = 64;
    const DIGITS_MAX: usize = 2;
    let own = name.strip_prefix('_').unwrap_or(name);
    let plain = own.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let begins = own.starts_with(|first: char| first.is_ascii_lowercase());
    let digits = own.bytes().filter(u8::is_ascii_digit).count();
    if plain && begins && digits <= DIGITS_MAX && name.len() <= LENGTH_MAX { name } else { "?" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_elements_and_indexes() {
        let bundle = Path::root("Bundle");
        let entries = bundle.name("entry");
        let entry = entries.index(3);
        let resource = entry.name("resource");
        assert_eq!(resource.name("status").to_string(), "Bundle.entry[3].resource.status");
    }

    #[test]
    fn a_blank_root_leaves_no_dot() {
        assert_eq!(Path::root("").name("id").to_string(), "id");
    }

    #[test]
    fn what_is_no_element_name_is_not_shown() {
        assert_eq!(Path::root("Patient").name("Mr Smith").to_string(), "Patient.?");
        for name in ["Smith", "9434765919", "nhs9434765919", "_", "", "x y"] {
            assert_eq!(plain_name(name), "?");
        }
        for name in ["_birthDate", "valueBase64Binary", "resourceType"] {
            assert_eq!(plain_name(name), name);
        }
        assert_eq!(plain_name(&"a".repeat(65)), "?");
    }
}
