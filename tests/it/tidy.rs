//! The source keeps to the house rules of `src/lib.rs`: layers, names, sizes, no shortcuts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Longest file.
const LINES_MAX: usize = 600;
/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "types", "manager", "misc"];

/// All Rust files of a folder, as paths from the root of the project.
fn rust_files(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    collect(&Path::new(ROOT).join(folder), &mut found);
    let relative = |path: PathBuf| path.strip_prefix(ROOT).unwrap().to_string_lossy().into_owned();
    let mut found: Vec<_> = found.into_iter().map(relative).collect();
    found.sort();
    assert!(!found.is_empty(), "{folder} has no Rust files");
    found
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // What is built beside the source is nobody's to read.
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

/// The lines of a program file, with their numbers, without comments and without modules of tests.
fn program_lines(text: &str) -> Vec<(usize, &str)> {
    let mut lines = Vec::new();
    let mut numbered = (1..).zip(text.lines()).peekable();
    while let Some((number, line)) = numbered.next() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let opens = |next: &&(usize, &str)| next.1.contains("mod ") && next.1.ends_with('{');
        if line.trim() == "#[cfg(test)]" && numbered.peek().as_ref().is_some_and(opens) {
            let end = format!("{indent}}}");
            numbered.find(|(_, line)| *line == end);
        } else {
            let code = line.split("//").next().unwrap_or_default();
            lines.push((number, code));
        }
    }
    lines
}

/// Program files: those that are compiled outside of tests too.
fn program_files() -> Vec<(String, String)> {
    let all: BTreeMap<String, String> = rust_files("src").into_iter().map(|path| (path.clone(), read(&path))).collect();
    let tests: Vec<String> = all.iter().flat_map(|(path, text)| test_modules(path, text)).collect();
    let is_test = |path: &str| tests.iter().any(|it| path == format!("{it}.rs") || path.starts_with(&format!("{it}/")));
    all.into_iter().filter(|(path, _)| !is_test(path)).collect()
}

/// Modules that a file declares for tests only, as paths without an extension.
fn test_modules(path: &str, text: &str) -> Vec<String> {
    let folder = path.strip_suffix("/mod.rs").or(path.strip_suffix(".rs")).unwrap_or(path);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let named = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]").filter_map(|pair| {
        let (_, name) = pair[1].rsplit_once("mod ")?;
        Some(format!("{folder}/{}", name.strip_suffix(';')?))
    });
    named.collect()
}

/// `pub mod` lines of `src/lib.rs`, with the number of their paragraph.
fn paragraphs() -> BTreeMap<String, usize> {
    let text = read("src/lib.rs");
    let mut paragraph = 0;
    let mut found = BTreeMap::new();
    for line in text.lines() {
        if line.trim().is_empty() {
            paragraph += 1;
        } else if let Some(name) = line.strip_prefix("pub mod ").and_then(|it| it.strip_suffix(';')) {
            found.insert(name.to_owned(), paragraph);
        }
    }
    assert!(10 < found.len(), "{found:?}");
    found
}

/// Names of modules that stand behind `crate::` in a piece of code.
fn used_modules(code: &str) -> Vec<String> {
    let mut used = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let group = rest.strip_prefix('{').map(|rest| top_level(rest));
        used.extend(group.unwrap_or_else(|| vec![rest]).iter().map(|item| first_name(item)));
    }
    used
}

/// The items of a group of imports, up to its closing brace.
fn top_level(text: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut items) = (0, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' | ',' if depth == 0 => {
                items.push(text[begin..at].trim());
                begin = at + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    items
}

fn first_name(path: &str) -> String {
    path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn uses_are_read_in_every_form() {
    let used = |code| used_modules(code);
    assert_eq!(used("use crate::store::{self, Store};"), ["store"]);
    assert_eq!(used("use crate::{mllp, tls::{self, Watcher}, telemetry};"), ["mllp", "tls", "telemetry"]);
    assert_eq!(used("let x: crate::config::Mllp = crate::app::f();"), ["config", "app"]);
    let text = "use crate::a;\n#[cfg(test)]\nmod tests {\n    use crate::b;\n}\nuse crate::c; // crate::d\n";
    let code: String = program_lines(text).into_iter().map(|(_, line)| line).collect();
    assert_eq!(used(&code), ["a", "c"]);
}

#[test]
fn a_module_uses_only_what_stands_above_its_own_paragraph() {
    let paragraphs = paragraphs();
    let mut violations = Vec::new();
    for (path, text) in program_files() {
        let own = path.split('/').nth(1).unwrap_or_default().trim_end_matches(".rs").to_owned();
        let Some(own_paragraph) = paragraphs.get(&own) else { continue };
        let code: String = program_lines(&text).into_iter().map(|(_, line)| format!("{line}\n")).collect();
        for used in used_modules(&code) {
            let below = paragraphs.get(&used).is_some_and(|it| own_paragraph <= it);
            if used != own && below {
                violations.push(format!("{path}: {own} uses {used}"));
            }
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn every_module_is_in_reading_order_and_in_the_table() {
    let text = read("src/lib.rs");
    let rooms = fs::read_dir(Path::new(ROOT).join("src")).unwrap().map(|entry| entry.unwrap().path());
    let rooms = rooms.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned());
    for room in rooms.filter(|name| name != "lib" && name != "main") {
        assert!(paragraphs().contains_key(&room), "{room} is not declared in src/lib.rs");
        let in_table = text.lines().any(|line| line.starts_with("//! | ") && line.contains(&format!("[`{room}`]")));
        assert!(in_table, "{room} is not in the table of modules");
    }
}

#[test]
fn no_file_is_too_long_to_read() {
    let files = ["src", "tests", "benches"].into_iter().flat_map(rust_files);
    let long = files.map(|path| (read(&path).lines().count(), path)).filter(|(lines, _)| LINES_MAX < *lines);
    assert_eq!(long.collect::<Vec<_>>(), []);
}

#[test]
fn main_is_short() {
    assert!(read("src/main.rs").lines().count() < 40);
}

#[test]
fn nothing_is_unwrapped_outside_of_tests() {
    let mut found = Vec::new();
    for (path, text) in program_files() {
        let lines = program_lines(&text).into_iter();
        let lines = lines.filter(|(_, code)| code.contains(".unwrap()") || code.contains("todo!("));
        found.extend(lines.map(|(number, code)| format!("{path}:{number}: {}", code.trim())));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn modules_are_named_after_things() {
    for path in ["src", "tests"].into_iter().flat_map(rust_files) {
        let empty = path.split(['/', '.']).find(|part| EMPTY_NAMES.contains(part));
        assert_eq!(empty, None, "{path}");
    }
}

#[test]
fn every_folder_of_fixtures_has_a_test() {
    let sources: String = ["src", "tests"].into_iter().flat_map(rust_files).map(|path| read(&path)).collect();
    for entry in fs::read_dir(Path::new(ROOT).join("fixtures")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(sources.contains(&format!("fixtures/{name}")), "no test reads fixtures/{name}");
    }
}

#[test]
fn every_test_that_the_documentation_names_is_there() {
    let sources: String = ["src", "tests"].into_iter().flat_map(rust_files).map(|path| read(&path)).collect();
    let schema = read("src/store/sqlite/schema.sql");
    for path in ["src/lib.rs", "docs/safety.md"] {
        let text = read(path);
        let names = text.split('`').skip(1).step_by(2).filter(|name| is_test_name(name));
        for name in names {
            let known = sources.contains(&format!("fn {name}(")) || schema.contains(&format!("CONSTRAINT {name} "));
            assert!(known, "{path} names {name}, which is neither a test nor a constraint");
        }
    }
}

/// Sentences in snake case are names of tests; shorter names are of other things.
fn is_test_name(name: &str) -> bool {
    3 < name.matches('_').count() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[test]
fn every_number_that_is_promised_is_counted_somewhere() {
    let files = program_files();
    let (_, telemetry) = files.iter().find(|(path, _)| path == "src/telemetry.rs").unwrap();
    let promised = telemetry.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let kind = words.next()?;
        ["counter", "gauge", "histogram"].contains(&kind).then(|| words.next()).flatten()
    });
    let promised: Vec<&str> =
        promised.filter(|name| name.chars().all(|it| it.is_ascii_uppercase() || it == '_')).collect();
    assert!(20 < promised.len(), "{promised:?}");
    let others: Vec<&String> = files.iter().map(|(_, text)| text).collect();
    let is_idle = |name: &&&str| !others.iter().any(|text| text.contains(&format!("metric::{name}")));
    let never: Vec<_> = promised.iter().filter(is_idle).collect();
    assert!(never.is_empty(), "described, and never counted: {never:?}");
}
