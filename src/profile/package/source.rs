//! Where packages lie: archives and folders. Nothing is taken on trust: sizes are counted while they are
//! inflated, links are not followed, and names do not lead out.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::Limits;
use super::issue::LoadFault;
use crate::profile::shipped;

/// A package that was found.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A `.tgz`.
    Archive(PathBuf),
    /// A folder with all that is below it.
    Folder(PathBuf),
    /// Files that lie in a folder beside packages, or without a manifest.
    Loose(PathBuf, Vec<PathBuf>),
    /// Part of this program.
    Shipped(&'static shipped::Package),
}

/// What went wrong with a file or a package.
#[derive(Debug)]
pub(super) struct SourceFault {
    pub(super) file: String,
    pub(super) fault: LoadFault,
    pub(super) text: String,
}

impl SourceFault {
    fn new(file: impl Into<String>, fault: LoadFault, text: impl Into<String>) -> Self {
        Self { file: file.into(), fault, text: text.into() }
    }

    fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self::new(path.display().to_string(), LoadFault::Unreadable, error.to_string())
    }
}

/// Takes a file: its name within the package and its bytes.
pub(super) type Take<'t> = dyn FnMut(&str, &[u8]) + 't;

impl Source {
    /// The packages at a path: a file is one; a folder is one, or holds some.
    pub(super) fn find(path: &Path, limits: &Limits, faults: &mut Vec<SourceFault>) -> Vec<Self> {
        match fs::metadata(path) {
            Ok(found) if found.is_file() && is_archive(path) => vec![Self::Archive(path.to_owned())],
            Ok(found) if found.is_file() => vec![Self::Loose(folder_of(path), vec![path.to_owned()])],
            Ok(_) => within(path, limits, faults),
            Err(error) => {
                faults.push(SourceFault::unreadable(path, &error));
                Vec::new()
            }
        }
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Archive(path) | Self::Folder(path) | Self::Loose(path, _) => path,
            Self::Shipped(_) => Path::new(""),
        }
    }

    /// Hands out its JSON files.
    pub(super) fn read(&self, limits: &Limits, take: &mut Take<'_>) -> Vec<SourceFault> {
        let mut faults = Vec::new();
        let done = match self {
            Self::Archive(path) => read_archive(path, limits, take, &mut faults),
            Self::Folder(path) => {
                let mut files = Vec::new();
                walk(path, limits.folders_deep_max, &mut files, &mut faults);
                read_files(path, &files, limits, take, &mut faults)
            }
            Self::Loose(path, files) => read_files(path, files, limits, take, &mut faults),
            Self::Shipped(package) => {
                package.files.iter().for_each(|(name, content)| take(name, content.as_bytes()));
                Ok(())
            }
        };
        faults.extend(done.err());
        faults
    }
}

fn folder_of(path: &Path) -> PathBuf {
    path.parent().map_or_else(PathBuf::new, Path::to_owned)
}

fn is_archive(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.ends_with(".tgz") || name.ends_with(".tar.gz")
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|it| it.eq_ignore_ascii_case("json"))
}

/// A folder with a manifest is a package; else every folder below that has one, every archive, and the rest.
fn within(folder: &Path, limits: &Limits, faults: &mut Vec<SourceFault>) -> Vec<Source> {
    let mut found = Vec::new();
    let mut loose = Vec::new();
    sort_out(folder, limits.folders_deep_max, &mut found, &mut loose, faults);
    if !loose.is_empty() {
        found.push(Source::Loose(folder.to_owned(), loose));
    }
    found
}

fn sort_out(
    folder: &Path,
    deep: usize,
    found: &mut Vec<Source>,
    loose: &mut Vec<PathBuf>,
    faults: &mut Vec<SourceFault>,
) {
    if let Some(package) = ["", "package"].map(|part| folder.join(part)).into_iter().find(|it| has_manifest(it)) {
        return found.push(Source::Folder(package));
    }
    for path in entries(folder, faults) {
        match kind(&path, faults) {
            Some(Kind::Folder) if 0 < deep => sort_out(&path, deep - 1, found, loose, faults),
            Some(Kind::File) if is_archive(&path) => found.push(Source::Archive(path)),
            Some(Kind::File) if is_json(&path) => loose.push(path),
            _ => {}
        }
    }
}

fn has_manifest(folder: &Path) -> bool {
    folder.join("package.json").is_file()
}

fn walk(folder: &Path, deep: usize, files: &mut Vec<PathBuf>, faults: &mut Vec<SourceFault>) {
    for path in entries(folder, faults) {
        match kind(&path, faults) {
            Some(Kind::Folder) if 0 < deep => walk(&path, deep - 1, files, faults),
            Some(Kind::File) if is_json(&path) => files.push(path),
            _ => {}
        }
    }
}

enum Kind {
    File,
    Folder,
}

/// Links are not followed: what they lead to is not a part of the package.
fn kind(path: &Path, faults: &mut Vec<SourceFault>) -> Option<Kind> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => Some(Kind::Folder),
        Ok(found) if found.is_file() => Some(Kind::File),
        Ok(found) if found.is_symlink() => {
            let name = path.display().to_string();
            faults.push(SourceFault::new(name, LoadFault::UnsafePath, "links are not followed"));
            None
        }
        Ok(_) => None,
        Err(error) => {
            faults.push(SourceFault::unreadable(path, &error));
            None
        }
    }
}

/// What is in a folder, in the order of names; hidden files are somebody else's.
fn entries(folder: &Path, faults: &mut Vec<SourceFault>) -> Vec<PathBuf> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            faults.push(SourceFault::unreadable(folder, &error));
            return Vec::new();
        }
    };
    let shown = |path: &PathBuf| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.'));
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(shown).collect();
    paths.sort();
    paths
}

/// Counts what was taken against the limits.
struct Meter<'l> {
    limits: &'l Limits,
    files: usize,
    bytes: u64,
}

impl Meter<'_> {
    /// Reads a file to its end, or to the limit.
    fn read(&mut self, name: &str, from: impl Read, buffer: &mut Vec<u8>) -> Result<(), SourceFault> {
        self.files += 1;
        if self.limits.files_max < self.files {
            return Err(SourceFault::new("", LoadFault::TooLarge, "the package has more files than the limit"));
        }
        buffer.clear();
        let most = self.limits.file_bytes_max.min(self.limits.bytes_max.saturating_sub(self.bytes));
        let read = from.take(most.saturating_add(1)).read_to_end(buffer);
        let read = read.map_err(|error| SourceFault::new(name, LoadFault::Unreadable, error.to_string()))?;
        self.bytes += read as u64;
        if most < read as u64 {
            return Err(SourceFault::new(
                name,
                LoadFault::TooLarge,
                "the file, or the package with it, is over the limit",
            ));
        }
        Ok(())
    }
}

fn read_files(
    root: &Path,
    files: &[PathBuf],
    limits: &Limits,
    take: &mut Take<'_>,
    faults: &mut Vec<SourceFault>,
) -> Result<(), SourceFault> {
    let mut meter = Meter { limits, files: 0, bytes: 0 };
    let mut buffer = Vec::new();
    for path in files {
        let name = path.strip_prefix(root).unwrap_or(path).display().to_string();
        match File::open(path) {
            Ok(file) => {
                meter.read(&name, file, &mut buffer)?;
                take(&name, &buffer);
            }
            Err(error) => faults.push(SourceFault::new(name, LoadFault::Unreadable, error.to_string())),
        }
    }
    Ok(())
}

fn read_archive(
    path: &Path,
    limits: &Limits,
    take: &mut Take<'_>,
    faults: &mut Vec<SourceFault>,
) -> Result<(), SourceFault> {
    let broken = |error: io::Error| SourceFault::new("", LoadFault::Archive, error.to_string());
    let file = File::open(path).map_err(|error| SourceFault::new("", LoadFault::Unreadable, error.to_string()))?;
    // What is skipped is inflated too, so the whole stream is held to the limit; tar's own blocks come on top.
    let inflated_max = limits.bytes_max.saturating_add(limits.files_max as u64 * 2048);
    let inflated = MultiGzDecoder::new(io::BufReader::new(file)).take(inflated_max);
    let mut archive = tar::Archive::new(inflated);
    let mut meter = Meter { limits, files: 0, bytes: 0 };
    let mut buffer = Vec::new();
    for entry in archive.entries().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        let path = entry.path().map_err(broken)?.into_owned();
        let name = path.display().to_string();
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind.is_pax_global_extensions() {
            continue;
        }
        if !kind.is_file() || !is_inside(&path) {
            let text = "only files within the package are taken: no links, no way out";
            faults.push(SourceFault::new(name, LoadFault::UnsafePath, text));
        } else if is_json(&path) {
            let name = name.strip_prefix("package/").unwrap_or(&name).to_owned();
            meter.read(&name, entry, &mut buffer)?;
            take(&name, &buffer);
        }
    }
    Ok(())
}

fn is_inside(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}
