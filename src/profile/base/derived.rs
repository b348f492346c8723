//! The extensions and profiles that R4 publishes, as differentials.

use std::collections::HashMap;

use super::super::definition::{
    Constraint, Context, Definition, Derivation, Discriminator, Element, Kind, Slicing, SlicingRules,
};
use super::structures::{most, say, type_refs};
use super::{STRUCTURE, VERSION, canonical, lines};

/// The definitions that a table holds; `bases` tells the kind of each type.
pub(super) fn read(table: &'static str, bases: &[Definition]) -> Vec<Definition> {
    let kinds: HashMap<&str, Kind> = bases.iter().map(|base| (&*base.name, base.kind)).collect();
    let mut found: Vec<Definition> = Vec::new();
    for line in lines(table) {
        match (line.strip_prefix(' '), found.last_mut()) {
            (Some(cells), Some(definition)) => definition.differential.push(element(&definition.type_name, cells)),
            _ => found.push(head(line, &kinds)),
        }
    }
    // They are kept for good and there are hundreds: no room to spare.
    found.iter_mut().for_each(|definition| definition.differential.shrink_to_fit());
    found
}

/// `ID NAME TYPE BASE`, then contexts and what holds in them.
fn head(line: &str, kinds: &HashMap<&str, Kind>) -> Definition {
    let mut cells = line.split('\t');
    let (Some(id), Some(name), Some(type_name), Some(base)) = (cells.next(), cells.next(), cells.next(), cells.next())
    else {
        panic!("not the head of a definition: {line}");
    };
    let Some(kind) = kinds.get(type_name).copied() else { panic!("no type {type_name} for {id}") };
    let mut definition = Definition {
        url: canonical(STRUCTURE, id),
        version: Some(VERSION.to_owned()),
        name: name.to_owned(),
        type_name: type_name.to_owned(),
        kind,
        is_abstract: false,
        derivation: Derivation::Constraint,
        base: Some(canonical(STRUCTURE, base)),
        contexts: Vec::new(),
        context_invariants: Vec::new(),
        snapshot: Vec::new(),
        differential: Vec::new(),
    };
    for cell in cells {
        match (cell.strip_prefix('@'), cell.strip_prefix('?')) {
            (Some(path), _) => {
                let context = Context { kind: "element".to_owned(), expression: path.to_owned() };
                definition.contexts.push(context);
            }
            (_, Some(expression)) => definition.context_invariants.push(expression.to_owned()),
            _ if cell == "abstract" => definition.is_abstract = true,
            _ if cell == "unversioned" => definition.version = None,
            _ => panic!("not a context: {cell}"),
        }
    }
    definition
}

/// `ID FACT…`, the id without the type.
fn element(type_name: &str, row: &str) -> Element {
    let mut cells = row.split('\t');
    let id = match cells.next() {
        None | Some("-") => type_name.to_owned(),
        Some(id) => [type_name, ".", id].concat(),
    };
    let last = id.rsplit('.').next().unwrap_or_default();
    let mut element = Element {
        path: id.split('.').map(without_slice).collect::<Vec<_>>().join("."),
        slice_name: last.split_once(':').map(|(_, slice)| slice.to_owned()),
        ..Element::default()
    };
    element.id = id;
    cells.for_each(|fact| take(&mut element, fact));
    element
}

fn without_slice(part: &str) -> &str {
    part.split(':').next().unwrap_or(part)
}

fn take(element: &mut Element, fact: &str) {
    let (key, value) = fact.split_once('=').unwrap_or((fact, ""));
    let json = |suffix: &str| match serde_json::from_str(value) {
        Ok(value) => Some(Box::new((suffix.to_owned(), value))),
        Err(error) => panic!("{fact}: {error}"),
    };
    match key {
        "min" => element.min = value.parse().ok(),
        "max" => element.max = Some(most(value)),
        "type" => element.types = type_refs(value),
        "slice" => element.slicing = Some(slicing(value)),
        "ref" => element.content_reference = Some(value.to_owned()),
        "inv" => element.constraints.push(constraint(value)),
        "must" => element.must_support = Some(true),
        // Not `max`, which is a cardinality here.
        "maxSet" => say(element, &["max=", value].concat()),
        _ => match (key.strip_prefix("fixed"), key.strip_prefix("pattern")) {
            (Some(suffix), _) => element.fixed = json(suffix),
            (_, Some(suffix)) => element.pattern = json(suffix),
            _ => say(element, fact),
        },
    }
}

fn slicing(text: &str) -> Slicing {
    let mut words = text.split(' ');
    let rules = match words.next() {
        Some("closed") => SlicingRules::Closed,
        Some("openAtEnd") => SlicingRules::OpenAtEnd,
        _ => SlicingRules::Open,
    };
    let mut cut = Slicing { rules, ..Slicing::default() };
    for word in words {
        match word.split_once(':') {
            Some((kind, path)) => {
                cut.discriminators.push(Discriminator { kind: kind.to_owned(), path: path.to_owned() });
            }
            None => cut.ordered = true,
        }
    }
    cut
}

fn constraint(text: &str) -> Constraint {
    let mut words = text.splitn(3, ' ').map(str::to_owned);
    let key = words.next().unwrap_or_default();
    let is_error = words.next().is_some_and(|severity| severity == "e");
    Constraint { key, is_error, expression: words.next(), source: None }
}
