//! The configuration: one TOML file, and `ONWARD__SECTION__KEY` in the environment on top of it.
//!
//! Every setting has a default or is asked for by [`Config::check`]; a setting that is not known is refused,
//! because a mistyped limit that silently does not apply is worse than no start. Secrets do not belong here:
//! keys are files, named by their paths. Units are the last word of a name (`timeout_ms`, `body_bytes_max`).

mod check;
mod destination;
mod directory;
mod https;
mod mask;
mod mllp;
mod overlay;
mod paths;
mod sections;
mod system;
mod validation;
mod windows;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use check::Finding;
pub use destination::{ClientTls, Destination, DestinationKind, OnRefusal};
pub use directory::{OrganisationEntry, ServiceEntry};
pub use https::{ClientAuth, Https};
pub use mllp::{Mllp, ServerTls};
pub use sections::{Environment, Index, Log, LogFormat, Retention, Status, Store};
pub use system::{Fingerprint, FingerprintError, Organisations, System};
pub use validation::Validation;
pub use windows::Windows;

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `sandbox` (the default: test data only) or `production`.
    pub environment: Environment,
    /// The database.
    pub store: Store,
    /// The API's listener.
    pub https: Https,
    /// The independent status listener.
    pub status: Status,
    /// What is logged, and how.
    pub log: Log,
    /// How long things are kept.
    pub retention: Retention,
    /// What messages are held to.
    pub validation: Validation,
    /// The index of patients.
    pub index: Index,
    /// Listeners for HL7 v2 over MLLP.
    pub mllp: Vec<Mllp>,
    /// Client systems that may call.
    pub system: Vec<System>,
    /// Organisations that are known here.
    pub organisation: Vec<OrganisationEntry>,
    /// Services that this gateway acts for.
    pub service: Vec<ServiceEntry>,
    /// Where messages are delivered to.
    pub destination: Vec<Destination>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is not TOML; the text says on which line.
    #[error("{}: {text}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        text: String,
    },
    /// A setting is not known or not of its kind.
    #[error("{origin}: {setting}: {text}")]
    Setting {
        /// The file, or the environment variable that has the last word on this setting.
        origin: String,
        /// Its path: `https.listen`, `service[0].organisation`.
        setting: String,
        /// What is wrong with it.
        text: String,
    },
}

impl Config {
    /// Reads the file and this process's environment.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_with(
            path,
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    /// Reads the file and the given environment.
    pub fn load_with(path: &Path, vars: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })?;
        let table = text
            .parse::<toml::Table>()
            .map_err(|error| ConfigError::Syntax { path: path.into(), text: error.to_string().trim_end().into() })?;
        let mut config = Self::read(table, &path.display().to_string(), vars)?;
        config.resolve(&folder(path));
        Ok(config)
    }

    fn read(
        table: toml::Table,
        file: &str,
        vars: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut root = toml::Value::Table(table);
        let overlaid = overlay::apply(&mut root, vars)?;
        serde_path_to_error::deserialize(root).map_err(|error| {
            let setting = error.path().to_string();
            let origin = overlaid.get(&setting).map_or(file, String::as_str).to_owned();
            ConfigError::Setting { origin, setting, text: error.into_inner().message().into() }
        })
    }

    /// The effective configuration as TOML. Whatever is named like a secret is masked.
    pub fn show(&self) -> String {
        let mut table = toml::Table::try_from(self).unwrap_or_default();
        mask::mask(&mut table);
        toml::to_string(&table).unwrap_or_default()
    }

    /// The addresses of referrers, and the name of the destination that serves each.
    pub fn addresses(&self) -> Vec<(String, String)> {
        let of = |it: &Destination| -> Vec<_> {
            it.addresses.iter().map(|address| (address.clone(), it.name.clone())).collect()
        };
        self.destination.iter().flat_map(of).collect()
    }

    /// The destination of this name.
    pub fn destination_find(&self, name: &str) -> Option<&Destination> {
        self.destination.iter().find(|destination| destination.name == name)
    }
}

/// The folder that relative paths of a configuration file start from.
fn folder(path: &Path) -> PathBuf {
    let parent = path.parent().unwrap_or(Path::new(""));
    std::path::absolute(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
        .unwrap_or_else(|_| parent.to_path_buf())
}

#[cfg(test)]
mod tests;
