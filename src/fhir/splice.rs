//! Ids put into the bytes of a Bundle, everything else untouched.
//!
//! A reply echoes a whole message with other ids. Writing it anew from a tree costs more than reading it did, and
//! loses how its sender wrote it; copying what is between the ids costs next to nothing.

use std::ops::Range;

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
    /// Finds them. `None`: the bytes are not the JSON of an object with an array `entry`.
    pub fn find(bytes: &[u8]) -> Option<Self> {
        let mut scan = Scan { bytes, at: 0 };
        let mut found = None;
        scan.object(|scan, name| match name {
            b"entry" => {
                found = Some(scan.entries()?);
                Some(())
            }
            _ => scan.skip(),
        })?;
        found
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
    /// What is replaced, and by what.
    fn insertion(&self, id: &str) -> (Range<usize>, String) {
        match (&self.id, self.after_type) {
            (Some(held), _) => (held.clone(), format!("\"{id}\"")),
            (None, Some(at)) => (at..at, format!(",\"id\":\"{id}\"")),
            (None, None) => (self.start..self.start, format!("\"id\":\"{id}\"{}", if self.empty { "" } else { "," })),
        }
    }
}

/// A walk over JSON that is known to be well-formed; on anything else it ends without a result.
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn entries(&mut self) -> Option<Places> {
        let mut resources = Vec::new();
        self.expect(b'[')?;
        if self.peek()? == b']' {
            let end = self.at;
            self.at += 1;
            return Some(Places { resources, end });
        }
        loop {
            resources.push(self.entry()?);
            let end = self.at;
            match self.next()? {
                b',' => {}
                b']' => return Some(Places { resources, end }),
                _ => return None,
            }
        }
    }

    fn entry(&mut self) -> Option<Option<Resource>> {
        let mut found = None;
        self.object(|scan, name| match name {
            b"resource" => {
                found = Some(scan.resource()?);
                Some(())
            }
            _ => scan.skip(),
        })?;
        Some(found)
    }

    fn resource(&mut self) -> Option<Resource> {
        self.peek()?;
        let mut found = Resource { start: self.at + 1, after_type: None, id: None, empty: true };
        self.object(|scan, name| {
            found.empty = false;
            scan.peek()?;
            let start = scan.at;
            scan.skip()?;
            match name {
                b"resourceType" => found.after_type = Some(scan.at),
                b"id" => found.id = Some(start..scan.at),
                _ => {}
            }
            Some(())
        })?;
        Some(found)
    }

    /// Goes over an object; `member` must go over the value of the name that it is given.
    fn object(&mut self, mut member: impl FnMut(&mut Self, &[u8]) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            let name = self.name()?;
            self.expect(b':')?;
            member(self, &name)?;
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// A member's name, without escapes.
    fn name(&mut self) -> Option<std::borrow::Cow<'a, [u8]>> {
        self.peek()?;
        let start = self.at;
        self.string()?;
        let quoted = &self.bytes[start..self.at];
        let inner = quoted.get(1..quoted.len() - 1)?;
        match memchr::memchr(b'\\', inner) {
            None => Some(inner.into()),
            Some(_) => serde_json::from_slice::<String>(quoted).ok().map(|name| name.into_bytes().into()),
        }
    }

    fn string(&mut self) -> Option<()> {
        self.expect(b'"')?;
        loop {
            let stop = memchr::memchr2(b'"', b'\\', self.bytes.get(self.at..)?)?;
            let quote = self.bytes[self.at + stop] == b'"';
            self.at += stop + if quote { 1 } else { 2 };
            if quote {
                return Some(());
            }
        }
    }

    /// Goes over a value of any kind.
    fn skip(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.string(),
            b'{' | b'[' => self.nested(),
            _ => {
                let rest = self.bytes.get(self.at..)?;
                let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace();
                self.at += rest.iter().position(ends).unwrap_or(rest.len());
                Some(())
            }
        }
    }

    fn nested(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match *self.bytes.get(self.at)? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }

    fn peek(&mut self) -> Option<u8> {
        while self.bytes.get(self.at)?.is_ascii_whitespace() {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn spliced(text: &str, ids: &[&str], further: Option<&str>) -> String {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        String::from_utf8(Places::find(text.as_bytes()).unwrap().write(text.as_bytes(), &ids, further)).unwrap()
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
            let got = Places::find(text.as_bytes()).unwrap().write(text.as_bytes(), &ids, None);
            prop_assert_eq!(serde_json::from_slice::<Value>(&got).unwrap(), wanted);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some(places) = Places::find(&bytes) {
                places.write(&bytes, &["x".to_owned()], Some("{}"));
            }
        }
    }
}
