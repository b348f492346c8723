//! Which gateway a command is about: its configuration, and its store.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::CallerFault;
use crate::app::opening::{Missing, open_store, open_store_for_import};
use crate::config::Config;
use crate::store::{Pending, Store, StoreError};

const FILE_NAME: &str = "onward.toml";

/// `--config FILE` or `--dir DIR`; else ONWARD_CONFIG, ONWARD_DIR, or `onward.toml` here.
#[derive(Debug, Default, Args)]
pub struct Place {
    /// Configuration file [env: ONWARD_CONFIG, ONWARD_DIR; default: ./onward.toml]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder that holds an onward.toml, such as a demo's
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub dir: Option<PathBuf>,
}

impl Place {
    /// The configuration file. What is said on the command line goes before the environment.
    pub fn file(&self) -> PathBuf {
        self.file_with(|name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
    }

    fn file_with(&self, var: impl Fn(&str) -> Option<PathBuf>) -> PathBuf {
        let within = |dir: PathBuf| dir.join(FILE_NAME);
        let said = self.config.clone().or_else(|| self.dir.clone().map(within));
        said.or_else(|| var("ONWARD_CONFIG")).or_else(|| var("ONWARD_DIR").map(within)).unwrap_or(FILE_NAME.into())
    }

    /// Reads the configuration.
    pub fn load(&self) -> anyhow::Result<Config> {
        Ok(Config::load(&self.file())?)
    }

    /// Opens the store that the configuration names. It may be in use by a running gateway.
    pub fn open_store(&self) -> anyhow::Result<(Config, Arc<dyn Store>)> {
        let config = self.load()?;
        let store = open_store(&config, Missing::Refuse).map_err(|error| missing(&config, error))?;
        Ok((config, store))
    }

    /// Opens or makes the store for the first load of a source's records: however many there are, they are no
    /// failure of the source.
    pub fn make_store_for_import(&self) -> anyhow::Result<(Config, Arc<dyn Store>)> {
        let mut config = self.load()?;
        config.index.unproven_per_hour = Some(0);
        let store = open_store_for_import(&config)?;
        Ok((config, store))
    }

    /// The same, and makes the store where there is none yet.
    pub fn make_store(&self) -> anyhow::Result<(Config, Arc<dyn Store>)> {
        let config = self.load()?;
        let store = open_store(&config, Missing::Make)?;
        Ok((config, store))
    }
}

/// A command that looks into a store must not make an empty one beside it.
fn missing(config: &Config, error: StoreError) -> anyhow::Error {
    match error {
        StoreError::Refused(why) => CallerFault(format!("{}: {why}", config.store.place())).into(),
        other => other.into(),
    }
}

/// Waits for the store's writer.
pub(super) fn wait<T>(pending: Pending<T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    Ok(runtime.block_on(pending).map_err(|error: StoreError| error)?)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_command_line_goes_before_the_environment() {
        let var = |name: &str| (name == "ONWARD_DIR").then(|| "env".into());
        let file = |config: Option<&str>, dir: Option<&str>| {
            let place = Place { config: config.map(PathBuf::from), dir: dir.map(PathBuf::from) };
            place.file_with(var)
        };
        assert_eq!(file(Some("a.toml"), None), Path::new("a.toml"));
        assert_eq!(file(None, Some("demo")), Path::new("demo/onward.toml"));
        assert_eq!(file(None, None), Path::new("env/onward.toml"));
        assert_eq!(Place::default().file_with(|_| None), Path::new("onward.toml"));
    }
}
