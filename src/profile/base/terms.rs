//! Code systems and value sets, as they stand in the table.

use super::super::terminology::{CodeSystem, Concept, ConceptSet, Content, Filter, ValueSet};
use super::lines;

/// The property of concepts that are only there to group others.
const ABSTRACT: &str = "notSelectable";

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

/// What a cell says, if anything.
fn stated(cell: &str) -> Option<String> {
    Some(cell).filter(|it| !it.is_empty()).map(str::to_owned)
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
                self.sets.push(ValueSet { url: url.to_owned(), version: stated(version), ..ValueSet::default() });
            }
            ["I", system, ref version @ ..] => self.part(Open::Include, system, version.first().copied()),
            ["X", system, ref version @ ..] => self.part(Open::Exclude, system, version.first().copied()),
            ["F", property, op, value] => {
                let [property, op, value] = [property, op, value].map(str::to_owned);
                self.last_part().filters.push(Filter { property, op, value });
            }
            ["R", canonical] => self.last_part().value_sets.push(canonical.to_owned()),
            _ => panic!("not a row of the terminology: {line}"),
        }
    }

    fn system(&mut self, url: &'static str, version: &'static str, content: &str, words: &[&str]) {
        self.open = Open::System;
        self.above.clear();
        self.systems.push(CodeSystem {
            url: url.to_owned(),
            version: stated(version),
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
        let system = Some(system).filter(|it| *it != "-").map(str::to_owned);
        let part = ConceptSet { system, version: version.map(str::to_owned), ..ConceptSet::default() };
        let Some(set) = self.sets.last_mut() else { panic!("a part without a value set") };
        match open {
            Open::Exclude => set.exclude.push(part),
            _ => set.include.push(part),
        }
        self.open = open;
    }

    fn last_part(&mut self) -> &mut ConceptSet {
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
            return self.last_part().concepts.extend(codes.iter().map(|code| (*code).to_owned()));
        }
        self.above.truncate(depth);
        for code in codes {
            let parents = depth.checked_sub(2).and_then(|above| self.above.get(above)).copied().into_iter().collect();
            let concepts = &mut self.last_system().concepts;
            let index = concepts.len() as u32;
            concepts.push(Concept { code: (*code).to_owned(), parents, properties: Vec::new() });
            self.above.truncate(depth - 1);
            self.above.push(index);
        }
    }

    fn abstract_codes(&mut self, codes: &[&str]) {
        for concept in &mut self.last_system().concepts {
            if codes.contains(&&*concept.code) {
                concept.properties = vec![(ABSTRACT.to_owned(), "true".to_owned())];
            }
        }
    }

    fn parents(&mut self, code: &str, parents: &[&str]) {
        let concepts = &mut self.last_system().concepts;
        let index = |code: &str| concepts.iter().position(|concept| concept.code == code);
        let Some(child) = index(code) else { panic!("no concept {code}") };
        let more: Vec<u32> = parents.iter().filter_map(|parent| index(parent)).map(|it| it as u32).collect();
        concepts[child].parents.extend(more);
    }
}
