//! What extensions of a profile's elements ask of the content: narratives with sources and languages, and what may stand
//! for a value (the extensions narrative-source-control, narrative-language-control and valueAlternatives).

use super::findings::Source;
use super::walk::{Item, Walk};
use super::*;
use crate::issue;
use crate::profile::definition::Controls;
use crate::profile::xhtml;

impl Walk<'_, '_> {
    pub(super) fn controlled(&mut self, rule: RuleId, controls: &Controls, item: Item) {
        if !controls.alternatives.is_empty() && item.value.is_none() {
            self.alternatives(rule, &controls.alternatives, item);
        }
        let Some(node) = item.value else { return };
        let names = self.validator.names();
        let text = self.tape.member(node, names.div).and_then(|div| self.tape.string(div));
        // What is no narrative was told already.
        let Some(text) = text.filter(|text| xhtml::check(text).is_none()) else { return };
        if let Some(level) = &controls.sources
            && !xhtml::says_its_sources(&text)
        {
            self.unsourced(rule, level, node);
        }
        if !controls.languages.is_empty() {
            let languages = xhtml::languages(&text);
            for asked in &controls.languages {
                self.sections(rule, asked, &languages, node);
            }
        }
    }

    /// One of the extensions must say why there is no value.
    fn alternatives(&mut self, rule: RuleId, urls: &[String], item: Item) {
        let (names, tape) = (self.validator.names(), self.tape);
        let list = item.sibling.and_then(|half| tape.member(half, names.extension));
        let mut own = list.into_iter().flat_map(|list| tape.children(list));
        let is_one = |url: Cow<'_, str>| urls.iter().any(|one| *one == url);
        if !own.any(|it| tape.member(it, names.url).and_then(|url| tape.string(url)).is_some_and(is_one)) {
            let text = "The profile asks for a value, or for an extension that says why there is none.";
            self.broken(&issue::ELEMENT_MISSING, item.node, rule, "valueAlternatives", text);
        }
    }

    /// Only a hint is less than an error: a profile that asks for more has it asked of the sender.
    fn unsourced(&mut self, rule: RuleId, level: &str, node: NodeId) {
        let is_hint = matches!(level, "hint" | "information");
        let severity = if is_hint { Severity::Information } else { Severity::Error };
        let text = "The profile asks that each text of the narrative says by its class where it is from.";
        let source = Source::Rule(rule, "narrative-source-control");
        self.told(&issue::NARRATIVE, severity, node, NameId::UNKNOWN, source, text.into());
    }

    fn sections(&mut self, rule: RuleId, asked: &str, languages: &[&str], node: NodeId) {
        let own = self.tape.member_named(self.resource, "language").and_then(|own| self.tape.string(own));
        let text = match asked {
            "_no" if !languages.is_empty() => "The profile allows no sections by language in the narrative.",
            "_yes" if languages.is_empty() => "The profile asks for sections by language in the narrative.",
            "_resource" if own.is_some_and(|own| !languages.contains(&&*own)) => {
                "The profile asks for a section of the narrative in the resource's language."
            }
            "_no" | "_yes" | "_resource" => return,
            other if languages.contains(&other) => return,
            _ => "The profile asks for a section of the narrative in another language.",
        };
        self.broken(&issue::NARRATIVE, node, rule, "narrative-language-control", text);
    }
}
