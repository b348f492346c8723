//! What is looked at before an invariant is evaluated: the most frequent ones speak of what is rarely there, and those
//! that speak of all entries of a Bundle take longest.

use foldhash::HashSet;

use super::bit;
use crate::fhir::names::{NameId, Names};
use crate::fhir::tape::{Kind, NodeId, Tape};
use crate::profile::fhirpath::Expression;

/// Where this is not met an invariant holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    /// One of these members may be there: their bits in a mask.
    Members(u64),
    /// A member's text begins with `#`.
    Local(NameId),
    /// A member's text names a version.
    Version(NameId),
    /// An entry has this member, or the Bundle is of a kind whose entries may have it.
    Entries(NameId, Bundle),
    /// Two entries may have the same fullUrl and version.
    Alike(Bundle),
}

/// The names of a Bundle's members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bundle {
    kind: NameId,
    entry: NameId,
    full_url: NameId,
    resource: NameId,
    meta: NameId,
    version_id: NameId,
}

const REFERENCE: &str = "reference.startsWith('#').not() or (reference.substring(1).trace('url') in %rootResource.contained.id.trace('ids'))";
const REQUEST: &str = "entry.all(request.exists() = (%resource.type = 'batch' or %resource.type = 'transaction' or %resource.type = 'history'))";
const RESPONSE: &str = "entry.all(response.exists() = (%resource.type = 'batch-response' or %resource.type = 'transaction-response' or %resource.type = 'history'))";
const DISTINCT: &str =
    "(type = 'history') or entry.where(fullUrl.exists()).select(fullUrl&resource.meta.versionId).isDistinct()";

/// Kinds of Bundles whose entries have neither `request` nor `response` (R4 2.36.4).
const PLAIN: [&str; 4] = ["collection", "document", "message", "searchset"];

impl Guard {
    /// That of an expression: what follows from how it is written, or what is known of it.
    pub(super) fn of(text: &str, compiled: &Expression, names: &Names) -> Option<Self> {
        let follows =
            || Some(Self::Members(compiled.met_without()?.into_iter().fold(0, |mask, name| mask | bit(name))));
        Self::known(text, names).or_else(follows)
    }

    /// Those of R4 that does not follow: ref-1, bdl-3, bdl-4, bdl-7 and bdl-8.
    fn known(expression: &str, names: &Names) -> Option<Self> {
        let name = |name| names.find(name);
        let bundle = Bundle {
            kind: name("type"),
            entry: name("entry"),
            full_url: name("fullUrl"),
            resource: name("resource"),
            meta: name("meta"),
            version_id: name("versionId"),
        };
        Some(match expression {
            REFERENCE => Self::Local(name("reference")),
            "fullUrl.contains('/_history/').not()" => Self::Version(bundle.full_url),
            REQUEST => Self::Entries(name("request"), bundle),
            RESPONSE => Self::Entries(name("response"), bundle),
            DISTINCT => Self::Alike(bundle),
            _ => return None,
        })
    }

    /// Must the expression be evaluated? `there`: the bits of the value's members, as [`members`] gives them.
    pub(super) fn is_met(self, tape: &Tape<'_>, node: NodeId, there: u64) -> bool {
        // What is written with an escape may be anything.
        let has = |member, is_it: fn(&str) -> bool| {
            tape.member(node, member).is_some_and(|found| tape.kind(found) != Kind::Plain || is_it(tape.raw(found)))
        };
        match self {
            Self::Members(names) => there & names != 0,
            Self::Local(name) => has(name, |text| text.starts_with('#')),
            Self::Version(name) => has(name, |text| memchr::memmem::find(text.as_bytes(), b"/_history/").is_some()),
            Self::Entries(name, bundle) => {
                let kind = tape.member(node, bundle.kind).map(|kind| tape.raw(kind));
                !kind.is_some_and(|kind| PLAIN.contains(&kind))
                    || bundle.entries(tape, node).any(|entry| tape.member(entry, name).is_some())
            }
            Self::Alike(bundle) => bundle.may_be_alike(tape, node),
        }
    }
}

impl Bundle {
    fn entries<'t>(self, tape: &'t Tape<'_>, node: NodeId) -> impl Iterator<Item = NodeId> + use<'t> {
        tape.member(node, self.entry).into_iter().flat_map(|entries| tape.children(entries))
    }

    fn may_be_alike(self, tape: &Tape<'_>, node: NodeId) -> bool {
        let mut seen: HashSet<&str> = HashSet::default();
        let is_fresh = |entry| match tape.member(entry, self.full_url) {
            Some(url) => {
                let resource = tape.member(entry, self.resource);
                let meta = resource.and_then(|resource| tape.member(resource, self.meta));
                let version = meta.and_then(|meta| tape.member(meta, self.version_id));
                version.is_none() && tape.kind(url) == Kind::Plain && seen.insert(tape.raw(url))
            }
            None => true,
        };
        !self.entries(tape, node).all(is_fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::super::members;
    use super::*;
    use crate::fhir::json::{Limits, read};
    use crate::profile::base;
    use crate::profile::facts::r4;

    /// Those that do not follow from how an invariant is written, by its key.
    fn guards() -> Vec<(String, Guard)> {
        let definitions = base::definitions();
        let constraints = definitions.iter().flat_map(|it| &it.snapshot).flat_map(|it| &it.constraints);
        let of_invariant = |it: &crate::profile::definition::Constraint| {
            Some((it.key.clone(), Guard::known(it.expression.as_deref()?, r4().names())?))
        };
        let mut found: Vec<(String, Guard)> = constraints.filter_map(of_invariant).collect();
        found.sort_by(|one, other| one.0.cmp(&other.0));
        found.dedup();
        found
    }

    /// A guard that no invariant has would be a slip of the pen here.
    #[test]
    fn guards_are_those_of_invariants() {
        let keys: Vec<String> = guards().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["bdl-3", "bdl-4", "bdl-7", "bdl-8", "ref-1"]);
    }

    #[test]
    fn what_speaks_of_something_absent_is_spared() {
        let guard = |text| Guard::of(text, &Expression::compile(text, r4()).unwrap(), r4().names());
        let met = |text, document: &str| {
            let tape = read(document.as_bytes(), &Limits::default(), r4().names(), Vec::new()).unwrap();
            guard(text).unwrap().is_met(&tape, NodeId::ROOT, members(&tape, NodeId::ROOT))
        };
        let one = "type != 'display' or code.empty()";
        let two = "type != 'display' or (required.empty() and repeats.empty())";
        assert!(!met(one, r#"{"type": "display", "required": true}"#));
        assert!(met(one, r#"{"type": "display", "code": null}"#));
        assert!(met(one, r#"{"_code": {"id": "a"}}"#));
        assert!(met(one, r#""display""#));
        assert!(!met(two, r#"{"code": []}"#));
        assert!(met(two, r#"{"repeats": false}"#));
        assert!(met(two, r#"{"required": false}"#));
        assert_eq!(guard("code.exists()"), None);
    }

    #[test]
    fn what_may_break_an_invariant_is_evaluated() {
        let met = |key: &str, text: &str| {
            let tape = read(text.as_bytes(), &Limits::default(), r4().names(), Vec::new()).unwrap();
            let (_, guard) = guards().into_iter().find(|(own, _)| own == key).unwrap();
            guard.is_met(&tape, NodeId::ROOT, members(&tape, NodeId::ROOT))
        };
        let is_spared = |key, text| assert!(!met(key, text), "{key} {text}");
        let is_evaluated = |key, text| assert!(met(key, text), "{key} {text}");
        is_spared("ref-1", r#"{"reference": "Patient/1"}"#);
        is_evaluated("ref-1", r##"{"reference": "#a"}"##);
        is_evaluated("ref-1", r#"{"reference": "\u0023a"}"#);
        is_spared("bdl-8", r#"{"fullUrl": "urn:x"}"#);
        is_evaluated("bdl-8", r#"{"fullUrl": "http://a/Patient/1/_history/2"}"#);
        is_spared("bdl-3", r#"{"type": "message", "entry": [{"fullUrl": "urn:x"}]}"#);
        is_evaluated("bdl-3", r#"{"type": "message", "entry": [{}, {"request": {}}]}"#);
        is_evaluated("bdl-3", r#"{"type": "batch", "entry": [{}]}"#);
        is_evaluated("bdl-3", r#"{"entry": [{}]}"#);
        is_evaluated("bdl-4", r#"{"type": "searchset", "entry": [{"response": {}}]}"#);
        is_spared("bdl-7", r#"{"entry": [{"fullUrl": "urn:x"}, {"fullUrl": "urn:y"}, {}, {}]}"#);
        is_evaluated("bdl-7", r#"{"entry": [{"fullUrl": "urn:x"}, {"fullUrl": "urn:x"}]}"#);
        is_evaluated(
            "bdl-7",
            r#"{"entry": [{"fullUrl": "urn:x1", "resource": {"meta": {"versionId": "2"}}}, {"fullUrl": "urn:x"}]}"#,
        );
    }
}
