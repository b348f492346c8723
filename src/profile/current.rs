//! The library in force, and how a changed one takes its place while messages are checked.
//!
//! Once a second the packages' files are looked at: names, sizes and times, not contents. What has been the same for two
//! looks is loaded and compiled aside. Without an error it takes the place of the old library; whoever checks at that
//! moment goes on with the one that it has. With an error the old one stays, which is said once in the log, and on the
//! status page until the files are mended.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::UNIX_EPOCH;

use jiff::Timestamp;

use super::library::{Library, built_in};
use super::package::Limits;
use crate::issue::Severity;

/// More errors are not told.
const ERRORS_MAX: usize = 20;

/// More files than this are not looked at for changes.
const FILES_MAX: usize = 100_000;

/// What is in force since when, and what was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// How often a changed set was taken up.
    pub reloads: u64,
    /// When the set in force was loaded.
    pub loaded_at: Timestamp,
    /// How many profiles and extensions it has.
    pub profiles: usize,
    /// Why the files that are there now are not in force; empty: they are.
    pub refused: Vec<String>,
}

/// The library in force; it is replaced as a whole.
#[derive(Debug)]
pub struct Current {
    paths: Vec<PathBuf>,
    library: RwLock<Arc<Library>>,
    state: RwLock<State>,
    seen: Mutex<Seen>,
}

/// What the files looked like.
#[derive(Debug)]
struct Seen {
    /// When the set in force was loaded.
    used: u64,
    /// At the last look.
    last: u64,
    /// When they were refused.
    refused: Option<u64>,
}

impl Current {
    /// What ships, and the packages of these paths over it. With an error in them there is no library, but the errors.
    pub fn load(paths: Vec<PathBuf>, now: Timestamp) -> Result<Self, Vec<String>> {
        let print = print(&paths);
        let library = load_aside(&paths)?;
        let state = State { reloads: 0, loaded_at: now, profiles: profiles(&library), refused: Vec::new() };
        let seen = Seen { used: print, last: print, refused: None };
        Ok(Self { paths, library: RwLock::new(library), state: RwLock::new(state), seen: Mutex::new(seen) })
    }

    /// The library in force at this moment.
    pub fn get(&self) -> Arc<Library> {
        Arc::clone(&self.library.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is in force since when, and what was refused.
    pub fn state(&self) -> State {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at the files once, and takes up what has changed, has settled and has no error. It may take as long as
    /// loading does; nobody who checks waits for it.
    pub fn poll(&self, now: Timestamp) {
        if self.paths.is_empty() {
            return;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let print = print(&self.paths);
        let settled = std::mem::replace(&mut seen.last, print) == print;
        if print == seen.used {
            if seen.refused.take().is_some() {
                self.change(|state| state.refused.clear());
            }
            return;
        }
        if !settled || seen.refused == Some(print) {
            return;
        }
        match load_aside(&self.paths) {
            Ok(library) => {
                (seen.used, seen.refused) = (print, None);
                self.take_up(library, now);
            }
            Err(errors) => {
                seen.refused = Some(print);
                tracing::error!(errors = errors.join("; "), "changed packages are refused; the old ones stay in force");
                self.change(|state| state.refused = errors);
            }
        }
    }

    fn take_up(&self, library: Arc<Library>, now: Timestamp) {
        let profiles = profiles(&library);
        *self.library.write().unwrap_or_else(PoisonError::into_inner) = library;
        tracing::info!(profiles, "changed packages are in force");
        self.change(|state| {
            *state = State { reloads: state.reloads + 1, loaded_at: now, profiles, refused: Vec::new() };
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// On a thread of its own: what loading has used and freed, most of it, goes back when its thread ends.
fn load_aside(paths: &[PathBuf]) -> Result<Arc<Library>, Vec<String>> {
    let loaded = thread::scope(|scope| scope.spawn(|| load(paths)).join());
    loaded.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn load(paths: &[PathBuf]) -> Result<Arc<Library>, Vec<String>> {
    if paths.is_empty() {
        return Ok(built_in());
    }
    let library = Library::load(paths, &Limits::default());
    let mut errors: Vec<String> =
        library.issues.iter().filter(|it| it.severity == Severity::Error).map(ToString::to_string).collect();
    errors.extend(library.faults_of_added().map(|fault| format!("{} {}: {}", fault.url, fault.element, fault.text)));
    if errors.is_empty() {
        return Ok(Arc::new(library));
    }
    let others = errors.len().saturating_sub(ERRORS_MAX);
    errors.truncate(ERRORS_MAX);
    if 0 < others {
        errors.push(format!("and {others} more"));
    }
    Err(errors)
}

fn profiles(library: &Library) -> usize {
    library.validator.program().profiles().len()
}

/// Changes with the name, size or time of any file. Reading all contents every second would be too much work.
fn print(paths: &[PathBuf]) -> u64 {
    let (mut hasher, mut left) = (DefaultHasher::new(), FILES_MAX);
    paths.iter().for_each(|path| look(path, Limits::default().folders_deep_max, &mut left, &mut hasher));
    hasher.finish()
}

fn look(path: &Path, deep: usize, left: &mut usize, hasher: &mut DefaultHasher) {
    *left = left.saturating_sub(1);
    path.hash(hasher);
    let Ok(metadata) = std::fs::metadata(path) else { return };
    if metadata.is_dir() {
        let entries = std::fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
        let mut entries: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        entries.sort();
        if 0 < deep && 0 < *left {
            entries.iter().for_each(|entry| look(entry, deep - 1, left, hasher));
        }
        return;
    }
    let changed = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    (metadata.len(), changed.map(|at| at.as_nanos())).hash(hasher);
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = r#"{
        "resourceType": "StructureDefinition", "id": "Named", "url": "http://example.org/StructureDefinition/Named",
        "name": "Named", "status": "draft", "fhirVersion": "4.0.1", "kind": "resource", "abstract": false,
        "type": "Patient", "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "derivation": "constraint", "differential": { "element": [{ "id": "Patient.name", "path": "Patient.name", "min": 1 }] }
    }"#;
    const URL: &str = "http://example.org/StructureDefinition/Named";

    #[test]
    fn a_changed_folder_is_taken_up_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("Named.json");
        let current = Current::load(vec![folder.path().to_owned()], Timestamp::UNIX_EPOCH).unwrap();
        let has = || current.get().validator.program().profile(URL).is_some();
        let polls = || (0..2).for_each(|_| current.poll(Timestamp::now()));
        assert!(!has());
        std::fs::write(&file, PROFILE).unwrap();
        current.poll(Timestamp::now());
        assert!(!has(), "it may still be being written");
        current.poll(Timestamp::now());
        assert!(has());
        assert_eq!((current.state().reloads, current.state().refused), (1, Vec::new()));

        std::fs::write(&file, PROFILE.replace("\"Patient.name\", \"min\"", "\"Patient.nickname\", \"min\"")).unwrap();
        polls();
        let refused = current.state().refused;
        assert!(has() && !refused.is_empty(), "{refused:?}");
        assert!(refused[0].contains("Named.json"), "{refused:?}");
        std::fs::remove_file(&file).unwrap();
        polls();
        assert!(!has());
        assert_eq!((current.state().reloads, current.state().refused), (2, Vec::new()));
    }

    #[test]
    fn broken_packages_at_the_start_are_told() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("Broken.json"), "{").unwrap();
        let errors = Current::load(vec![folder.path().to_owned()], Timestamp::UNIX_EPOCH).unwrap_err();
        assert!(errors[0].contains("Broken.json"), "{errors:?}");
    }
}
