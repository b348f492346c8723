//! Extensions: their definition, where they may be used, and whether they change the meaning (R4 2.4).

use super::findings::Source;
use super::walk::{Active, Walk, Work};
use super::*;
use crate::issue;
use crate::profile::program::ExtensionContext;

/// Whoever names an extension of HL7's own means a published one; of others, definitions may simply not be here.
const HL7: &str = "http://hl7.org/fhir/";

impl Walk<'_, '_> {
    /// The rules of an extension's definition.
    pub(super) fn extension(&mut self, node: NodeId, active: &mut Active) {
        let Some(at) = self.tape.member(node, self.validator.names().url) else { return };
        let Some(url) = self.tape.string(at) else { return };
        // Inside of a complex extension, names are the parent's own.
        if !url.contains(':') {
            let above = self.tape.parent(node).and_then(|array| self.tape.parent(array));
            let nested = above.is_some_and(|above| self.is_extension_object(above));
            match above.filter(|_| nested) {
                Some(above) => self.nested_extension(above, node, &url),
                None => self.say(&issue::EXTENSION_UNKNOWN, node, "The URL of an extension must be absolute."),
            }
            return;
        }
        let plain = url.split('|').next().unwrap_or(&url);
        let Some(index) = self.program.extension(plain) else {
            return self.unknown_extension(node, &url);
        };
        let profile = &self.program.profiles()[index];
        if !active.contains(&profile.rule) {
            active.push(profile.rule);
        }
        if self.is_modifier(node) != profile.is_modifier {
            let text = match profile.is_modifier {
                true => "This extension changes the meaning: it must be a modifierExtension.",
                false => "This extension is no modifier: it must not be a modifierExtension.",
            };
            self.broken(&issue::EXTENSION_MODIFIER, node, profile.rule, "isModifier", text);
        }
        let (resource, root) = (self.resource, self.root_resource);
        self.work.push(Work::Context { profile: index, node, resource, root });
    }

    fn unknown_extension(&mut self, node: NodeId, url: &str) {
        if self.is_modifier(node) {
            let text = "The definition of this modifier extension is not loaded, so the meaning cannot be known.";
            self.say(&issue::EXTENSION_MODIFIER, node, text);
        } else if is_of_guide(url) {
            let text = "The guide of HL7's that defines this extension is not loaded, so the meaning cannot be known.";
            self.say(&issue::EXTENSION_UNKNOWN, node, text);
        } else if url.starts_with(HL7) {
            let text = "FHIR R4 has no extension of this URL; a later release may have it. It was not checked.";
            self.warn(&issue::EXTENSION_UNKNOWN, node, text);
        } else {
            let text = "The definition of this extension is not loaded; its content was not checked.";
            self.told(
                &issue::EXTENSION_UNKNOWN,
                Severity::Information,
                node,
                NameId::UNKNOWN,
                Source::Shape,
                text.into(),
            );
        }
    }

    /// An extension within one whose definition says which it may have.
    fn nested_extension(&mut self, above: NodeId, node: NodeId, url: &str) {
        let names = self.validator.names();
        let outer = self.tape.member(above, names.url).and_then(|outer| self.tape.string(outer));
        let Some(index) = outer.and_then(|outer| self.program.extension(&outer)) else { return };
        let rule = self.program.profiles()[index].rule;
        if !self.program.has_slice_of(rule, names.extension, url) {
            let text = "The definition of the outer extension has no extension of this name.";
            self.broken(&issue::EXTENSION_UNKNOWN, node, rule, "extension", text);
        }
    }

    fn is_extension_object(&self, node: NodeId) -> bool {
        let id = self.types[node.index()];
        id != TypeId::NONE && self.facts.of(id).name == "Extension"
    }

    fn is_modifier(&self, node: NodeId) -> bool {
        let array = self.tape.parent(node).unwrap_or(node);
        self.tape.name(array) == self.validator.names().modifier_extension
    }

    /// An extension has a value or extensions (ext-1).
    pub(super) fn extension_content(&mut self, node: NodeId) {
        let names = self.validator.names();
        let mut value = false;
        let mut inner = false;
        for child in self.tape.children(node) {
            if self.tape.name(child) == names.url.sibling() {
                self.say(&issue::ELEMENT_UNKNOWN, child, "The url of an extension has neither an id nor extensions.");
            }
            inner |= self.tape.name(child) == names.extension;
            value |= self.facts.names().name(self.tape.name(child)).starts_with("value");
        }
        match (inner, value) {
            (true, true) => {
                self.say(&issue::ELEMENT_REPEATS, node, "An extension has a value or extensions, not both.");
            }
            (false, false) => {
                let text = "An extension has a value or extensions.";
                self.missing(&issue::ELEMENT_MISSING, node, names.value, Source::Shape, text);
            }
            _ => {}
        }
    }

    /// May the extension be used here?
    pub(super) fn context(&mut self, profile: usize, node: NodeId, resource: NodeId, root: NodeId) {
        let program = self.program;
        let definition = &program.profiles()[profile];
        let rule = definition.rule;
        let Some(holder) = self.tape.parent(node).and_then(|array| self.tape.parent(array)) else { return };
        let fits = definition.contexts.iter().any(|context| match context {
            ExtensionContext::Element(expression) => self.is_at(holder, resource, expression),
            ExtensionContext::Extension(url) => {
                // Its value counts as the extension.
                let above = self.object_above(holder).map(|(above, _)| above);
                self.is_extension(holder, url) || above.is_some_and(|above| self.is_extension(above, url))
            }
            ExtensionContext::Path(expression) => self.finds(expression, resource, root, holder),
        });
        if !fits && !definition.contexts.is_empty() {
            let text = "The extension's definition does not allow it on this element.";
            self.broken(&issue::EXTENSION_CONTEXT, holder, rule, "context", text);
        }
        for id in &definition.context_invariants {
            self.judge(*id, holder, resource, root);
        }
    }

    fn is_extension(&self, holder: NodeId, url: &str) -> bool {
        let own = self.tape.member(holder, self.validator.names().url).and_then(|own| self.tape.string(own));
        let url = url.split('#').next().unwrap_or(url);
        own.is_some_and(|own| own == url)
    }

    /// Is the element of this type, or at this path: `Patient`, `HumanName.family`, `Patient.contact.name`?
    fn is_at(&self, holder: NodeId, resource: NodeId, expression: &str) -> bool {
        let expression = expression.rsplit('#').next().unwrap_or(expression).trim_end_matches("[x]");
        // Anything at all, resources too: as published definitions mean it.
        if matches!(expression, "Element" | "*") {
            return true;
        }
        let own = self.types[holder.index()];
        if own != TypeId::NONE && self.facts.ancestors(own).any(|name| name == expression) {
            return true;
        }
        // Along the way up each object gives the path a shorter start: HumanName.family, Patient.name.family.
        let mut path = String::new();
        let mut at = holder;
        while at != resource {
            let above = self.object_above(at);
            let Some((above, name)) = above else { return false };
            path = if path.is_empty() { name } else { format!("{name}.{path}") };
            let id = self.types[above.index()];
            if id != TypeId::NONE && self.facts.ancestors(id).any(|name| is_joined(expression, name, &path)) {
                return true;
            }
            at = above;
        }
        false
    }

    /// The object that an element is in, and the element's name there.
    fn object_above(&self, node: NodeId) -> Option<(NodeId, String)> {
        let mut at = node;
        while self.tape.position(at).is_some() {
            at = self.tape.parent(at)?;
        }
        let above = self.tape.parent(at)?;
        let id = self.types[above.index()];
        let name = self.tape.name(at).plain();
        let field = (id != TypeId::NONE).then(|| self.facts.of(id)).and_then(|kind| {
            let field = kind.field_of(name)?;
            Some(kind.element(field).name)
        });
        Some((above, field.map_or_else(|| self.facts.names().name(name).to_owned(), str::to_owned)))
    }
}

/// Is it an extension of one of HL7's guides (`…/fhir/us/core/…`)? After `fhir/` these have their realm: `uv` for
/// universal, or a country. Those of FHIR itself do not, whatever the release.
fn is_of_guide(url: &str) -> bool {
    let realm = url.strip_prefix(HL7).and_then(|rest| rest.split_once('/')).map(|(realm, _)| realm);
    realm.is_some_and(|realm| realm.len() == 2 && realm.bytes().all(|byte| byte.is_ascii_lowercase()))
}

fn is_joined(expression: &str, name: &str, path: &str) -> bool {
    expression.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')).is_some_and(|rest| rest == path)
}
