//! Elements of other profiles, which the `profile-element` extension asks for.

use super::compile::Compiler;
use super::{Rule, RuleId, Target};

impl Compiler<'_> {
    /// Elements of profiles that are asked for by others: only now all have their rules.
    pub(super) fn profile_elements(&mut self) {
        for at in 0..self.program.rules.len() {
            let Some(mut types) = self.program.rules[at].types.take() else { continue };
            for target in types.iter_mut().flat_map(|it| &mut it.profiles) {
                if let Some(found) = target.missing().and_then(|canonical| self.element_of(canonical)) {
                    *target = found;
                }
            }
            self.program.rules[at].types = Some(types);
        }
    }

    /// The rule of an element of a profile: `url#id`.
    fn element_of(&self, canonical: &str) -> Option<Target> {
        let (url, element) = canonical.split_once('#')?;
        let index = *self.program.by_url.get(url)?;
        let is_it = |(_, rule): &(usize, &Rule)| rule.profile == Some(index) && *rule.id == *element;
        let found = self.program.rules.iter().enumerate().find(is_it)?;
        Some(Target::Element(RuleId(found.0 as u32)))
    }
}
