//! ValueSet and CodeSystem from JSON. What is not held is skipped without being built.

use serde::de::{Deserialize, Deserializer};
use serde_json::Value;

use super::{CodeSystem, Concept, ConceptSet, Content, Filter, ValueSet};

#[derive(serde::Deserialize)]
struct RawValueSet {
    url: String,
    version: Option<String>,
    compose: Option<RawCompose>,
    expansion: Option<RawExpansion>,
}

#[derive(serde::Deserialize)]
struct RawCompose {
    #[serde(default)]
    include: Vec<RawConceptSet>,
    #[serde(default)]
    exclude: Vec<RawConceptSet>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawConceptSet {
    system: Option<String>,
    version: Option<String>,
    #[serde(default)]
    concept: Vec<RawCode>,
    #[serde(default)]
    filter: Vec<RawFilter>,
    #[serde(default)]
    value_set: Vec<String>,
}

#[derive(serde::Deserialize)]
struct RawCode {
    code: String,
}

#[derive(serde::Deserialize)]
struct RawFilter {
    property: String,
    op: String,
    value: String,
}

#[derive(serde::Deserialize)]
struct RawExpansion {
    #[serde(default)]
    contains: Vec<RawContains>,
}

#[derive(serde::Deserialize)]
struct RawContains {
    system: Option<String>,
    version: Option<String>,
    code: Option<String>,
    #[serde(default, rename = "abstract")]
    is_abstract: bool,
    #[serde(default)]
    contains: Vec<RawContains>,
}

impl<'de> Deserialize<'de> for ValueSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawValueSet::deserialize(deserializer)?;
        let (include, exclude) = match (raw.compose, raw.expansion) {
            (Some(compose), _) => (concept_sets(compose.include), concept_sets(compose.exclude)),
            (None, Some(expansion)) => (expanded(expansion), Vec::new()),
            (None, None) => (Vec::new(), Vec::new()),
        };
        Ok(Self { url: raw.url, version: raw.version, include, exclude })
    }
}

fn concept_sets(raw: Vec<RawConceptSet>) -> Vec<ConceptSet> {
    let read = |raw: RawConceptSet| ConceptSet {
        system: raw.system,
        version: raw.version,
        concepts: raw.concept.into_iter().map(|concept| concept.code).collect(),
        filters: raw
            .filter
            .into_iter()
            .map(|it| Filter { property: it.property, op: it.op, value: it.value })
            .collect(),
        value_sets: raw.value_set,
    };
    raw.into_iter().map(read).collect()
}

/// One include for each system and version that an expansion has codes of.
fn expanded(expansion: RawExpansion) -> Vec<ConceptSet> {
    let mut sets: Vec<ConceptSet> = Vec::new();
    let mut waiting = expansion.contains;
    while let Some(RawContains { system, version, code, is_abstract, contains }) = waiting.pop() {
        waiting.extend(contains);
        let Some(code) = code.filter(|_| !is_abstract) else { continue };
        match sets.iter_mut().find(|set| set.system == system && set.version == version) {
            Some(set) => set.concepts.push(code),
            None => sets.push(ConceptSet { system, version, concepts: vec![code], ..ConceptSet::default() }),
        }
    }
    sets
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawCodeSystem {
    url: String,
    version: Option<String>,
    #[serde(default)]
    content: Content,
    case_sensitive: Option<bool>,
    #[serde(default)]
    property: Vec<RawPropertyDefinition>,
    #[serde(default)]
    concept: Vec<RawConcept>,
}

#[derive(serde::Deserialize)]
struct RawPropertyDefinition {
    code: String,
    uri: Option<String>,
}

#[derive(serde::Deserialize)]
struct RawConcept {
    code: String,
    #[serde(default)]
    property: Vec<RawProperty>,
    #[serde(default)]
    concept: Vec<RawConcept>,
}

#[derive(serde::Deserialize)]
struct RawProperty {
    code: String,
    #[serde(alias = "valueCode", alias = "valueString", alias = "valueBoolean", alias = "valueInteger")]
    #[serde(alias = "valueDateTime", alias = "valueDecimal", default)]
    value: Value,
}

/// What a property says about the hierarchy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Relation {
    Parent,
    Child,
}

impl<'de> Deserialize<'de> for CodeSystem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawCodeSystem::deserialize(deserializer)?;
        let mut concepts = Vec::new();
        let mut relations = Vec::new();
        flatten(raw.concept, None, &raw.property, &mut concepts, &mut relations);
        relate(&mut concepts, &relations);
        Ok(Self {
            url: raw.url,
            version: raw.version,
            content: raw.content,
            case_sensitive: raw.case_sensitive.unwrap_or(true),
            concepts,
        })
    }
}

fn flatten(
    raw: Vec<RawConcept>,
    parent: Option<u32>,
    declared: &[RawPropertyDefinition],
    concepts: &mut Vec<Concept>,
    relations: &mut Vec<(u32, Relation, String)>,
) {
    for concept in raw {
        let Ok(index) = u32::try_from(concepts.len()) else { return };
        let mut properties = Vec::new();
        for property in concept.property {
            let text = property.value.as_str().map_or_else(|| property.value.to_string(), ToOwned::to_owned);
            match relation(&property.code, declared) {
                Some(relation) => relations.push((index, relation, text)),
                None => properties.push((property.code, text)),
            }
        }
        concepts.push(Concept { code: concept.code, parents: parent.into_iter().collect(), properties });
        flatten(concept.concept, Some(index), declared, concepts, relations);
    }
}

fn relation(code: &str, declared: &[RawPropertyDefinition]) -> Option<Relation> {
    let uri = declared.iter().find(|it| it.code == code).and_then(|it| it.uri.as_deref()).unwrap_or_default();
    match (code, uri.rsplit('#').next().unwrap_or_default()) {
        (_, "parent") | ("parent" | "subsumedBy", _) => Some(Relation::Parent),
        (_, "child") | ("child", _) => Some(Relation::Child),
        _ => None,
    }
}

fn relate(concepts: &mut [Concept], relations: &[(u32, Relation, String)]) {
    if relations.is_empty() {
        return;
    }
    let codes: Vec<String> = concepts.iter().map(|concept| concept.code.clone()).collect();
    let index: std::collections::HashMap<&str, u32> = codes.iter().map(String::as_str).zip(0..).collect();
    for (own, relation, code) in relations {
        let Some(other) = index.get(code.as_str()) else { continue };
        let (child, parent) = if *relation == Relation::Parent { (own, other) } else { (other, own) };
        let Some(concept) = usize::try_from(*child).ok().and_then(|child| concepts.get_mut(child)) else { continue };
        concept.parents.push(*parent);
    }
    for concept in concepts {
        concept.parents.sort_unstable();
        concept.parents.dedup();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchy_comes_from_nesting_and_from_properties() {
        let text = r#"{"url": "urn:x", "content": "complete", "property": [{"code": "up", "uri":
            "http://hl7.org/fhir/concept-properties#parent"}], "concept": [{"code": "a", "concept": [{"code": "b"}]},
            {"code": "c", "property": [{"code": "up", "valueCode": "b"}, {"code": "n", "valueInteger": 3}]}]}"#;
        let system: CodeSystem = serde_json::from_str(text).unwrap();
        let parents: Vec<&[u32]> = system.concepts.iter().map(|concept| concept.parents.as_slice()).collect();
        assert_eq!(parents, [&[] as &[u32], &[0], &[1]]);
        assert_eq!(system.concepts[2].properties, [("n".into(), "3".into())]);
        assert!(system.case_sensitive);
    }

    #[test]
    fn an_expansion_stands_in_for_a_compose() {
        let text = r#"{"url": "urn:v", "expansion": {"contains": [{"abstract": true, "code": "x", "system": "urn:x",
            "contains": [{"system": "urn:x", "code": "a"}]}, {"system": "urn:x", "code": "b"}]}}"#;
        let set: ValueSet = serde_json::from_str(text).unwrap();
        let [only] = set.include.as_slice() else { panic!("one system") };
        let mut codes = only.concepts.clone();
        codes.sort();
        assert_eq!(codes, ["a", "b"]);
    }
}
