//! What a Bundle asks of its entries beyond its invariants (R4 2.36).

use std::collections::HashMap;

use super::findings::Source;
use super::walk::Walk;
use super::*;
use crate::issue;

impl Walk<'_, '_> {
    /// The outermost Bundle's entries.
    pub(super) fn bundles(&mut self) {
        let names = self.validator.names();
        let is_bundle = self.types.first().is_some_and(|id| *id != TypeId::NONE && self.facts.of(*id).name == "Bundle");
        let Some(entries) = self.tape.member(NodeId::ROOT, names.entry).filter(|_| is_bundle) else { return };
        let tape = self.tape;
        let kind = tape.member(NodeId::ROOT, names.kind).map(|kind| tape.raw(kind)).unwrap_or_default();
        for entry in tape.children(entries) {
            self.entry(entry, kind);
        }
        if kind == "document" {
            self.document(entries);
        }
        self.links();
    }

    /// Each way on from a page is there once (R4 3.1.1.4.2 "Paging").
    fn links(&mut self) {
        let tape = self.tape;
        let names = self.validator.names();
        let Some(links) = tape.member(NodeId::ROOT, names.link) else { return };
        let mut seen: Vec<&str> = Vec::new();
        for link in tape.children(links) {
            let Some(relation) = tape.member(link, names.relation).map(|relation| tape.raw(relation)) else { continue };
            if matches!(relation, "self" | "first" | "previous" | "prev" | "next" | "last") && seen.contains(&relation)
            {
                self.say(&issue::ELEMENT_REPEATS, link, "A link of this relation may be there only once.");
            }
            seen.push(relation);
        }
    }

    /// A document has all that its Composition refers to, and nothing that nobody refers to (R4 3.3.1).
    fn document(&mut self, entries: NodeId) {
        let names = self.validator.names();
        let tape = self.tape;
        let all: Vec<NodeId> = tape.children(entries).collect();
        let resources: Vec<Option<NodeId>> = all.iter().map(|entry| tape.member(*entry, names.resource)).collect();
        let by_node: HashMap<NodeId, usize> =
            resources.iter().enumerate().filter_map(|(index, resource)| Some(((*resource)?, index))).collect();
        let mut links: Vec<Vec<usize>> = vec![Vec::new(); all.len()];
        for (index, resource) in resources.iter().enumerate() {
            let Some(resource) = *resource else { continue };
            for at in (resource.0..tape.next(resource).0).map(NodeId) {
                let is_reference = tape.name(at) == names.reference && tape.kind(at).is_string();
                let Some(reference) = tape.string(at).filter(|text| is_reference && !text.starts_with('#')) else {
                    continue;
                };
                let target = self.resolve(at, &reference);
                match target.and_then(|target| by_node.get(&target)).copied() {
                    // Links count both ways.
                    Some(found) => {
                        links[index].push(found);
                        links[found].push(index);
                    }
                    None if index == 0 => {
                        let node = tape.parent(at).unwrap_or(at);
                        self.say(&issue::BUNDLE_ENTRY, node, "What the Composition refers to is not in the document.");
                    }
                    None => {}
                }
            }
        }
        let mut reached = vec![false; all.len()];
        let mut waiting = vec![0];
        while let Some(index) = waiting.pop() {
            if !std::mem::replace(&mut reached[index], true) {
                waiting.extend(&links[index]);
            }
        }
        for (entry, _) in all.iter().zip(reached).filter(|(_, reached)| !reached) {
            self.say(&issue::BUNDLE_ENTRY, *entry, "Nothing in the document leads from the Composition to this entry.");
        }
    }

    fn entry(&mut self, entry: NodeId, kind: &str) {
        let names = self.validator.names();
        let tape = self.tape;
        let Some(resource) = tape.member(entry, names.resource) else { return };
        let Some(at) = tape.member(entry, names.full_url) else {
            // "fullUrl might not be unique in the context of a resource" is true of what is not there yet (R4 2.36.4).
            // An OperationOutcome has no identity that could be told.
            let told = tape.member(resource, self.facts.resource_type()).map(|told| tape.raw(told));
            let exempt = matches!(kind, "batch" | "transaction" | "batch-response" | "transaction-response");
            if !exempt && told != Some("OperationOutcome") {
                let text = "Every entry of this kind of Bundle has a fullUrl.";
                self.missing(&issue::BUNDLE_ENTRY, entry, names.full_url, Source::Shape, text);
            }
            return;
        };
        let Some(url) = tape.string(at) else { return };
        if !url.contains(':') {
            return self.say(&issue::BUNDLE_ENTRY, at, "A fullUrl is an absolute URL.");
        }
        let id = tape.member(resource, names.id).and_then(|id| tape.string(id));
        let told = tape.member(resource, self.facts.resource_type()).map(|told| tape.raw(told)).unwrap_or_default();
        let Some(id) = id else {
            // .../Type/id promises a resource that can be read there.
            let is_type = |name: &str| self.facts.resource_id(name).is_some();
            if url.starts_with("http") && url.rsplit('/').nth(1).is_some_and(is_type) {
                self.say(&issue::BUNDLE_ENTRY, entry, "The fullUrl is that of a resource with an id, and it has none.");
            }
            return;
        };
        // "consistent with the resource id": of RESTful URLs, which end in type and id.
        let mut from_end = url.rsplit('/');
        let (last, before) = (from_end.next().unwrap_or_default(), from_end.next().unwrap_or_default());
        if url.starts_with("http") && before == told && last != id {
            self.say(&issue::BUNDLE_ENTRY, at, "The fullUrl does not end with the resource's id.");
        }
    }
}
