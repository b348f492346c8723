//! Compiles the tables. They are part of this program, so a fault in one is a fault of the build: it ends the
//! program at once, and the tests of this module read every line.

use foldhash::HashMap;

use super::{CodeList, Element, Facts, Field, Kind, ListId, Plain, Slot, Special, Type, TypeId};
use crate::fhir::names::Names;
use crate::profile::primitive::Primitive;

/// A type as it stands in the table.
struct Block {
    name: &'static str,
    parent: Option<&'static str>,
    kind: &'static str,
    rows: Vec<Row>,
}

/// `NAME MIN..MAX TYPES WORD…`
#[derive(Clone, Copy)]
struct Row {
    path: &'static str,
    name: &'static str,
    min: &'static str,
    max: &'static str,
    types: &'static str,
    simple: bool,
    list: Option<&'static str>,
}

/// The one property that is no element.
const RESOURCE_TYPE: &str = "resourceType";

struct Compiler {
    blocks: Vec<Block>,
    by_name: HashMap<&'static str, TypeId>,
    lists_by_name: HashMap<&'static str, ListId>,
    open_types: &'static str,
    names: Names,
}

/// The facts that two tables hold.
pub(super) fn compile(structure: &'static str, codes: &'static str) -> Facts {
    let lists = code_lists(codes);
    let (open_types, blocks) = blocks(structure);
    let by_name = blocks.iter().enumerate().map(|(index, block)| (block.name, TypeId(index as u16))).collect();
    let lists_by_name = lists.iter().enumerate().map(|(index, list)| (list.name, ListId(index as u16))).collect();
    let mut compiler = Compiler { blocks, by_name, lists_by_name, open_types, names: Names::default() };
    let keys: Vec<String> = compiler.blocks.iter().flat_map(|block| compiler.keys(block)).collect();
    compiler.names = Names::of(keys.iter().map(String::as_str).chain([RESOURCE_TYPE]));
    let types = compiler.blocks.iter().map(|block| compiler.compiled(block)).collect();
    let resource_type = compiler.names.find(RESOURCE_TYPE);
    Facts { types, lists, by_name: compiler.by_name, names: compiler.names, resource_type }
}

fn lines(table: &'static str) -> impl Iterator<Item = &'static str> {
    table.lines().filter(|line| !line.starts_with('#'))
}

fn code_lists(table: &'static str) -> Vec<CodeList> {
    let mut lists: Vec<CodeList> = Vec::new();
    for line in lines(table) {
        match (line.strip_prefix('\t'), lists.last_mut()) {
            (Some(codes), Some(list)) => {
                let mut words = codes.split('\t');
                list.systems.push((words.next().unwrap_or_default(), words.collect()));
            }
            _ => lists.push(CodeList { name: line, systems: Vec::new(), sorted: Vec::new() }),
        }
    }
    for list in &mut lists {
        list.sorted = list.codes().collect();
        list.sorted.sort_unstable();
    }
    lists
}

fn blocks(table: &'static str) -> (&'static str, Vec<Block>) {
    let mut open_types = "";
    let mut blocks: Vec<Block> = Vec::new();
    for line in lines(table) {
        if let Some(types) = line.strip_prefix("* = ") {
            open_types = types;
        } else if let (Some(text), Some(block)) = (line.strip_prefix(' '), blocks.last_mut()) {
            let row = row(block.name, text);
            block.rows.push(row);
        } else {
            blocks.push(head(line));
        }
    }
    (open_types, blocks)
}

fn head(line: &'static str) -> Block {
    let words: Vec<_> = line.split(' ').collect();
    match words[..] {
        [name, kind] => Block { name, parent: None, kind, rows: Vec::new() },
        [name, "<", parent, kind, ..] => Block { name, parent: Some(parent), kind, rows: Vec::new() },
        _ => panic!("not the head of a type: {line}"),
    }
}

fn row(path: &'static str, text: &'static str) -> Row {
    let mut words = text.split(' ');
    let (Some(name), Some(range), Some(types)) = (words.next(), words.next(), words.next()) else {
        panic!("not an element: {text}");
    };
    let Some((min, max)) = range.split_once("..") else { panic!("not a cardinality: {text}") };
    let list = words.clone().find_map(|word| word.strip_prefix('!'));
    let simple = words.any(|word| word == "profile:Quantity=SimpleQuantity");
    Row { path, name, min, max, types, simple, list }
}

impl Compiler {
    fn id(&self, name: &str) -> TypeId {
        self.by_name.get(name).copied().unwrap_or_else(|| panic!("no type {name} in the table"))
    }

    fn block(&self, name: &str) -> &Block {
        &self.blocks[usize::from(self.id(name).0)]
    }

    /// The block's rows after those of its ancestors; a row of the same name takes the ancestor's place.
    fn rows(&self, block: &Block) -> Vec<Row> {
        let mut rows = block.parent.map(|parent| self.rows(self.block(parent))).unwrap_or_default();
        for row in &block.rows {
            match rows.iter_mut().find(|above| above.name == row.name) {
                Some(above) => *above = *row,
                None => rows.push(*row),
            }
        }
        rows
    }

    /// All names that a block's own rows make: of properties, and of choices as FHIRPath has them.
    fn keys(&self, block: &Block) -> Vec<String> {
        let stem = |row: &Row| row.name.trim_end_matches("[x]").to_owned();
        let fields = |row: &Row| self.fields(0, row).into_iter().map(|field| field.key.into_string());
        block.rows.iter().flat_map(|row| fields(row).chain([stem(row)]).collect::<Vec<_>>()).collect()
    }

    fn compiled(&self, block: &Block) -> Type {
        let rows = self.rows(block);
        assert!(rows.len() <= 128, "{} has more elements than bits", block.name);
        let fields: Vec<_> = rows.iter().enumerate().flat_map(|(index, row)| self.fields(index, row)).collect();
        let elements: Vec<_> = rows.iter().map(|row| self.element(row)).collect();
        Type {
            name: block.name,
            parent: block.parent.map(|name| self.id(name)),
            kind: kind(block),
            special: special(block.name),
            required: rows.iter().enumerate().filter(|(_, row)| row.min != "0").fold(0, |all, (i, _)| all | 1 << i),
            slots: self.slots(&fields, &elements),
            elements,
            fields,
        }
    }

    /// An open-addressing table from the numbers of names, at most half full.
    fn slots(&self, fields: &[Field], elements: &[Element]) -> Box<[Slot]> {
        let size = (fields.len() * 2).next_power_of_two();
        let mut slots = vec![Slot::FREE; size].into_boxed_slice();
        for (index, field) in fields.iter().enumerate() {
            let mut at = field.name_id.index() & (size - 1);
            while slots[at].name.is_known() {
                at = (at + 1) & (size - 1);
            }
            let plain = self.plain(field, &elements[usize::from(field.element)]);
            slots[at] = Slot { name: field.name_id, field: index as u16, plain };
        }
        slots
    }

    fn plain(&self, field: &Field, element: &Element) -> Option<Plain> {
        let is_single = element.allowed && !element.many && !element.choice;
        match kind(&self.blocks[usize::from(field.kind.0)]) {
            Kind::Primitive(primitive) if is_single => {
                Some(Plain { element: field.element, primitive, kind: field.kind, list: element.list })
            }
            _ => None,
        }
    }

    fn element(&self, row: &Row) -> Element {
        let list = row.list.map(|name| self.lists_by_name.get(name).copied());
        let name = row.name.trim_end_matches("[x]");
        Element {
            name,
            name_id: self.names.find(name),
            many: row.max == "*",
            allowed: row.max != "0",
            choice: row.name.ends_with("[x]"),
            simple: row.simple,
            list: list.map(|found| found.unwrap_or_else(|| panic!("no code list for {}", row.name))),
        }
    }

    /// One property, or one for each type of a choice.
    fn fields(&self, index: usize, row: &Row) -> Vec<Field> {
        let field = |key: String, kind: TypeId, targets: &'static str| Field {
            name_id: self.names.find(&key),
            key: key.into_boxed_str(),
            element: index as u8,
            kind,
            targets: targets.split('|').filter(|target| !target.is_empty()).collect(),
        };
        let own = |kind: TypeId| vec![field(row.name.to_owned(), kind, "")];
        match (row.types, row.name.strip_suffix("[x]")) {
            ("+", _) => own(self.id(&format!("{}.{}", row.path, row.name))),
            (path, _) if path.starts_with('@') => own(self.id(&path[1..])),
            (types, choice) => {
                let one = |(name, targets): (&'static str, _)| match choice {
                    Some(stem) => field(format!("{stem}{}", capitalised(name)), self.id(name), targets),
                    None => field(row.name.to_owned(), self.id(name), targets),
                };
                split_types(if types == "*" { self.open_types } else { types }).into_iter().map(one).collect()
            }
        }
    }
}

/// `A|Reference(B|C)` as A without targets and Reference with `B|C`.
fn split_types(types: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    let mut rest = types;
    while !rest.is_empty() {
        let name_end = rest.find(['|', '(']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(name_end);
        let (targets, after) = match after.strip_prefix('(') {
            Some(open) => open.split_once(')').unwrap_or((open, "")),
            None => ("", after),
        };
        found.push((name, targets));
        rest = after.strip_prefix('|').unwrap_or(after);
    }
    found
}

fn capitalised(name: &str) -> String {
    let (first, rest) = name.split_at(1);
    first.to_ascii_uppercase() + rest
}

fn kind(block: &Block) -> Kind {
    match block.kind {
        "r" | "R" => Kind::Resource { is_abstract: block.kind == "R" },
        "c" | "C" | "b" => Kind::Complex,
        "p" => match Primitive::of(block.name) {
            Some(primitive) => Kind::Primitive(primitive),
            None => panic!("no primitive type {}", block.name),
        },
        other => panic!("no kind {other}"),
    }
}

fn special(name: &str) -> Special {
    match name {
        "Extension" => Special::Extension,
        "Reference" => Special::Reference,
        "Coding" => Special::Coding,
        "CodeableConcept" => Special::CodeableConcept,
        "Attachment" => Special::Attachment,
        "Identifier" | "Quantity" | "Age" | "Count" | "Distance" | "Duration" => Special::System,
        _ => Special::None,
    }
}
