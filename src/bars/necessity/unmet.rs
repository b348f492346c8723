//! Which rules of the payload tables a message does not meet.

use std::fmt::Write;
use std::sync::LazyLock;

use foldhash::{HashMap, HashMapExt};

use super::{APPLICATIONS, Level, Rule, rules};
use crate::bars::systems::DEFINITION_PREFIX;
use crate::bars::use_cases;
use crate::fhir::names::NameId;
use crate::fhir::tape::{Kind, NodeId, Tape};
use crate::issue::{ELEMENT_NEEDED, ELEMENT_NOT_NEEDED, Issue, Issues};
use crate::profile::facts::{Type, TypeId, r4};

/// An element that rules are about, and those below it.
#[derive(Debug, Default)]
struct Need {
    /// The property.
    name: NameId,
    /// The element, as FHIRPath calls it.
    element: &'static str,
    rules: Vec<Asked>,
    below: Vec<Need>,
}

/// A rule, and what is said where it is not met.
#[derive(Debug)]
struct Asked {
    rule: &'static Rule,
    /// Its name, for whoever wants to look it up.
    name: String,
    /// Of what is missing, or is there and should not be.
    text: String,
    /// Of what has another value.
    other: String,
}

impl Asked {
    fn new(rule: &'static Rule) -> Self {
        let (resource, path) = (rule.resource, rule.path);
        let verb = if rule.level == Level::Must { "must" } else { "should" };
        let said = |what: &str| format!("The payload table says that {resource}.{path} {what}.");
        Self {
            rule,
            name: format!("{DEFINITION_PREFIX}{}#{resource}.{path}", rule.definition),
            text: match rule.level {
                Level::ShouldNot => said("should not be there"),
                _ => said(&format!("{verb} be there")),
            },
            other: rule.value.map_or(String::new(), |value| {
                format!("The payload table says that one {resource}.{path} {verb} be {value}.")
            }),
        }
    }
}

/// The needs of one message, by resource type.
type Needs = HashMap<TypeId, Vec<Need>>;

/// By Application and MessageDefinition.
static NEEDS: LazyLock<Vec<HashMap<&'static str, Needs>>> =
    LazyLock::new(|| (0..APPLICATIONS as u8).map(needs).collect());

fn needs(application: u8) -> HashMap<&'static str, Needs> {
    let mut found: HashMap<&'static str, Needs> = HashMap::new();
    for rule in rules(application) {
        let Some(id) = r4().resource_id(rule.resource) else { continue };
        let of = found.entry(rule.definition).or_default().entry(id).or_default();
        put(of, r4().of(id), rule.path, rule);
    }
    found
}

fn put(needs: &mut Vec<Need>, of: &'static Type, path: &str, rule: &'static Rule) {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    // `every_rule_is_about_an_element_of_a_message_that_is_defined` holds the table to R4's names.
    let Some((field, _)) = r4().field(of, first) else { return };
    let at = needs.iter().position(|need| need.name == field.name_id).unwrap_or_else(|| {
        needs.push(Need { name: field.name_id, element: of.element(field).name, ..Need::default() });
        needs.len() - 1
    });
    match rest {
        None => needs[at].rules.push(Asked::new(rule)),
        Some(rest) => put(&mut needs[at].below, r4().of(field.kind), rest, rule),
    }
}

/// What the tables say of a message that it is not: of each resource, one finding for a rule. A message of no known
/// use case is held to what holds for all; what is no message of the standard has no rules.
pub fn unmet(tape: &Tape<'_>) -> Issues {
    let names = &*NAMES;
    let mut found =
        Found { tape, place: String::new(), holders: Vec::new(), open: Vec::new(), all: Vec::new(), before: 0 };
    let Some(needs) = needs_of(tape) else { return Issues::default() };
    let entries = tape.member(NodeId::ROOT, names.entry).into_iter().flat_map(|entries| tape.children(entries));
    for (index, resource) in
        entries.enumerate().filter_map(|(index, entry)| Some((index, tape.member(entry, names.resource)?)))
    {
        let told = tape.member(resource, names.resource_type).map(|told| tape.raw(told)).unwrap_or_default();
        let Some(own) = r4().resource_id(told).and_then(|id| needs.get(&id)) else { continue };
        found.place = format!("Bundle.entry[{index}].resource");
        found.resource(resource, own);
    }
    found.place = "Bundle".to_owned();
    if let Some(own) = r4().resource_id("Bundle").and_then(|id| needs.get(&id)) {
        found.resource(NodeId::ROOT, own);
    }
    found.issues()
}

struct Names {
    entry: NameId,
    resource: NameId,
    resource_type: NameId,
    definition: NameId,
    system: NameId,
    code: NameId,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let find = |name| r4().names().find(name);
    Names {
        entry: find("entry"),
        resource: find("resource"),
        resource_type: r4().resource_type(),
        definition: find("definition"),
        system: find("system"),
        code: find("code"),
    }
});

/// By the definition that the header names, and the first use case that any coding tells.
fn needs_of(tape: &Tape<'_>) -> Option<&'static Needs> {
    let names = &*NAMES;
    let first = tape.children(tape.member(NodeId::ROOT, names.entry)?).next()?;
    let header = tape.member(first, names.resource)?;
    let definition = tape.string(tape.member(header, names.definition)?)?;
    let definition = definition.strip_prefix(DEFINITION_PREFIX)?.split('|').next()?.to_owned();
    let told = (0..tape.len() as u32).map(NodeId).filter(|node| tape.name(*node) == names.system);
    let of_use_case = |node: &NodeId| tape.raw(*node).ends_with("/usecases-categories-bars");
    let codes = told.filter(of_use_case).filter_map(|node| tape.member(tape.parent(node)?, names.code));
    let application = codes.filter_map(|code| use_cases::find(tape.raw(code))).map(|it| it.application).next();
    NEEDS.get(usize::from(application.unwrap_or_default()))?.get(definition.as_str())
}

/// What is wrong with the way a rule is met.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Breach {
    Missing,
    OtherValue,
    Unwanted,
}

/// A rule that asks for one value among several.
struct Open {
    asked: &'static Asked,
    /// Was the value seen?
    seen: bool,
    /// Where the element stood first, unless the value was there.
    first: Option<(NodeId, String)>,
}

/// A rule that is not met.
struct Unmet {
    node: NodeId,
    place: String,
    asked: &'static Asked,
    breach: Breach,
}

struct Found<'t> {
    tape: &'t Tape<'t>,
    /// The way to the resource.
    place: String,
    /// The way on from there: elements, and indexes of items.
    holders: Vec<(&'static str, Option<usize>)>,
    open: Vec<Open>,
    all: Vec<Unmet>,
    /// How many there were before this resource.
    before: usize,
}

impl Found<'_> {
    fn resource(&mut self, node: NodeId, needs: &'static [Need]) {
        self.before = self.all.len();
        self.walk(node, needs);
        for open in std::mem::take(&mut self.open).into_iter().filter(|open| !open.seen) {
            if let Some((node, place)) = open.first
                && !self.is_told(open.asked, Breach::OtherValue)
            {
                self.all.push(Unmet { node, place, asked: open.asked, breach: Breach::OtherValue });
            }
        }
    }

    fn walk(&mut self, node: NodeId, needs: &'static [Need]) {
        let tape = self.tape;
        for need in needs {
            let Some(found) = tape.member(node, need.name) else {
                let missing = need.rules.iter().filter(|asked| asked.rule.level != Level::ShouldNot);
                missing.for_each(|asked| self.tell(node, asked, Breach::Missing));
                continue;
            };
            if tape.kind(found) == Kind::Array {
                for (index, item) in tape.children(found).enumerate() {
                    self.item(item, need, Some(index));
                }
            } else {
                self.item(found, need, None);
            }
        }
    }

    fn item(&mut self, node: NodeId, need: &'static Need, index: Option<usize>) {
        self.holders.push((need.element, index));
        for asked in &need.rules {
            match asked.rule.value {
                _ if asked.rule.level == Level::ShouldNot => self.tell(node, asked, Breach::Unwanted),
                Some(value) => self.value(node, asked, value),
                None => {}
            }
        }
        self.walk(node, &need.below);
        self.holders.pop();
    }

    fn value(&mut self, node: NodeId, asked: &'static Asked, value: &str) {
        let is_it = self.tape.string(node).is_some_and(|own| own == value);
        match self.open.iter_mut().find(|open| std::ptr::eq(open.asked, asked)) {
            Some(open) => open.seen |= is_it,
            None => {
                let first = (!is_it).then(|| (node, self.way()));
                self.open.push(Open { asked, seen: is_it, first });
            }
        }
    }

    fn way(&self) -> String {
        let mut way = self.place.clone();
        for (element, index) in &self.holders {
            way.push('.');
            way.push_str(element);
            if let Some(index) = index {
                // Writing to a String cannot fail.
                let _ = write!(way, "[{index}]");
            }
        }
        way
    }

    /// The same rule is told once for a resource.
    fn is_told(&self, asked: &'static Asked, breach: Breach) -> bool {
        self.all[self.before..].iter().any(|told| std::ptr::eq(told.asked, asked) && told.breach == breach)
    }

    fn tell(&mut self, node: NodeId, asked: &'static Asked, breach: Breach) {
        if !self.is_told(asked, breach) {
            self.all.push(Unmet { node, place: self.way(), asked, breach });
        }
    }

    fn issues(mut self) -> Issues {
        self.all.sort_by_key(|unmet| unmet.node);
        let nodes: Vec<NodeId> = self.all.iter().map(|unmet| unmet.node).collect();
        let mut issues = Issues::default();
        for (unmet, (line, column)) in self.all.into_iter().zip(self.tape.lines_columns(&nodes)) {
            let asked = unmet.asked;
            let (code, text) = match unmet.breach {
                Breach::Missing => (&ELEMENT_NEEDED, &asked.text),
                Breach::OtherValue => (&ELEMENT_NEEDED, &asked.other),
                Breach::Unwanted => (&ELEMENT_NOT_NEEDED, &asked.text),
            };
            let issue = Issue::with(code, unmet.place, text.as_str());
            issues.push(issue.at_line(line, column).by_rule(asked.name.as_str()));
        }
        issues
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::{Limits, read};

    fn unmet_of(text: &str) -> Vec<(&'static str, String, String)> {
        let tape = read(text.as_bytes(), &Limits::default(), r4().names(), Vec::new()).unwrap();
        let issues = unmet(&tape);
        issues.iter().map(|it| (it.code.id, it.at.clone(), it.rule.rsplit('#').next().unwrap().to_owned())).collect()
    }

    const HEADER: &str = r#"{"resource": {"resourceType": "MessageHeader", "definition":
        "https://fhir.nhs.uk/MessageDefinition/bars-message-booking-request", "reason": {"coding": [{
        "system": "https://fhir.nhs.uk/CodeSystem/usecases-categories-bars", "code": "A1T1"}]}}}"#;

    #[test]
    fn what_the_table_asks_for_is_missed_where_it_should_be() {
        let slot = r#"{"resource": {"resourceType": "Appointment", "id": "a", "note": [{}], "participant": [{"actor": {}}, {}]}}"#;
        let found = unmet_of(&format!(r#"{{"resourceType": "Bundle", "entry": [{HEADER}, {slot}]}}"#));
        let has = |code: &str, at: &str, rule: &str| {
            found.iter().any(|(c, a, r)| (*c, a.as_str(), r.as_str()) == (code, at, rule))
        };
        assert!(has("ONW-3024", "Bundle.entry[1].resource", "Appointment.start"), "{found:#?}");
        assert!(!has("ONW-3024", "Bundle.entry[1].resource", "Appointment.id"));
        let actors = found.iter().filter(|(_, _, rule)| rule == "Appointment.participant.actor.reference");
        assert_eq!(
            actors.map(|(_, at, _)| at.as_str()).collect::<Vec<_>>(),
            ["Bundle.entry[1].resource.participant[0].actor"]
        );
    }

    #[test]
    fn what_is_no_message_has_no_rules() {
        assert_eq!(unmet_of(r#"{"resourceType": "Patient"}"#), []);
        assert_eq!(
            unmet_of(r#"{"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "MessageHeader"}}]}"#),
            []
        );
    }
}
