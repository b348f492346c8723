//! What a Bundle asks of its entries beyond its invariants (R4 2.36).

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
    }

    fn entry(&mut self, entry: NodeId, kind: &str) {
        let names = self.validator.names();
        let tape = self.tape;
        let Some(resource) = tape.member(entry, names.resource) else { return };
        let Some(at) = tape.member(entry, names.full_url) else {
            // "fullUrl might not be unique in the context of a resource" is true of what is not there yet (R4 2.36.4).
            if !matches!(kind, "batch" | "transaction" | "batch-response" | "transaction-response") {
                let text = "Every entry of this kind of Bundle has a fullUrl.";
                self.missing(&issue::BUNDLE_ENTRY, entry, names.full_url, "", text);
            }
            return;
        };
        let Some(url) = tape.string(at) else { return };
        if !url.contains(':') {
            return self.say(&issue::BUNDLE_ENTRY, at, "A fullUrl is an absolute URL.");
        }
        let id = tape.member(resource, names.id).and_then(|id| tape.string(id));
        let told = tape.member(resource, self.facts.resource_type()).map(|told| tape.raw(told)).unwrap_or_default();
        let Some(id) = id else { return };
        // "consistent with the resource id": of RESTful URLs, which end in type and id.
        let mut from_end = url.rsplit('/');
        let (last, before) = (from_end.next().unwrap_or_default(), from_end.next().unwrap_or_default());
        if url.starts_with("http") && before == told && last != id {
            self.say(&issue::BUNDLE_ENTRY, at, "The fullUrl does not end with the resource's id.");
        }
    }
}
