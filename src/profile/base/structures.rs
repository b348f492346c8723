//! The base types, with all that they inherit.

use std::collections::HashMap;

use serde_json::Value;

use super::super::definition::{
    Binding, Constraint, Definition, Derivation, Discriminator, Element, Kind, Max, Slicing, SlicingRules, Strength,
    TypeRef,
};
use super::{STRUCTURE, VALUE_SET, VERSION, canonical, lines};

/// A type or an element with children, as it stands in the table.
struct Block {
    name: &'static str,
    parent: Option<&'static str>,
    kind: &'static str,
    words: Vec<&'static str>,
    rows: Vec<Row>,
}

/// `NAME MIN..MAX TYPES WORD…`, and the type or path that has defined it first.
#[derive(Clone, Copy)]
struct Row {
    owner: &'static str,
    name: &'static str,
    range: &'static str,
    base_max: &'static str,
    types: &'static str,
    words: &'static str,
}

/// `PATH KEY SEVERITY EXPRESSION`
struct Invariant {
    key: &'static str,
    is_error: bool,
    expression: &'static str,
}

struct Tables {
    open_types: &'static str,
    blocks: Vec<Block>,
    by_name: HashMap<&'static str, usize>,
    invariants: HashMap<&'static str, Vec<Invariant>>,
}

/// The definitions that two tables hold.
pub(super) fn read(structure: &'static str, invariants: &'static str) -> Vec<Definition> {
    let (open_types, blocks) = blocks(structure);
    let by_name = blocks.iter().enumerate().map(|(index, block)| (block.name, index)).collect();
    let tables = Tables { open_types, blocks, by_name, invariants: invariants_by_path(invariants) };
    tables.blocks.iter().filter(|block| block.kind != "b").map(|block| tables.definition(block)).collect()
}

fn invariants_by_path(table: &'static str) -> HashMap<&'static str, Vec<Invariant>> {
    let mut found: HashMap<_, Vec<_>> = HashMap::new();
    for line in lines(table) {
        let cells: Vec<_> = line.splitn(4, '\t').collect();
        let [path, key, severity, expression] = cells[..] else { panic!("not an invariant: {line}") };
        found.entry(path).or_default().push(Invariant { key, is_error: severity == "e", expression });
    }
    found
}

fn blocks(table: &'static str) -> (&'static str, Vec<Block>) {
    let mut open_types = "";
    let mut blocks: Vec<Block> = Vec::new();
    for line in lines(table) {
        if let Some(types) = line.strip_prefix("* = ") {
            open_types = types;
        } else if let (Some(text), Some(block)) = (line.strip_prefix(' '), blocks.last_mut()) {
            block.rows.push(row(block.name, text));
        } else {
            blocks.push(head(line));
        }
    }
    (open_types, blocks)
}

fn head(line: &'static str) -> Block {
    let words: Vec<_> = line.split(' ').collect();
    match words[..] {
        [name, kind] => Block { name, parent: None, kind, words: Vec::new(), rows: Vec::new() },
        [name, "<", parent, kind, ref words @ ..] => {
            Block { name, parent: Some(parent), kind, words: words.to_vec(), rows: Vec::new() }
        }
        _ => panic!("not the head of a type: {line}"),
    }
}

fn row(owner: &'static str, text: &'static str) -> Row {
    let mut cells = text.splitn(4, ' ');
    let (Some(name), Some(range), Some(types)) = (cells.next(), cells.next(), cells.next()) else {
        panic!("not an element: {text}");
    };
    let Some((_, base_max)) = range.split_once("..") else { panic!("not a cardinality: {text}") };
    Row { owner, name, range, base_max, types, words: cells.next().unwrap_or_default() }
}

impl Tables {
    fn block(&self, name: &str) -> &Block {
        let index = self.by_name.get(name).copied();
        &self.blocks[index.unwrap_or_else(|| panic!("no type {name} in the table"))]
    }

    fn definition(&self, block: &Block) -> Definition {
        let mut elements = vec![self.root(block)];
        self.expand(block, block, block.name, &mut elements);
        if block.kind == "p" {
            elements.push(self.primitive_value(block));
        }
        // They are kept for good and there are thousands: no room to spare.
        elements.shrink_to_fit();
        Definition {
            url: canonical(STRUCTURE, block.name),
            version: Some(VERSION.to_owned()),
            name: block.name.to_owned(),
            type_name: block.name.to_owned(),
            kind: kind(block.kind),
            is_abstract: matches!(block.kind, "R" | "C"),
            derivation: Derivation::Specialization,
            base: block.parent.map(|parent| canonical(STRUCTURE, parent)),
            contexts: Vec::new(),
            context_invariants: Vec::new(),
            snapshot: elements,
            differential: Vec::new(),
        }
    }

    /// The block's rows after those of its ancestors; a row of the same name takes the ancestor's place.
    fn rows(&self, block: &Block) -> Vec<Row> {
        let mut rows = block.parent.map(|parent| self.rows(self.block(parent))).unwrap_or_default();
        for row in &block.rows {
            match rows.iter_mut().find(|above| above.name == row.name) {
                Some(above) => *above = Row { owner: above.owner, base_max: above.base_max, ..*row },
                None => rows.push(*row),
            }
        }
        rows
    }

    /// All elements below a block of a type.
    fn expand(&self, of: &Block, block: &Block, path: &str, elements: &mut Vec<Element>) {
        for row in self.rows(block) {
            let path = [path, ".", row.name].concat();
            let below = (row.types == "+").then(|| self.block(&path));
            elements.push(self.element(of, &path, &row, below));
            if let Some(below) = below {
                self.expand(of, below, &path, elements);
            }
        }
    }

    fn root(&self, block: &Block) -> Element {
        let mut constraints: Vec<_> = self.own_constraints(block.name).collect();
        let mut next = block.parent;
        while let Some(parent) = next.map(|name| self.block(name)) {
            constraints.extend(self.inherited(parent.name));
            next = parent.parent;
        }
        let mut root = Element {
            id: block.name.to_owned(),
            path: block.name.to_owned(),
            min: Some(0),
            max: Some(Max::Many),
            base_max: Some(Max::Many),
            base_path: Some(block.name.to_owned()),
            constraints,
            is_modifier: Some(false),
            ..Element::default()
        };
        block.words.iter().for_each(|word| say(&mut root, word));
        root
    }

    fn element(&self, of: &Block, path: &str, row: &Row, below: Option<&Block>) -> Element {
        let (min, max) = row.range.split_once("..").unwrap_or_default();
        let is_value = matches!((row.owner, row.name), ("Element" | "Resource", "id") | ("Extension", "url"));
        let of_element = (!is_value && row.types != "Resource").then(|| self.inherited("Element"));
        let of_extension = (row.types == "Extension").then(|| self.inherited("Extension"));
        let mut element = Element {
            id: path.to_owned(),
            path: path.to_owned(),
            slicing: is_sliced(of, row).then(by_url),
            min: min.parse().ok(),
            max: Some(most(max)),
            base_max: Some(most(row.base_max)),
            base_path: Some([row.owner, ".", row.name].concat()),
            content_reference: row.types.strip_prefix('@').map(|path| ["#", path].concat()),
            types: self.type_refs(row, below),
            constraints: self
                .own_constraints(path)
                .chain(of_element.into_iter().flatten())
                .chain(of_extension.into_iter().flatten())
                .collect(),
            is_modifier: Some(false),
            ..Element::default()
        };
        element.constraints.shrink_to_fit();
        row.words.split(' ').for_each(|word| say(&mut element, word));
        element
    }

    /// The element `value` of a primitive type, of which the table says nothing: R4 gives it one of FHIRPath's types.
    fn primitive_value(&self, block: &Block) -> Element {
        let parent = block.parent.filter(|parent| *parent != "Element");
        let code = if parent.is_some() || block.name == "xhtml" { "string" } else { block.name };
        let limit = |digits: &str| Some(Box::new(("Integer".to_owned(), Value::Number(digits.parse().ok()?))));
        let is_integer = block.name == "integer";
        let path = [block.name, ".value"].concat();
        Element {
            id: path.clone(),
            path,
            min: Some((block.name == "xhtml").into()),
            max: Some(Max::Count(1)),
            base_max: Some(Max::Count(1)),
            base_path: Some([parent.unwrap_or(block.name), ".value"].concat()),
            types: vec![TypeRef { code: code.to_owned(), ..TypeRef::default() }],
            min_value: is_integer.then(|| limit("-2147483648")).flatten(),
            max_value: is_integer.then(|| limit("2147483647")).flatten(),
            max_length: (block.name == "string").then_some(1_048_576),
            is_modifier: Some(false),
            ..Element::default()
        }
    }

    fn type_refs(&self, row: &Row, below: Option<&Block>) -> Vec<TypeRef> {
        let plain = |code: &str| vec![TypeRef { code: code.to_owned(), ..TypeRef::default() }];
        if let Some(below) = below {
            return plain(below.parent.unwrap_or("Element"));
        }
        match (row.owner, row.name, row.types) {
            ("Resource", "id", _) => plain("string"),
            (_, _, "*") => type_refs(self.open_types),
            (_, _, types) if types.starts_with('@') => Vec::new(),
            (_, _, types) => {
                let mut found = type_refs(types);
                if !row.words.split(' ').any(|word| word == "untargeted") {
                    found.iter_mut().for_each(point_anywhere);
                }
                found
            }
        }
    }

    /// What the table says of a path of the type that is being made.
    fn own_constraints(&self, path: &str) -> impl Iterator<Item = Constraint> {
        self.invariants.get(path).map_or(&[][..], Vec::as_slice).iter().map(|it| it.constraint(None))
    }

    /// What another type's root brings along.
    fn inherited(&self, name: &str) -> impl Iterator<Item = Constraint> {
        let source = canonical(STRUCTURE, name);
        self.invariants
            .get(name)
            .map_or(&[][..], Vec::as_slice)
            .iter()
            .map(move |it| it.constraint(Some(source.clone())))
    }
}

impl Invariant {
    fn constraint(&self, source: Option<String>) -> Constraint {
        Constraint {
            key: self.key.to_owned(),
            is_error: self.is_error,
            expression: Some(self.expression.to_owned()),
            source,
        }
    }
}

fn kind(letter: &str) -> Kind {
    match letter {
        "r" | "R" => Kind::Resource,
        "c" | "C" => Kind::ComplexType,
        "p" => Kind::PrimitiveType,
        other => panic!("no kind {other}"),
    }
}

pub(super) fn most(text: &str) -> Max {
    text.parse().map_or(Max::Many, Max::Count)
}

/// Only data types and DomainResource say of their extensions that they are sliced by URL.
fn is_sliced(of: &Block, row: &Row) -> bool {
    match row.name {
        "extension" => matches!(of.kind, "c" | "C") || of.name == "DomainResource",
        "modifierExtension" => of.name == "DomainResource",
        _ => false,
    }
}

fn by_url() -> Slicing {
    let url = Discriminator { kind: "value".to_owned(), path: "url".to_owned() };
    Slicing { discriminators: vec![url], ordered: false, rules: SlicingRules::Open }
}

/// In the table a reference without targets may point to any resource.
fn point_anywhere(of: &mut TypeRef) {
    if matches!(&*of.code, "Reference" | "canonical") && of.target_profiles.is_empty() {
        of.target_profiles.push(canonical(STRUCTURE, "Resource"));
    }
}

/// `A|Reference(B|C)` as A without targets and Reference with B and C.
pub(super) fn type_refs(types: &str) -> Vec<TypeRef> {
    let mut found = Vec::new();
    let mut rest = types;
    while !rest.is_empty() {
        let (name, after) = rest.split_at(rest.find(['|', '(']).unwrap_or(rest.len()));
        let (targets, after) = match after.strip_prefix('(') {
            Some(open) => open.split_once(')').unwrap_or((open, "")),
            None => ("", after),
        };
        let targets = targets.split('|').filter(|target| !target.is_empty());
        let target_profiles = targets.map(|target| canonical(STRUCTURE, target)).collect();
        found.push(TypeRef { code: name.to_owned(), target_profiles, ..TypeRef::default() });
        rest = after.strip_prefix('|').unwrap_or(after);
    }
    found.shrink_to_fit();
    found
}

/// A word of a row: bindings, profiles of types, modifiers.
pub(super) fn say(element: &mut Element, word: &str) {
    let (key, value) = word.split_once('=').unwrap_or((word, ""));
    let mut bind = |strength| {
        let value_set = (value != "-").then(|| canonical(VALUE_SET, value));
        element.binding = Some(Binding { strength, value_set, max_value_set: None });
    };
    match key {
        "r" => bind(Strength::Required),
        "e" => bind(Strength::Extensible),
        "p" => bind(Strength::Preferred),
        "x" => bind(Strength::Example),
        "max" => {
            if let Some(binding) = &mut element.binding {
                binding.max_value_set = Some(canonical(VALUE_SET, value));
            }
        }
        "modifier" => element.is_modifier = Some(true),
        "untargeted" | "" => {}
        other => match (other.strip_prefix('!'), other.strip_prefix("profile:")) {
            (Some(list), _) => {
                let value_set = Some([&*canonical(VALUE_SET, list), "|", VERSION].concat());
                element.binding = Some(Binding { strength: Strength::Required, value_set, max_value_set: None });
            }
            (_, Some(code)) => {
                let of = element.types.iter_mut().find(|of| of.code == code);
                of.into_iter().for_each(|of| of.profiles.push(canonical(STRUCTURE, value)));
            }
            _ => panic!("not a word of a table: {word}"),
        },
    }
}
