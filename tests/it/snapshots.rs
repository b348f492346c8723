//! Snapshots that others published, made again from their differentials, where the facts folder stands beside the
//! project.

use std::path::{Path, PathBuf};

use onward::profile::definition::{Definition, Derivation};
use onward::profile::package::{Limits, Packages};

mod compare;

use compare::differences;

fn shared(parts: &[&str]) -> Option<Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let found: Vec<PathBuf> = parts.iter().map(|part| root.join(part)).collect();
    let here = found.iter().all(|path| path.exists());
    if !here {
        eprintln!("SKIPPED: the folder with published definitions is not here");
    }
    here.then_some(found)
}

fn load(paths: &[PathBuf]) -> Packages {
    Packages::load(paths, &Limits::default()).0
}

/// Every difference between published and made snapshots, one a line.
fn proof(packages: &Packages, subjects: &mut dyn Iterator<Item = &Definition>) -> (usize, Vec<String>) {
    let (mut count, mut lines) = (0, Vec::new());
    for definition in subjects {
        count += 1;
        let name = definition.url.rsplit('/').next().unwrap_or_default();
        match packages.snapshot(definition) {
            Ok(made) => lines.extend(differences(packages, definition, &made).iter().map(|it| format!("{name}: {it}"))),
            Err(error) => lines.push(format!("{name}: {error}")),
        }
    }
    (count, lines)
}

#[test]
fn one_off() {
    let Ok(list) = std::env::var("ONWARD_PROOF") else { return };
    let paths: Vec<PathBuf> = list.split(',').map(PathBuf::from).collect();
    let (packages, issues) = Packages::load(&paths, &Limits::default());
    issues.iter().for_each(|issue| println!("{issue}"));
    let last = packages.packages().last().unwrap();
    println!("{last:?}");
    let mut subjects = packages
        .definitions_of(last)
        .filter(|it| it.derivation == Derivation::Constraint && !it.differential.is_empty());
    let (count, lines) = proof(&packages, &mut subjects);
    println!("{count} definitions, {} differences", lines.len());
    lines.iter().for_each(|line| println!("{line}"));
}

#[test]
fn one_off_cases() {
    let Ok(folder) = std::env::var("ONWARD_CASES") else { return };
    let r4 = PathBuf::from(std::env::var("R4").unwrap());
    let folder = PathBuf::from(folder);
    let index: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("index.json")).unwrap()).unwrap();
    for case in index["cases"].as_array().unwrap() {
        let expected: Definition =
            serde_json::from_slice(&std::fs::read(folder.join(case["expected"].as_str().unwrap())).unwrap()).unwrap();
        let mut paths = vec![r4.clone(), folder.join(case["input"].as_str().unwrap())];
        paths.extend(case["register"].as_array().unwrap().iter().map(|it| folder.join(it.as_str().unwrap())));
        let (packages, issues) = Packages::load(&paths, &Limits::default());
        println!("== {} {}", case["id"], case["source"]);
        issues.iter().for_each(|issue| println!("{issue}"));
        let Some(definition) = packages.definition(&expected.url) else { println!("not loaded"); continue };
        match packages.snapshot(definition) {
            Ok(made) => {
                let lines = differences(&packages, &expected, &made);
                println!("{} elements, {} differences", made.len(), lines.len());
                lines.iter().for_each(|line| println!("  {line}"));
            }
            Err(error) => println!("{error}"),
        }
    }
}
