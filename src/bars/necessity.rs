//! What the payload tables of the guide say must, should or should not be in a message, by BaRS Application
//! (`profiles/bars/necessity.txt`, made by `scripts/necessity_facts.py`).
//!
//! These are beyond what profiles can say, and the standard's own examples break some of them
//! (`tests/it/necessity.rs` counts which): a rule that is not met is worth a warning, no more, where a partner's
//! messages are taken as the standard's are.

use std::sync::LazyLock;

mod unmet;

pub use self::unmet::unmet;

/// One row of a table.
///
/// It holds for every place of a resource where what contains the element is: without a `contact` nothing is said
/// of `contact.name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The last part of the MessageDefinition's URL.
    pub definition: &'static str,
    /// The resource type; `Bundle` for the message itself.
    pub resource: &'static str,
    /// The element, as JSON's properties from the resource on: `name.given`, `extension.valueCodeableConcept`.
    pub path: &'static str,
    /// How much it is needed.
    pub level: Level,
    /// A profile, a system or an extension's URL. One of the elements at the place is this one; others may stand beside
    /// it. The guide says it by example, so that one of another value is less sure to be wrong than one that is missing.
    pub value: Option<&'static str>,
}

/// How much an element is needed. What may be there or not has no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the guide's own words")]
pub enum Level {
    Must,
    Should,
    ShouldNot,
}

/// Applications are numbered from 1; 0 is for what holds for all of them.
const APPLICATIONS: usize = 9;

static RULES: LazyLock<Vec<Vec<Rule>>> = LazyLock::new(|| read(include_str!("../../profiles/bars/necessity.txt")));

/// The rules for messages of an Application; of one that has no tables, those that hold for all: cancellations.
pub fn rules(application: u8) -> &'static [Rule] {
    RULES.get(usize::from(application)).or_else(|| RULES.first()).map_or(&[], Vec::as_slice)
}

/// The table is part of this program: a fault in it ends the program, and the tests read every line.
fn read(table: &'static str) -> Vec<Vec<Rule>> {
    let mut found = vec![Vec::new(); APPLICATIONS];
    let (mut definition, mut resource) = ("", "");
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("= ") {
            definition = name;
        } else if let Some(row) = line.strip_prefix(' ') {
            add(row, definition, resource, &mut found);
        } else {
            resource = line;
        }
    }
    let (all, own) = found.split_at_mut(1);
    own.iter_mut().for_each(|own| own.extend(&all[0]));
    found
}

/// `PATH LEVELS [VALUE]`
fn add(row: &'static str, definition: &'static str, resource: &'static str, found: &mut [Vec<Rule>]) {
    let mut cells = row.split('\t');
    let (Some(path), Some(levels)) = (cells.next(), cells.next()) else { panic!("not a rule: {row}") };
    let value = cells.next();
    let mut level = Level::Must;
    for letter in levels.chars() {
        match letter {
            'M' => level = Level::Must,
            'S' => level = Level::Should,
            'N' => level = Level::ShouldNot,
            digit => match digit.to_digit(10).and_then(|digit| found.get_mut(digit as usize)) {
                Some(rules) => rules.push(Rule { definition, resource, path, level, value }),
                None => panic!("no Application {digit}: {row}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bars::definitions;
    use crate::profile::facts::r4;

    #[test]
    fn every_rule_is_about_an_element_of_a_message_that_is_defined() {
        for rule in (0..=8).flat_map(rules) {
            assert!(definitions::ALL.iter().any(|it| it.name == rule.definition), "{rule:?}");
            let mut of = r4().resource(rule.resource).unwrap();
            for name in rule.path.split('.') {
                let (field, sibling) = r4().field(of, name).unwrap();
                assert!(!sibling);
                of = r4().of(field.kind);
            }
        }
    }

    #[test]
    fn applications_have_their_own_rules_and_those_for_all() {
        let of = |application, path| {
            let mut rules = rules(application).iter().filter(move |rule| rule.resource == "Appointment");
            rules.find(move |rule| rule.path == path)
        };
        assert_eq!(of(1, "start").unwrap().level, Level::Must);
        assert_eq!(of(1, "description").unwrap().level, Level::Should);
        assert_eq!(of(0, "start").unwrap().definition, "bars-message-booking-request-cancelled");
        assert_eq!(rules(9), rules(0));
        assert!((1..=8).all(|application| rules(0).len() < rules(application).len()));
        let values: Vec<_> = rules(5).iter().filter_map(|rule| rule.value).collect();
        assert!(values.contains(&"https://fhir.nhs.uk/Id/nhs-number"));
        assert!(rules(1).iter().any(|rule| rule.level == Level::ShouldNot && rule.path == "note"));
    }
}
