//! `onward profiles diff`: what changed between two profiles, or between two packages.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::super::{print, print_json, say};
use super::show::{facets, find};
use super::{Sources, load};
use crate::profile::definition::{Definition, Element};
use crate::profile::package::Packages;

/// What `onward profiles diff` takes.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// A profile (URL or URL|VERSION), or a package (.tgz or folder)
    pub before: String,
    /// The other one
    pub after: String,
    /// What is loaded with them.
    #[command(flatten)]
    pub sources: Sources,
}

/// One difference.
#[derive(Debug, PartialEq, Eq)]
struct Difference {
    definition: String,
    /// Empty where it is about the whole definition.
    element: String,
    /// What is said about the element.
    facet: &'static str,
    before: Option<String>,
    after: Option<String>,
}

impl DiffArgs {
    pub(super) fn run(&self, json: bool) -> anyhow::Result<i32> {
        let found = match [&self.before, &self.after].map(Path::new) {
            [before, after] if before.exists() && after.exists() => packages(&self.with(before)?, &self.with(after)?),
            _ => {
                let loaded = self.sources.load()?;
                definitions(find(&loaded, &self.before)?, find(&loaded, &self.after)?)
            }
        };
        if json {
            print_json(&found.iter().map(Difference::json).collect::<Vec<_>>())?;
        } else {
            print(&found.iter().map(Difference::line).collect::<String>())?;
            say(&format!("{} differences", found.len()));
        }
        Ok(i32::from(!found.is_empty()))
    }

    /// What a package says, over what else is loaded.
    fn with(&self, path: &Path) -> anyhow::Result<Packages> {
        let paths: Vec<PathBuf> = self.sources.packages.iter().cloned().chain([path.to_owned()]).collect();
        Ok(load(&paths)?)
    }
}

impl Difference {
    fn json(&self) -> Value {
        json!({
            "definition": self.definition, "element": self.element, "facet": self.facet,
            "before": self.before, "after": self.after,
        })
    }

    fn line(&self) -> String {
        let place = match self.element.as_str() {
            "" => self.definition.clone(),
            element => format!("{} {element}", self.definition),
        };
        let said = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
        format!("{place}: {}: {} → {}\n", self.facet, said(&self.before), said(&self.after))
    }
}

/// The definitions of the last package on each side, by URL.
fn packages(before: &Packages, after: &Packages) -> Vec<Difference> {
    let (before, after) = (by_url(before), by_url(after));
    let mut found = Vec::new();
    for (url, before) in &before {
        match after.get(url) {
            Some(after) => found.extend(definitions(before, after)),
            None => found.push(presence(url, "", true)),
        }
    }
    found.extend(after.keys().filter(|url| !before.contains_key(*url)).map(|url| presence(url, "", false)));
    found
}

fn by_url(packages: &Packages) -> BTreeMap<&str, &Definition> {
    let last = packages.packages().last();
    last.into_iter().flat_map(|last| packages.definitions_of(last)).map(|it| (it.url.as_str(), it)).collect()
}

fn presence(definition: &str, element: &str, was: bool) -> Difference {
    let there = |is: bool| Some(if is { "there" } else { "not there" }.to_owned());
    Difference {
        definition: definition.to_owned(),
        element: element.to_owned(),
        facet: "presence",
        before: there(was),
        after: there(!was),
    }
}

fn definitions(before: &Definition, after: &Definition) -> Vec<Difference> {
    let after_elements: BTreeMap<&str, &Element> = after.snapshot.iter().map(|it| (it.id.as_str(), it)).collect();
    let before_ids: BTreeMap<&str, ()> = before.snapshot.iter().map(|it| (it.id.as_str(), ())).collect();
    let mut found = Vec::new();
    for element in &before.snapshot {
        match after_elements.get(element.id.as_str()) {
            Some(other) => found.extend(elements(&before.url, element, other)),
            None => found.push(presence(&before.url, &element.id, true)),
        }
    }
    let new = after.snapshot.iter().filter(|element| !before_ids.contains_key(element.id.as_str()));
    found.extend(new.map(|element| presence(&before.url, &element.id, false)));
    found
}

fn elements(url: &str, before: &Element, after: &Element) -> Vec<Difference> {
    let mut said: BTreeMap<&'static str, (Option<String>, Option<String>)> = BTreeMap::new();
    for (facet, value) in facets(before) {
        said.entry(facet).or_default().0 = Some(value);
    }
    for (facet, value) in facets(after) {
        said.entry(facet).or_default().1 = Some(value);
    }
    let differ = said.into_iter().filter(|(_, (before, after))| before != after);
    let difference = |(facet, (before_value, after_value))| Difference {
        definition: url.to_owned(),
        element: before.id.clone(),
        facet,
        before: before_value,
        after: after_value,
    };
    differ.map(difference).collect()
}
