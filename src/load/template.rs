//! A text that is cut up once and then filled by copying.
//!
//! The load tool shares its processors with the server that it measures, so a request must cost it next to nothing.

/// A text with places for values.
#[derive(Clone, Debug)]
pub(super) struct Template {
    /// The text before each place, and what goes there.
    parts: Vec<(String, usize)>,
    end: String,
}

impl Template {
    /// Cuts a text at each `{{name}}`; gives back a name that is not among `names`.
    pub(super) fn new(text: &str, names: &[&str]) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}").ok_or("{{")?;
            let place = names.iter().position(|known| *known == name).ok_or(name)?;
            parts.push((before.to_owned(), place));
            rest = after;
        }
        Ok(Self { parts, end: rest.to_owned() })
    }

    /// The text with a value in each place, in the order of the names.
    pub(super) fn fill(&self, values: &[&str]) -> Vec<u8> {
        let fixed: usize = self.parts.iter().map(|(before, place)| before.len() + values[*place].len()).sum();
        let mut text = Vec::with_capacity(fixed + self.end.len());
        for (before, place) in &self.parts {
            text.extend_from_slice(before.as_bytes());
            text.extend_from_slice(values[*place].as_bytes());
        }
        text.extend_from_slice(self.end.as_bytes());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_each_place() {
        let template = Template::new("a {{x}} b {{y}}{{x}} c", &["x", "y"]).unwrap();
        assert_eq!(template.fill(&["1", "22"]), b"a 1 b 221 c");
        assert_eq!(Template::new("none", &[]).unwrap().fill(&[]), b"none");
    }

    #[test]
    fn names_what_it_does_not_know() {
        assert_eq!(Template::new("{{z}}", &["x"]).unwrap_err(), "z");
        assert_eq!(Template::new("{{z", &["z"]).unwrap_err(), "{{");
    }
}
