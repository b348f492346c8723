//! Things with a canonical URL, several versions side by side.

use std::collections::HashMap;
use std::ops::Deref;

use super::version;

/// What has a canonical.
pub(super) trait Canonical {
    fn url(&self) -> &str;
    fn version(&self) -> Option<&str>;
    /// Do both say the same? Whether one brings a snapshot makes no difference.
    fn says_as(&self, other: &Self) -> bool;
}

/// Which package, in the order of loading.
pub(super) type PackageIndex = usize;

/// A thing that is held here, or that is built in.
#[derive(Debug)]
pub(super) enum Item<T: 'static> {
    Loaded(T),
    BuiltIn(&'static T),
}

impl<T> Deref for Item<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Loaded(item) => item,
            Self::BuiltIn(item) => item,
        }
    }
}

#[derive(Debug)]
pub(super) struct Entry<T: 'static> {
    pub(super) package: PackageIndex,
    pub(super) file: Box<str>,
    pub(super) item: Item<T>,
}

/// All things of one kind.
#[derive(Debug)]
pub(super) struct Catalogue<T: 'static> {
    pub(super) entries: Vec<Entry<T>>,
    /// Newest first; of the same version, in the order of loading.
    by_url: HashMap<Box<str>, Vec<usize>>,
}

impl<T> Default for Catalogue<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), by_url: HashMap::new() }
    }
}

impl<T: Canonical> Catalogue<T> {
    /// Takes one in; answers the one of the same URL and version that came before.
    pub(super) fn add(&mut self, package: PackageIndex, file: &str, item: Item<T>) -> Option<usize> {
        let twin = self.find(item.url(), item.version(), &|_| true);
        let at = self.entries.len();
        let list = self.by_url.entry(item.url().into()).or_default();
        let newer = |other: &usize| {
            self.entries.get(*other).is_some_and(|it| version::compare(it.item.version(), item.version()).is_ge())
        };
        list.insert(list.partition_point(newer), at);
        self.entries.push(Entry { package, file: file.into(), item });
        twin.filter(|twin| self.entries[*twin].item.version() == self.entries[at].item.version())
    }

    fn find(&self, url: &str, version: Option<&str>, fits: &dyn Fn(PackageIndex) -> bool) -> Option<usize> {
        let is_it = |at: &&usize| {
            let entry = &self.entries[**at];
            version.is_none_or(|version| entry.item.version() == Some(version)) && fits(entry.package)
        };
        self.by_url.get(url)?.iter().find(is_it).copied()
    }

    /// The index for a canonical, perhaps with a version: that one, or the newest. The first group of packages that
    /// has one decides.
    pub(super) fn resolve(&self, canonical: &str, groups: &[&dyn Fn(PackageIndex) -> bool]) -> Option<usize> {
        let (url, version) = split(canonical);
        groups.iter().find_map(|group| self.find(url, version, group)).or_else(|| self.find(url, version, &|_| true))
    }

    /// Which package an item is of.
    pub(super) fn package_of(&self, item: &T) -> Option<PackageIndex> {
        let own = |at: &&usize| std::ptr::eq::<T>(&*self.entries[**at].item, item);
        self.by_url.get(item.url())?.iter().find(own).map(|at| self.entries[*at].package)
    }

    pub(super) fn get(&self, at: usize) -> Option<&T> {
        self.entries.get(at).map(|entry| &*entry.item)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().map(|entry| &*entry.item)
    }
}

/// URL and version of a canonical; a fragment has no say here.
pub(super) fn split(canonical: &str) -> (&str, Option<&str>) {
    let canonical = canonical.split('#').next().unwrap_or_default();
    match canonical.split_once('|') {
        Some((url, version)) => (url, Some(version)),
        None => (canonical, None),
    }
}
