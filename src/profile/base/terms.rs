//! Code systems and value sets, as they stand in the table.

use std::collections::HashMap;

use super::lines;

/// A code system.
#[derive(Debug)]
pub struct CodeSystem {
    /// Canonical URL.
    pub url: &'static str,
    /// Business version.
    pub version: Option<&'static str>,
    /// Does case matter? R4 leaves it open where it is not said; then it does.
    pub case_sensitive: bool,
    /// How much of it is here.
    pub content: Content,
    /// The concepts in the order of their definition; parents come before their children.
    pub concepts: Vec<Concept>,
}

/// `CodeSystem.content`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "R4 documents them; the names are theirs")]
pub enum Content {
    Complete,
    Example,
    Fragment,
    NotPresent,
    Supplement,
}

/// A concept of a code system.
#[derive(Debug)]
pub struct Concept {
    /// Its code.
    pub code: &'static str,
    /// Indexes of the concepts right above it, in [`CodeSystem::concepts`]: the one that it stands in first.
    pub parents: Vec<u32>,
    /// Only there to group others; not to be used in data.
    pub is_abstract: bool,
}

/// A value set: all that is included less what is excluded.
#[derive(Debug)]
pub struct ValueSet {
    /// Canonical URL.
    pub url: &'static str,
    /// Business version.
    pub version: Option<&'static str>,
    /// `compose.include`
    pub include: Vec<Part>,
    /// `compose.exclude`
    pub exclude: Vec<Part>,
}

/// One include or exclude: what meets all that is said here.
#[derive(Debug, Default)]
pub struct Part {
    /// The code system; none where only value sets are named.
    pub system: Option<&'static str>,
    /// The code system's version.
    pub version: Option<&'static str>,
    /// Only these codes, if there are any.
    pub codes: Vec<&'static str>,
    /// Only what these let through.
    pub filters: Vec<Filter>,
    /// Only what is in these value sets too.
    pub value_sets: Vec<&'static str>,
}

/// `compose.include.filter`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The property that is compared; `concept` for the place in the hierarchy.
    pub property: &'static str,
    /// `is-a`, `=`, `regex` and so on.
    pub op: &'static str,
    /// What it is compared with.
    pub value: &'static str,
}

/// What is being read.
enum Open {
    System,
    Include,
    Exclude,
}

/// The code systems and value sets of a table.
pub(super) fn read(table: &'static str) -> (Vec<CodeSystem>, Vec<ValueSet>) {
    let mut reader = Reader { systems: Vec::new(), sets: Vec::new(), open: Open::System, above: Vec::new() };
    lines(table).for_each(|line| reader.take(line));
    (reader.systems, reader.sets)
}

struct Reader {
    systems: Vec<CodeSystem>,
    sets: Vec<ValueSet>,
    open: Open,
    /// The last concept at each depth of the code system.
    above: Vec<u32>,
}

impl Reader {
    fn take(&mut self, line: &'static str) {
        let depth = line.bytes().take_while(|byte| *byte == b'\t').count();
        let cells: Vec<_> = line[depth..].split('\t').collect();
        if 0 < depth {
            return self.codes(depth, &cells);
        }
        match cells[..] {
            ["S", url, version, content, ref words @ ..] => self.system(url, version, content, words),
            ["~", ref codes @ ..] => self.abstract_codes(codes),
            ["^", code, ref parents @ ..] => self.parents(code, parents),
            ["V", url, version] => {
                let version = Some(version).filter(|it| !it.is_empty());
                self.sets.push(ValueSet { url, version, include: Vec::new(), exclude: Vec::new() });
            }
            ["I", system, ref version @ ..] => self.part(Open::Include, system, version.first().copied()),
            ["X", system, ref version @ ..] => self.part(Open::Exclude, system, version.first().copied()),
            ["F", property, op, value] => {
                self.last_part().filters.push(Filter { property, op, value });
            }
            ["R", canonical] => self.last_part().value_sets.push(canonical),
            _ => panic!("not a row of the terminology: {line}"),
        }
    }

    fn system(&mut self, url: &'static str, version: &'static str, content: &str, words: &[&str]) {
        self.open = Open::System;
        self.above.clear();
        self.systems.push(CodeSystem {
            url,
            version: Some(version).filter(|it| !it.is_empty()),
            case_sensitive: !words.contains(&"nocase"),
            content: match content {
                "complete" => Content::Complete,
                "example" => Content::Example,
                "fragment" => Content::Fragment,
                "not-present" => Content::NotPresent,
                "supplement" => Content::Supplement,
                other => panic!("no content {other}"),
            },
            concepts: Vec::new(),
        });
    }

    fn part(&mut self, open: Open, system: &'static str, version: Option<&'static str>) {
        let part = Part { system: Some(system).filter(|it| *it != "-"), version, ..Part::default() };
        let Some(set) = self.sets.last_mut() else { panic!("a part without a value set") };
        match open {
            Open::Exclude => set.exclude.push(part),
            _ => set.include.push(part),
        }
        self.open = open;
    }

    fn last_part(&mut self) -> &mut Part {
        let parts = self.sets.last_mut().map(|set| match self.open {
            Open::Exclude => &mut set.exclude,
            _ => &mut set.include,
        });
        let Some(part) = parts.and_then(|parts| parts.last_mut()) else { panic!("a row before its value set") };
        part
    }

    fn last_system(&mut self) -> &mut CodeSystem {
        let Some(system) = self.systems.last_mut() else { panic!("a row before its code system") };
        system
    }

    fn codes(&mut self, depth: usize, codes: &[&'static str]) {
        if !matches!(self.open, Open::System) {
            return self.last_part().codes.extend(codes);
        }
        self.above.truncate(depth);
        for code in codes {
            let parents = depth.checked_sub(2).and_then(|above| self.above.get(above)).copied().into_iter().collect();
            let concepts = &mut self.last_system().concepts;
            let index = concepts.len() as u32;
            concepts.push(Concept { code, parents, is_abstract: false });
            self.above.truncate(depth - 1);
            self.above.push(index);
        }
    }

    fn abstract_codes(&mut self, codes: &[&str]) {
        for concept in &mut self.last_system().concepts {
            concept.is_abstract = codes.contains(&concept.code);
        }
    }

    fn parents(&mut self, code: &str, parents: &[&str]) {
        let concepts = &mut self.last_system().concepts;
        let indexes: HashMap<&str, usize> =
            concepts.iter().enumerate().map(|(index, concept)| (concept.code, index)).collect();
        let Some(child) = indexes.get(code) else { panic!("no concept {code}") };
        let more = parents.iter().filter_map(|parent| indexes.get(parent)).map(|index| *index as u32);
        concepts[*child].parents.extend(more);
    }
}
