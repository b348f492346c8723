//! `onward profiles schema`: a profile as a JSON Schema.

use clap::Args;

use super::super::{CallerFault, print_json};
use super::Sources;
use super::show::find;
use crate::profile::schema;

/// What `onward profiles schema` takes.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// The profile's canonical, perhaps with a version: URL or URL|VERSION; or the name of a type of R4
    pub url: String,
    /// What is loaded.
    #[command(flatten)]
    pub sources: Sources,
}

impl SchemaArgs {
    pub(super) fn run(&self) -> anyhow::Result<i32> {
        let packages = self.sources.load()?;
        let definition = find(&packages, &self.url)?;
        let schema = schema::of(&packages, definition);
        let schema = schema.ok_or_else(|| CallerFault(format!("{} has no instances of its own", self.url)))?;
        print_json(&schema)?;
        Ok(0)
    }
}
