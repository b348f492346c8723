//! Things with a canonical URL, several versions side by side.

use std::ops::Deref;
use std::sync::Arc;

use foldhash::HashMap;

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
#[derive(Clone, Debug)]
pub(super) enum Item<T: 'static> {
    Loaded(T),
    BuiltIn(&'static T),
    /// One of a list that is built in, but need not stay.
    Listed(Arc<[T]>, usize),
}

impl<T> Deref for Item<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Loaded(item) => item,
            Self::BuiltIn(item) => item,
            Self::Listed(list, at) => &list[*at],
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Entry<T: 'static> {
    pub(super) package: PackageIndex,
    /// Is it of a package that is part of this program? Of the same version an operator's own goes first.
    pub(super) ships: bool,
    pub(super) file: Box<str>,
    /// Was its snapshot made here?
    pub(super) made: bool,
    pub(super) item: Item<T>,
}

/// All things of one kind.
#[derive(Clone, Debug)]
pub(super) struct Catalogue<T: 'static> {
    pub(super) entries: Vec<Entry<T>>,
    /// Newest first; of the same version in the order of loading, what ships after all others.
    by_url: HashMap<Box<str>, Vec<usize>>,
}

impl<T> Default for Catalogue<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), by_url: HashMap::default() }
    }
}

impl<T: Canonical> Catalogue<T> {
    /// Takes one in; answers the one of the same URL and version that goes before it.
    pub(super) fn add(&mut self, entry: Entry<T>) -> Option<usize> {
        let twin = self.find(entry.item.url(), entry.item.version(), &|_| true);
        let at = self.entries.len();
        let list = self.by_url.entry(entry.item.url().into()).or_default();
        let goes_first = |other: &usize| {
            let other = &self.entries[*other];
            let newer = version::compare(other.item.version(), entry.item.version());
            newer.then((entry.ships).cmp(&other.ships)).is_ge()
        };
        list.insert(list.partition_point(goes_first), at);
        let twin = twin.filter(|twin| {
            let twin = &self.entries[*twin];
            twin.item.version() == entry.item.version() && twin.ships == entry.ships
        });
        self.entries.push(entry);
        twin
    }

    /// How many of the same URL go before one.
    pub(super) fn rank(&self, at: usize) -> usize {
        let list = self.entries.get(at).and_then(|entry| self.by_url.get(entry.item.url()));
        list.and_then(|list| list.iter().position(|own| *own == at)).unwrap_or_default()
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
