//! A Bundle's entries, by type, by fullUrl and by reference (R4 2.36 and 2.36.4 "Resolving references in
//! Bundles").

use std::borrow::Cow;

use serde_json::Value;

use super::document::{Document, Part};
use super::view::{id, items, resource_type, str_at};

/// A Bundle, looked at and not copied.
#[derive(Clone, Debug)]
pub struct Bundle<'a> {
    root: &'a Value,
    entries: Vec<Entry<'a>>,
    /// Indexes of the entries that have a fullUrl, in the order of it; of two equal ones the first comes first.
    by_full_url: Vec<usize>,
}

/// One entry of a Bundle.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its place in `Bundle.entry`, from 0.
    pub index: usize,
    /// Its `fullUrl`.
    pub full_url: Option<&'a str>,
    content: Content<'a>,
}

/// Where an entry's resource is to be had.
#[derive(Clone, Copy, Debug)]
enum Content<'a> {
    /// A tree that is there.
    Tree(Option<&'a Value>),
    /// Text, which becomes a tree when it is asked for.
    Part(&'a Part<'a>),
}

impl<'a> Entry<'a> {
    /// Its `resource`.
    pub fn resource(&self) -> Option<&'a Value> {
        match self.content {
            Content::Tree(resource) => resource,
            Content::Part(part) => part.resource(),
        }
    }

    /// A member of its resource, for who needs no more of it.
    pub fn element(&self, name: &str) -> Option<Cow<'a, Value>> {
        match self.content {
            Content::Tree(resource) => resource?.get(name).map(Cow::Borrowed),
            Content::Part(part) => part.element(name),
        }
    }

    /// The type of its resource.
    pub fn resource_type(&self) -> Option<&'a str> {
        match self.content {
            Content::Tree(resource) => resource_type(resource?),
            Content::Part(part) => part.resource_type(),
        }
    }

    /// The id of its resource.
    pub fn id(&self) -> Option<&'a str> {
        match self.content {
            Content::Tree(resource) => id(resource?),
            Content::Part(part) => part.id(),
        }
    }

    /// The place of the entry: `Bundle.entry[3]`.
    pub fn place(&self) -> String {
        format!("Bundle.entry[{}]", self.index)
    }

    /// The place of something in its resource: `Bundle.entry[3].resource.status`.
    pub fn place_of(&self, element: &str) -> String {
        let dot = if element.is_empty() { "" } else { "." };
        format!("Bundle.entry[{}].resource{dot}{element}", self.index)
    }
}

impl<'a> Bundle<'a> {
    /// The view of a resource, if it is a Bundle.
    pub fn of(value: &'a Value) -> Option<Self> {
        if resource_type(value) != Some("Bundle") {
            return None;
        }
        Some(Self::new(value, items(value, "entry").iter().enumerate().map(of_tree).collect()))
    }

    /// The view of a document, if it is a Bundle.
    pub fn of_document(document: &'a Document<'_>) -> Option<Self> {
        if resource_type(document.root()) != Some("Bundle") {
            return None;
        }
        Some(Self::new(document.root(), document.parts().iter().enumerate().map(of_part).collect()))
    }

    fn new(root: &'a Value, entries: Vec<Entry<'a>>) -> Self {
        let mut by_full_url: Vec<_> = (0..entries.len()).filter(|index| entries[*index].full_url.is_some()).collect();
        by_full_url.sort_by_key(|index| entries[*index].full_url);
        Self { root, entries, by_full_url }
    }

    /// What it says of itself. Its entries may not be in there.
    pub fn root(&self) -> &'a Value {
        self.root
    }

    /// `Bundle.type`.
    pub fn kind(&self) -> Option<&'a str> {
        str_at(self.root, "type")
    }

    /// All entries in their order.
    pub fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }

    /// The entries whose resource is of this type.
    pub fn entries_of(&self, kind: &str) -> impl Iterator<Item = &Entry<'a>> {
        self.entries.iter().filter(move |entry| entry.resource_type() == Some(kind))
    }

    /// The resources of this type.
    pub fn resources(&self, kind: &str) -> impl Iterator<Item = &'a Value> {
        self.entries_of(kind).filter_map(Entry::resource)
    }

    /// The MessageHeader, which a message must have first (R4 bdl-12).
    pub fn message_header(&self) -> Option<&Entry<'a>> {
        self.entries.first().filter(|entry| entry.resource_type() == Some("MessageHeader"))
    }

    /// The first entry with exactly this fullUrl.
    pub fn by_full_url(&self, url: &str) -> Option<&Entry<'a>> {
        let full_url = |index: &usize| self.entries[*index].full_url;
        let at = self.by_full_url.partition_point(|index| full_url(index) < Some(url));
        self.by_full_url.get(at).filter(|index| full_url(index) == Some(url)).map(|index| &self.entries[*index])
    }

    /// The entries whose fullUrl an earlier entry has too.
    pub fn repeated_full_urls(&self) -> impl Iterator<Item = &Entry<'a>> {
        let same = |pair: &&[usize]| self.entries[pair[0]].full_url == self.entries[pair[1]].full_url;
        self.by_full_url.windows(2).filter(same).map(|pair| &self.entries[pair[1]])
    }

    /// The entry that a `Reference.reference` within this Bundle means: by fullUrl; a relative one (`Type/id`) by
    /// the fullUrl that ends in it or, where entries are addressed by `urn:uuid`, by type and id.
    pub fn resolve(&self, reference: &str) -> Option<&Entry<'a>> {
        let reference = unversioned(reference.split('#').next().unwrap_or_default());
        self.by_full_url(reference).or_else(|| self.resolve_relative(reference))
    }

    fn resolve_relative(&self, reference: &str) -> Option<&Entry<'a>> {
        let (kind, wanted) = reference.split_once('/').filter(|(_, id)| !id.contains('/'))?;
        let ends_so = |url: &str| url.strip_suffix(reference).is_some_and(|base| base.ends_with('/'));
        let by_url = self.entries.iter().find(|entry| entry.full_url.is_some_and(ends_so));
        by_url.or_else(|| self.entries_of(kind).find(|entry| entry.id() == Some(wanted)))
    }
}

fn of_tree((index, value): (usize, &Value)) -> Entry<'_> {
    let full_url = value.get("fullUrl").and_then(Value::as_str);
    Entry { index, full_url, content: Content::Tree(value.get("resource")) }
}

fn of_part<'a>((index, part): (usize, &'a Part<'_>)) -> Entry<'a> {
    Entry { index, full_url: part.full_url(), content: Content::Part(part) }
}

/// The reference without `/_history/version`.
fn unversioned(reference: &str) -> &str {
    reference.split_once("/_history/").map_or(reference, |(resource, _)| resource)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample() -> Value {
        json!({"resourceType": "Bundle", "type": "message", "entry": [
            {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "MessageHeader", "id": "1"}},
            {"fullUrl": "urn:uuid:2", "resource": {"resourceType": "Patient", "id": "2"}},
            {"fullUrl": "https://example.org/fhir/Slot/3", "resource": {"resourceType": "Slot", "id": "x"}},
            {"fullUrl": "urn:uuid:2", "resource": {"resourceType": "Patient", "id": "4"}},
            {},
        ]})
    }

    fn index(bundle: &Bundle<'_>, reference: &str) -> Option<usize> {
        bundle.resolve(reference).map(|entry| entry.index)
    }

    #[test]
    fn references_resolve_by_url_and_by_type_and_id() {
        let value = sample();
        let bundle = Bundle::of(&value).unwrap();
        assert_eq!(index(&bundle, "urn:uuid:2"), Some(1));
        assert_eq!(index(&bundle, "urn:uuid:2#part"), Some(1));
        assert_eq!(index(&bundle, "Slot/3"), Some(2));
        assert_eq!(index(&bundle, "https://example.org/fhir/Slot/3/_history/7"), Some(2));
        assert_eq!(index(&bundle, "Patient/4"), Some(3));
        assert_eq!(index(&bundle, "Patient/3"), None);
        assert_eq!(index(&bundle, ""), None);
    }

    #[test]
    fn entries_are_found_and_placed() {
        let value = sample();
        let bundle = Bundle::of(&value).unwrap();
        assert_eq!(bundle.resources("Patient").count(), 2);
        assert_eq!(bundle.message_header().unwrap().place_of("focus[0]"), "Bundle.entry[0].resource.focus[0]");
        assert_eq!(bundle.repeated_full_urls().map(|entry| entry.index).collect::<Vec<_>>(), [3]);
        assert!(Bundle::of(&json!({"resourceType": "Patient"})).is_none());
    }
}
