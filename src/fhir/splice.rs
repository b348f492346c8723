//! Ids put into the bytes of a Bundle, everything else untouched.
//!
//! A reply echoes a whole message with other ids. Writing it anew from a tree costs more than reading it did, and
//! loses how its sender wrote it; copying what is between the ids costs next to nothing.

use std::ops::Range;

use super::document::{Document, Spans};

/// Where ids go in the bytes of a Bundle.
#[derive(Debug, PartialEq, Eq)]
pub struct Places {
    /// For each entry, in order: its resource, if it has one.
    resources: Vec<Option<Resource>>,
    /// Where a further entry goes: at the end of the array.
    end: usize,
}

#[derive(Debug, PartialEq, Eq)]
struct Resource {
    /// After the brace that opens it.
    start: usize,
    /// After its `resourceType`, comma not included; the usual place of an id.
    after_type: Option<usize>,
    /// The id's value, quotes included.
    id: Option<Range<usize>>,
    /// Has it any member?
    empty: bool,
}

impl Places {
    /// Finds them. `None`: it has no array of entries.
    pub fn of(document: &Document<'_>) -> Option<Self> {
        let (array, last) = document.entries_span()?;
        let resources = document.parts().iter().map(|part| part.spans().map(Resource::of)).collect();
        Some(Self { resources, end: last.unwrap_or(array.end - 1) })
    }

    /// The bytes with these ids, one per entry, and a further entry at the end.
    pub fn write(&self, bytes: &[u8], ids: &[String], further: Option<&str>) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() + 64 * ids.len() + further.map_or(0, str::len));
        let mut copied = 0;
        for (resource, id) in self.resources.iter().zip(ids) {
            let Some(resource) = resource else { continue };
            let (cut, text) = resource.insertion(id);
            out.extend_from_slice(&bytes[copied..cut.start]);
            out.extend_from_slice(text.as_bytes());
            copied = cut.end;
        }
        out.extend_from_slice(&bytes[copied..self.end]);
        if let Some(further) = further {
            out.extend_from_slice(if self.resources.is_empty() { b"" } else { b"," });
            out.extend_from_slice(further.as_bytes());
        }
        out.extend_from_slice(&bytes[self.end..]);
        out
    }
}

impl Resource {
    fn of(spans: Spans) -> Self {
        let Spans { whole, kind, id, empty } = spans;
        Self { start: whole.start + 1, after_type: kind.map(|kind| kind.end), id, empty }
    }

    /// What is replaced, and by what.
    fn insertion(&self, id: &str) -> (Range<usize>, String) {
        match (&self.id, self.after_type) {
            (Some(held), _) => (held.clone(), format!("\"{id}\"")),
            (None, Some(at)) => (at..at, format!(",\"id\":\"{id}\"")),
            (None, None) => (self.start..self.start, format!("\"id\":\"{id}\"{}", if self.empty { "" } else { "," })),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::json::{Limits, read};
    use super::super::names::Names;
    use super::*;

    fn places(text: &str) -> Option<Places> {
        let names = Names::of(["resourceType", "entry", "fullUrl", "resource", "id", "reference"]);
        let tape = read(text.as_bytes(), &Limits::default(), &names, Vec::new()).unwrap();
        Places::of(&Document::of(&tape, &names))
    }

    fn spliced(text: &str, ids: &[&str], further: Option<&str>) -> String {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        String::from_utf8(places(text).unwrap().write(text.as_bytes(), &ids, further)).unwrap()
    }

    #[test]
    fn ids_are_put_where_they_belong_and_nothing_else_changes() {
        let text = r#" { "a" : 1.50, "entry" : [ {"resource":{ "resourceType" : "X" , "x":"\"}]" }}, {"resource":{"id" : "old","y":[]}},{"z":{}} ,{"resource":{}}] , "b":[1] } "#;
        let wanted = r#" { "a" : 1.50, "entry" : [ {"resource":{ "resourceType" : "X","id":"1" , "x":"\"}]" }}, {"resource":{"id" : "2","y":[]}},{"z":{}} ,{"resource":{"id":"4"}},{"n":0}] , "b":[1] } "#;
        assert_eq!(spliced(text, &["1", "2", "3", "4"], Some(r#"{"n":0}"#)), wanted);
    }

    #[test]
    fn names_in_escapes_are_the_same_names() {
        let wanted = r#"{"\u0065ntry":[{"resource":{"\u0069d":"new"}}]}"#;
        assert_eq!(spliced(r#"{"\u0065ntry":[{"resource":{"\u0069d":"old"}}]}"#, &["new"], None), wanted);
        assert_eq!(spliced(r#"{"entry":[]}"#, &[], Some("{}")), r#"{"entry":[{}]}"#);
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), ".{0,8}".prop_map(Value::from)];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("[a-z\"\\\\]{0,4}", inner, 0..4).prop_map(|it| it.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_is_what_a_tree_would_give(resources in prop::collection::vec(json_value(), 0..5), pretty in any::<bool>()) {
            let entries: Vec<Value> = resources.iter().map(|it| json!({"f": 1, "resource": {"resourceType": "X", "v": it}})).collect();
            let bundle = json!({ "entry": entries, "z": resources });
            let text = if pretty { serde_json::to_string_pretty(&bundle).unwrap() } else { bundle.to_string() };
            let ids: Vec<String> = (0..resources.len()).map(|n| n.to_string()).collect();
            let mut wanted = bundle;
            for (entry, id) in wanted["entry"].as_array_mut().unwrap().iter_mut().zip(&ids) {
                entry["resource"]["id"] = json!(id);
            }
            let got = places(&text).unwrap().write(text.as_bytes(), &ids, None);
            prop_assert_eq!(serde_json::from_slice::<Value>(&got).unwrap(), wanted);
        }
    }
}
