//! Filters of a value set over a code system that is here as a whole (R4 4.9.7.2).

use std::collections::{HashMap, HashSet};

use regex::RegexBuilder;

use super::{CodeSystem, Concept, Filter, Reason};

/// A pattern that compiles to more than this is not used.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// The codes that fulfil all filters.
pub(super) fn select<'s>(system: &'s CodeSystem, filters: &[Filter]) -> Result<Vec<&'s str>, Reason> {
    let mut chosen: Vec<bool> = vec![true; system.concepts.len()];
    for filter in filters {
        let fits = fitting(system, filter).ok_or_else(|| reason(system, filter))?;
        chosen.iter_mut().zip(fits).for_each(|(chosen, fits)| *chosen &= fits);
    }
    let concepts = system.concepts.iter().zip(chosen).filter(|(_, chosen)| *chosen);
    Ok(concepts.map(|(concept, _)| concept.code.as_str()).collect())
}

fn reason(system: &CodeSystem, filter: &Filter) -> Reason {
    Reason::Filter(format!("{} {} of {}", filter.property, filter.op, system.url).into())
}

/// For each concept, does it fulfil the filter? None where that cannot be decided.
fn fitting(system: &CodeSystem, filter: &Filter) -> Option<Vec<bool>> {
    match (filter.property.as_str(), filter.op.as_str()) {
        ("concept" | "code", "is-a") => below(system, &filter.value, true),
        ("concept" | "code", "descendent-of") => below(system, &filter.value, false),
        ("concept" | "code", "is-not-a") => {
            Some(below(system, &filter.value, true)?.into_iter().map(|below| !below).collect())
        }
        ("concept" | "code", "generalizes") => above(system, &filter.value),
        ("parent", "=") => children(system, &filter.value),
        (_, "=") => each(system, filter, &|value| value == filter.value),
        (_, "in") => each(system, filter, &|value| listed(&filter.value, value)),
        (_, "not-in") => each(system, filter, &|value| !listed(&filter.value, value)),
        (_, "exists") => {
            let wanted = filter.value == "true";
            declared(system, &filter.property).then(|| {
                system.concepts.iter().map(|it| values(it, &filter.property).any(|_| true) == wanted).collect()
            })
        }
        (_, "regex") => {
            let pattern = format!("^(?:{})$", filter.value);
            let pattern = RegexBuilder::new(&pattern).size_limit(REGEX_BYTES_MAX).build().ok()?;
            each(system, filter, &|value| pattern.is_match(value))
        }
        _ => None,
    }
}

fn listed(list: &str, value: &str) -> bool {
    list.split(',').any(|entry| entry.trim() == value)
}

/// A property that no concept has may be one that this code system leaves to others to know.
fn declared(system: &CodeSystem, property: &str) -> bool {
    matches!(property, "concept" | "code") || system.concepts.iter().any(|it| values(it, property).any(|_| true))
}

fn each(system: &CodeSystem, filter: &Filter, fits: &dyn Fn(&str) -> bool) -> Option<Vec<bool>> {
    let property = filter.property.as_str();
    declared(system, property).then(|| system.concepts.iter().map(|it| values(it, property).any(fits)).collect())
}

fn values<'c>(concept: &'c Concept, property: &str) -> impl Iterator<Item = &'c str> {
    let code = matches!(property, "concept" | "code").then_some(concept.code.as_str());
    let own = concept.properties.iter().filter(move |(name, _)| name == property).map(|(_, value)| value.as_str());
    code.into_iter().chain(own.collect::<Vec<_>>())
}

fn position(system: &CodeSystem, code: &str) -> Option<u32> {
    let found = system.concepts.iter().position(|concept| concept.code == code)?;
    u32::try_from(found).ok()
}

fn children(system: &CodeSystem, code: &str) -> Option<Vec<bool>> {
    let parent = position(system, code)?;
    Some(system.concepts.iter().map(|concept| concept.parents.contains(&parent)).collect())
}

fn below(system: &CodeSystem, code: &str, itself: bool) -> Option<Vec<bool>> {
    let top = position(system, code)?;
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for (concept, index) in system.concepts.iter().zip(0u32..) {
        concept.parents.iter().for_each(|parent| children.entry(*parent).or_default().push(index));
    }
    let mut found = HashSet::new();
    let mut waiting = vec![top];
    while let Some(index) = waiting.pop() {
        if found.insert(index) {
            waiting.extend(children.get(&index).into_iter().flatten());
        }
    }
    Some((0u32..).take(system.concepts.len()).map(|it| found.contains(&it) && (itself || it != top)).collect())
}

fn above(system: &CodeSystem, code: &str) -> Option<Vec<bool>> {
    let mut found = HashSet::new();
    let mut waiting = vec![position(system, code)?];
    while let Some(index) = waiting.pop() {
        if found.insert(index) {
            let at = usize::try_from(index).ok()?;
            waiting.extend(&system.concepts.get(at)?.parents);
        }
    }
    Some((0u32..).take(system.concepts.len()).map(|it| found.contains(&it)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system() -> CodeSystem {
        let concept = |code: &str, parents: &[u32], colour: &str| Concept {
            code: code.into(),
            parents: parents.to_vec(),
            properties: vec![("colour".into(), colour.into())],
        };
        let concepts = vec![
            concept("a", &[], "red"),
            concept("b", &[0], "blue"),
            concept("c", &[1], "red"),
            concept("d", &[], "green"),
        ];
        CodeSystem { url: "urn:x".into(), case_sensitive: true, concepts, ..CodeSystem::default() }
    }

    fn chosen(property: &str, op: &str, value: &str) -> Option<String> {
        let filter = Filter { property: property.into(), op: op.into(), value: value.into() };
        select(&system(), &[filter]).ok().map(|codes| codes.concat())
    }

    #[test]
    fn filters_choose_what_they_say() {
        for (property, op, value, codes) in [
            ("concept", "is-a", "b", "bc"),
            ("concept", "descendent-of", "a", "bc"),
            ("concept", "is-not-a", "b", "ad"),
            ("concept", "generalizes", "c", "abc"),
            ("parent", "=", "a", "b"),
            ("colour", "=", "red", "ac"),
            ("colour", "in", "red, green", "acd"),
            ("colour", "not-in", "red", "bd"),
            ("code", "regex", "[bd]", "bd"),
            ("colour", "exists", "true", "abcd"),
        ] {
            assert_eq!(chosen(property, op, value).as_deref(), Some(codes), "{property} {op} {value}");
        }
    }

    #[test]
    fn what_cannot_be_decided_chooses_nothing() {
        for (property, op, value) in
            [("weight", "=", "1"), ("concept", "is-a", "z"), ("code", "regex", "("), ("concept", "like", "a")]
        {
            assert_eq!(chosen(property, op, value), None, "{property} {op} {value}");
        }
    }
}
