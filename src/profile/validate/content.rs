//! Rules of R4's text that no invariant says: of codings, attachments, narratives, contained resources.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::findings::Source;
use super::walk::Walk;
use super::*;
use crate::fhir::tape::Kind as Json;
use crate::issue;
use crate::profile::facts::{Special, Type};
use crate::profile::xhtml;

const NARRATIVE: &str = "http://hl7.org/fhir/StructureDefinition/Narrative";
const CONTAINED: &str = "http://hl7.org/fhir/StructureDefinition/DomainResource#dom-3";

// Names of rules, so that a policy can speak of them.
/// A system is no value set.
const CODE_SYSTEM: &str = "http://hl7.org/fhir/StructureDefinition/Coding#Coding.system";
/// A code is one of its system's.
pub(super) const CODE: &str = "http://hl7.org/fhir/StructureDefinition/Coding#Coding.code";
/// A URI has no blanks around it, and a UUID or OID after `urn:uuid:` or `urn:oid:`.
pub(super) const URI: &str = "http://hl7.org/fhir/StructureDefinition/uri#uri";
/// The type that a reference says is that of its target.
pub(super) const REFERENCE_TYPE: &str = "http://hl7.org/fhir/StructureDefinition/Reference#Reference.type";

const SIMPLE_QUANTITY: &str = "http://hl7.org/fhir/StructureDefinition/SimpleQuantity#sqty-1";

/// Schemes that a narrative may link to.
const SCHEMES: [&str; 6] = ["cid", "data", "http", "https", "mailto", "tel"];

/// What the URL of a value set has in it.
static VALUE_SET: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("/ValueSet/"));

impl Walk<'_, '_> {
    /// `Coding.system` is an absolute URI, and that of a code system (R4 2.24.0.6).
    pub(super) fn coding_system(&mut self, node: NodeId) {
        let tape = self.tape;
        let Some(at) = tape.member(node, self.validator.names().system) else { return };
        let Some(system) = tape.string(at) else { return };
        if !reference::is_absolute(&system) {
            self.say(&issue::VALUE_FORMAT, at, "The system of a code is an absolute URI.");
        } else if VALUE_SET.find(system.as_bytes()).is_some() {
            let text = "The system of a code is a code system, and this is a value set.";
            self.by_name(&issue::VALUE_FORMAT, at, CODE_SYSTEM, text);
        }
    }

    /// The system of an identifier or of a unit is an absolute URI (R4 2.24.0.7, 2.24.0.12).
    pub(super) fn absolute_system(&mut self, node: NodeId) {
        let tape = self.tape;
        let Some(at) = tape.member(node, self.validator.names().system) else { return };
        if tape.string(at).is_some_and(|system| !reference::is_absolute(&system)) {
            self.say(&issue::VALUE_FORMAT, at, "The system is an absolute URI.");
        }
    }

    /// An error of a rule that a policy can speak of.
    pub(super) fn by_name(&mut self, code: &'static Code, node: NodeId, rule: &'static str, text: &'static str) {
        self.missing(code, node, NameId::UNKNOWN, Source::Named(rule.into()), text);
    }

    /// What an element that R4 types as SimpleQuantity may not have (sqty-1, R4 2.24.0.12).
    pub(super) fn simple_quantity(&mut self, kind: &Type, node: NodeId) {
        if kind.special == Special::System && self.tape.member(node, self.validator.names().comparator).is_some() {
            self.by_name(&issue::INVARIANT, node, SIMPLE_QUANTITY, "A quantity has no comparator here.");
        }
    }

    /// "The number of bytes of data that make up this attachment (before base64 encoding, if that is done)"
    /// (R4 2.24.0.5).
    pub(super) fn attachment(&mut self, node: NodeId) {
        let names = self.validator.names();
        let tape = self.tape;
        let (size, data) = (tape.member(node, names.size), tape.member(node, names.data));
        let (Some(size), Some(data)) = (size, data) else { return };
        let (Ok(size), Some(data)) = (tape.raw(size).parse::<usize>(), tape.string(data)) else { return };
        let digits = data.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=').count();
        if digits * 3 / 4 != size {
            self.say(&issue::VALUE_FORMAT, node, "The size is not that of the data.");
        }
    }

    /// A narrative is the part of XHTML that R4 allows (txt-1, txt-2, R4 2.11.1), and its links lead somewhere.
    pub(super) fn narrative(&mut self, node: NodeId, text: &str) {
        let code = &issue::NARRATIVE;
        if let Some(fault) = xhtml::check(text) {
            let named = |key| Source::Named(format!("{NARRATIVE}#{key}").into());
            let rule = fault.invariant().map_or(Source::Shape, named);
            return self.told(code, code.severity, node, NameId::UNKNOWN, rule, fault.to_string().into());
        }
        let named =
            || ["id", "name"].into_iter().flat_map(|name| xhtml::attributes(text, name)).map(|id| id.to_string());
        let anchors: OnceCell<HashSet<String>> = OnceCell::new();
        for link in ["href", "src"].into_iter().flat_map(|name| xhtml::attributes(text, name)) {
            let leads = |id: &str| self.is_anchor(node, anchors.get_or_init(|| named().collect()), id);
            if link.strip_prefix('#').is_some_and(|id| !leads(id)) {
                self.say(code, node, "A link of the narrative leads to nothing in it.");
            }
            let scheme = link.split_once(':').map(|(scheme, _)| scheme);
            let scheme = scheme.filter(|it| it.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            if scheme.is_some_and(|scheme| !SCHEMES.contains(&scheme.to_ascii_lowercase().as_str())) {
                self.say(code, node, "A narrative may not link to URLs of this kind.");
            }
        }
    }

    /// Does a link within the narrative lead to one of its elements, or to a contained resource?
    fn is_anchor(&self, div: NodeId, anchors: &HashSet<String>, id: &str) -> bool {
        anchors.contains(id) || id.is_empty() || self.resolve(div, &format!("#{id}")).is_some()
    }

    /// What looks like an element of HTML in a text that is shown as it is (R4 2.24.0.1 "string", 6.1.0.3).
    pub(super) fn markup(&mut self, node: NodeId, text: &str) {
        // Looked for once: a text may be all `<`.
        let Some(last_end) = text.rfind('>') else { return };
        let is_tag = |(at, _): (usize, &str)| {
            let rest = text[at + 1..].trim_start_matches('/');
            let name = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
            let after = rest[name..].chars().next();
            let is_end = matches!(after, Some('>' | '/' | ' ')) && text.len() - rest.len() + name <= last_end;
            is_end && xhtml::is_html(&rest[..name].to_ascii_lowercase())
        };
        if text.match_indices('<').any(is_tag) {
            self.say(&issue::MARKUP_IN_TEXT, node, "A text must not hold elements of HTML.");
        }
    }

    /// Contained resources are referred to, or refer to what contains them (dom-3, R4 2.1.4), each by an id of its own.
    pub(super) fn contained_used(&mut self, node: NodeId) {
        let names = self.validator.names();
        let tape = self.tape;
        let Some(list) = tape.member(node, names.contained) else { return };
        let mut referred: HashSet<Cow<'_, str>> = HashSet::new();
        let mut narrative = String::new();
        for index in node.0..tape.next(node).0 {
            let at = NodeId(index);
            let Some(text) = tape.string(at) else { continue };
            if let Some(id) = text.strip_prefix('#') {
                referred.insert(Cow::Owned(id.to_owned()));
            } else if tape.name(at) == names.div {
                narrative.push_str(&text);
            }
        }
        for link in xhtml::attributes(&narrative, "src").chain(xhtml::attributes(&narrative, "href")) {
            if let Some(id) = link.strip_prefix('#') {
                referred.insert(Cow::Owned(id.to_owned()));
            }
        }
        let mut ids = HashSet::new();
        for inner in tape.children(list).filter(|inner| tape.kind(*inner) == Json::Object) {
            let id = tape.member(inner, names.id).and_then(|id| tape.string(id));
            if id.as_ref().is_some_and(|id| !ids.insert(id.clone())) {
                self.say(&issue::VALUE_FORMAT, inner, "Another contained resource has the same id.");
            }
            let used = id.is_some_and(|id| referred.contains(&id));
            if !used && !self.refers_out(inner) {
                let text = "A contained resource is referred to from what contains it, or refers to that.";
                self.told(
                    &issue::INVARIANT,
                    Severity::Error,
                    inner,
                    NameId::UNKNOWN,
                    Source::Named(CONTAINED.into()),
                    text.into(),
                );
            }
        }
    }

    /// Does a contained resource refer to what contains it?
    fn refers_out(&self, inner: NodeId) -> bool {
        let all = inner.0..self.tape.next(inner).0;
        all.map(NodeId).any(|at| self.tape.kind(at) == Json::Plain && self.tape.raw(at) == "#")
    }
}
