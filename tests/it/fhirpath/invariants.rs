//! Every invariant of R4, UK Core and BaRS compiles, and holds in published examples.

use super::*;

/// All files below a folder that are JSON.
fn json_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            json_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
}

/// Path, key and expression of each invariant of R4's own table.
fn of_r4() -> Vec<(&'static str, &'static str, &'static str)> {
    let table = include_str!("../../../profiles/r4/invariants.txt");
    let rows = table.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect::<Vec<_>>());
    rows.map(|row| (row[0], row[1], row[3])).collect()
}

/// Those that are errors; the others are advice, such as that every resource has a narrative.
fn errors_of_r4() -> Vec<(&'static str, &'static str, &'static str)> {
    let table = include_str!("../../../profiles/r4/invariants.txt");
    of_r4().into_iter().filter(|(path, key, _)| table.contains(&format!("\n{path}\t{key}\te\t"))).collect()
}

#[test]
fn every_invariant_of_r4_compiles() {
    let compiler = Compiler::new(r4());
    let rows = of_r4();
    assert!(200 < rows.len());
    for (path, key, expression) in rows {
        compiler.compile(expression).unwrap_or_else(|error| panic!("{path} {key}: {error}"));
    }
}

#[test]
fn every_invariant_of_uk_core_and_bars_compiles() {
    let compiler = Compiler::new(r4());
    let mut seen = 0;
    for part in ["fhir", "bars"] {
        let Some(folder) = shared(part) else { return };
        let mut files = Vec::new();
        json_files(&folder, &mut files);
        for path in files {
            let text = std::fs::read_to_string(&path).unwrap();
            if !text.contains("\"StructureDefinition\"") {
                continue;
            }
            let Ok(definition) = serde_json::from_str::<Value>(&text) else { continue };
            for list in ["snapshot", "differential"] {
                let elements = definition[list]["element"].as_array().into_iter().flatten();
                let constraints = elements.flat_map(|element| element["constraint"].as_array().into_iter().flatten());
                for expression in constraints.filter_map(|constraint| constraint["expression"].as_str()) {
                    let compiled = compiler.compile(expression);
                    assert!(compiled.is_ok(), "{}: {expression}: {compiled:?}", path.display());
                    seen += 1;
                }
            }
        }
    }
    assert!(1000 < seen, "{seen}");
}

/// Finds entries by their full URL and contained resources by their id; enough for the examples.
struct ByText<'r> {
    tape: &'r Tape<'r>,
}

impl ByText<'_> {
    fn text(&self, node: NodeId, name: &str) -> Option<String> {
        self.tape.member(node, r4().names().find(name)).and_then(|found| self.tape.string(found)).map(Into::into)
    }
}

impl Resolver for ByText<'_> {
    fn resolve(&self, from: NodeId, reference: &str) -> Option<NodeId> {
        let tape = self.tape;
        let named = |name: &str, at: NodeId| tape.member(at, r4().names().find(name));
        if let Some(id) = reference.strip_prefix('#') {
            let mut at = from;
            loop {
                if let Some(contained) = named("contained", at) {
                    let found = tape.children(contained).find(|node| self.text(*node, "id").as_deref() == Some(id));
                    if found.is_some() {
                        return found;
                    }
                }
                at = tape.parent(at)?;
            }
        }
        let entries = tape.children(named("entry", NodeId::ROOT)?);
        let entry = entries.into_iter().find(|entry| {
            self.text(*entry, "fullUrl").is_some_and(|url| url == reference || url.ends_with(&format!("/{reference}")))
        })?;
        named("resource", entry)
    }
}

/// What is asked where: by the type of the element, the inherited ones included.
struct Invariants {
    by_type: BTreeMap<&'static str, Vec<(&'static str, Expression)>>,
}

impl Invariants {
    fn of_r4() -> Self {
        let compiler = Compiler::new(r4());
        let mut by_type: BTreeMap<&'static str, Vec<(&'static str, Expression)>> = BTreeMap::new();
        for (path, key, expression) in errors_of_r4() {
            by_type.entry(path).or_default().push((key, compiler.compile(expression).unwrap()));
        }
        Self { by_type }
    }

    /// Calls `told` with every invariant of every element, and what it says.
    fn ask(&self, read: &Read<'_>, told: &mut dyn FnMut(&str, NodeId, Verdict)) {
        let resolver = ByText { tape: &read.tape };
        let scope = Scope { resolver: Some(&resolver), ..Scope::of(read.document(), NodeId::ROOT) };
        self.element(read, &scope, NodeId::ROOT, told);
    }

    fn element(&self, read: &Read<'_>, scope: &Scope<'_>, node: NodeId, told: &mut dyn FnMut(&str, NodeId, Verdict)) {
        let tape = &read.tape;
        let document = read.document();
        let mut scope = Scope { context: node, ..*scope };
        let mut names = vec![];
        if let Some(kind) = document.kind(node) {
            names.push(kind.name);
            if matches!(kind.kind, onward::profile::facts::Kind::Resource { .. }) {
                let is_contained =
                    tape.parent(node).is_some_and(|parent| tape.name(parent) == r4().names().find("contained"));
                scope.resource = node;
                scope.root = if is_contained { scope.root } else { node };
                names.push("Resource");
                if r4().field(kind, "contained").is_some() {
                    names.push("DomainResource");
                }
            }
        }
        // An element of its own, such as `Narrative.div`.
        let owner = tape
            .parent(node)
            .map(|parent| if tape.kind(parent) == Kind::Array { tape.parent(parent).unwrap() } else { parent });
        let path = owner.and_then(|owner| document.kind(owner)).map(|owner| {
            let key = if tape.name(node).is_known() { tape.name(node) } else { tape.name(tape.parent(node).unwrap()) };
            format!("{}.{}", owner.name, r4().names().name(key))
        });
        let paths = path.as_deref().into_iter().filter(|path| !names.contains(path));
        for name in names.iter().copied().chain(paths) {
            for (key, expression) in self.by_type.get(name).into_iter().flatten() {
                told(key, node, expression.holds(&scope));
            }
        }
        for child in tape.children(node) {
            for child in if tape.kind(child) == Kind::Array { tape.children(child).collect() } else { vec![child] } {
                self.element(read, &scope, child, told);
            }
        }
    }
}

/// Examples as published that break an invariant: file, key, how often.
const BROKEN: &[(&str, &str, usize)] = &[
    // An entry with nothing in it.
    ("GET-success.json", "bdl-5", 1),
    // Appointments that are neither proposed nor cancelled and have no start.
    ("PATCH-body.json", "app-3", 1),
    ("get-appointment-before-update.json", "app-3", 1),
];

/// Invariants of R4 that say nothing, rather than true, where the element that they are about is not there.
const SILENT: &[&str] = &["bdl-8", "ref-1"];

#[test]
fn every_invariant_holds_in_published_examples() {
    let invariants = Invariants::of_r4();
    let (mut asked, mut broken) = (0, BTreeMap::<(String, String), usize>::new());
    for part in ["oracle/spec-examples/resources", "bars/examples"] {
        let Some(folder) = shared(part) else { return };
        let mut files = Vec::new();
        json_files(&folder, &mut files);
        for path in files {
            let text = std::fs::read_to_string(&path).unwrap();
            let Ok(tape) = read(text.as_bytes(), &Limits::default(), r4().names(), Vec::new()) else { continue };
            let types = annotate(&tape, r4());
            let read = Read { tape, types };
            invariants.ask(&read, &mut |key, node, verdict| {
                asked += 1;
                let is_silent = verdict == Verdict::Empty && SILENT.contains(&key);
                if verdict != Verdict::True && !is_silent {
                    let name = path.file_name().unwrap().to_string_lossy().into_owned();
                    eprintln!("{name} {key} {verdict:?} {}", read.tape.place(node));
                    *broken.entry((name, key.to_owned())).or_default() += 1;
                }
            });
        }
    }
    assert!(10_000 < asked, "{asked}");
    let expected: BTreeMap<(String, String), usize> =
        BROKEN.iter().map(|(file, key, count)| (((*file).to_owned(), (*key).to_owned()), *count)).collect();
    assert_eq!(broken, expected);
}
