//! Packages without their snapshots, and with them again.
//!
//! Snapshots are most of what packages weigh, and once they are compiled only a schema or a comparison needs them. What
//! this program brings is read again then, and the rest made again from the differentials; so nothing depends on files
//! that may have changed since.

use std::sync::Arc;

use super::Packages;
use super::catalogue::{Entry, Item};
use crate::profile::base;
use crate::profile::definition::{Definition, Element};
use crate::profile::snapshot::{Generator, SnapshotError};

impl Packages {
    /// Makes the snapshots that are missing; answers what could not be made.
    pub(super) fn complete(&mut self) -> Vec<(usize, SnapshotError)> {
        let generator = Generator::new(self);
        let bare = || {
            let entries = self.definitions.entries.iter().enumerate();
            entries.filter(|(_, entry)| entry.item.snapshot.is_empty()).map(|(at, entry)| (at, &*entry.item))
        };
        let errors = bare().filter_map(|(at, item)| Some((at, generator.elements(item).err()?))).collect();
        let made: Vec<(usize, Vec<Element>)> =
            bare().filter_map(|(at, item)| Some((at, generator.take(item)?))).collect();
        drop(generator);
        for (at, made) in made {
            if let Some(entry) = self.definitions.entries.get_mut(at) {
                entry.complete(made);
            }
        }
        errors
    }

    /// The same without any snapshot that can be made again.
    pub(in crate::profile) fn lean(mut self) -> Self {
        for entry in &mut self.definitions.entries {
            match &mut entry.item {
                Item::Loaded(definition) if entry.made => definition.snapshot = Vec::new(),
                Item::Loaded(_) => {}
                built_in => {
                    let bare = Definition { snapshot: Vec::new(), differential: Vec::new(), ..(**built_in).clone() };
                    *built_in = Item::Loaded(bare);
                }
            }
        }
        self
    }

    /// The same with all snapshots.
    pub(in crate::profile) fn whole(&self) -> Self {
        let mut definitions = self.definitions.clone();
        let listed = base::definitions();
        for (at, entry) in definitions.entries.iter_mut().enumerate().take_while(|(_, entry)| entry.package == 0) {
            entry.item = Item::Listed(Arc::clone(&listed), at);
        }
        let mut whole = Self {
            packages: self.packages.clone(),
            reach: self.reach.clone(),
            definitions,
            messages: self.messages.clone(),
            vocabulary: Arc::clone(&self.vocabulary),
        };
        // What cannot be made was told when it was loaded.
        whole.complete();
        whole
    }
}

impl Entry<Definition> {
    fn complete(&mut self, snapshot: Vec<Element>) {
        if let Item::Loaded(definition) = &mut self.item {
            definition.snapshot = snapshot;
            self.made = true;
        }
    }
}
