//! Opening the store that the configuration names: a file, or a database that several gateways share.

use std::sync::Arc;

use jiff::Timestamp;
use secrecy::SecretString;

use crate::booking::decide::decide;
use crate::booking::decision::Rules;
use crate::config::Config;
use crate::reconcile::weight::Weights;
use crate::store::postgres::{self, PostgresStore};
use crate::store::sqlite::{self, SqliteStore};
use crate::store::{Store, StoreError};
use crate::tls;

/// Whether a store may be made where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It is made.
    Make,
    /// It is a mistake.
    Refuse,
}

/// Opens the store of this configuration. Others may have it open as well.
pub fn open_store(config: &Config, missing: Missing) -> Result<Arc<dyn Store>, StoreError> {
    open(config, missing, sqlite::Options { queue_len: config.store.queue_max, ..sqlite::Options::default() })
}

/// Opens it, or makes it, for millions of records at once: what matters is when all are there, not when each is.
pub fn open_store_for_import(config: &Config) -> Result<Arc<dyn Store>, StoreError> {
    open(config, Missing::Make, sqlite::Options::for_import())
}

fn open(config: &Config, missing: Missing, usual: sqlite::Options) -> Result<Arc<dyn Store>, StoreError> {
    let rules = rules(config);
    if config.store.url.is_some() {
        let options = postgres::Options { queue_len: usual.queue_len, ..postgres_options(config, missing)? };
        return Ok(PostgresStore::open(&options, decide)?);
    }
    if missing == Missing::Refuse && !config.store.path.is_file() {
        return Err(StoreError::Refused("there is no database: has this gateway run yet?"));
    }
    let options = sqlite::Options { rules, weights: weights(config)?, ..usual };
    Ok(SqliteStore::open(&config.store.path, options, decide)?)
}

fn rules(config: &Config) -> Rules {
    Rules {
        sandbox: config.environment.is_sandbox(),
        unproven_per_hour: config.index.unproven_limit(config.environment),
    }
}

/// How people are compared.
fn weights(config: &Config) -> Result<Arc<Weights>, StoreError> {
    const SETTING: &str = "index.weights";
    let Some(path) = &config.index.weights else { return Ok(Arc::default()) };
    let text = std::fs::read_to_string(path).map_err(|error| failed(SETTING, &error))?;
    Weights::from_toml(&text).map(Arc::new).map_err(|error| failed(SETTING, &error))
}

/// How the database of this configuration is opened; its password is read from its file.
pub fn postgres_options(config: &Config, missing: Missing) -> Result<postgres::Options, StoreError> {
    let store = &config.store;
    let url = store.url.as_deref().ok_or(StoreError::Refused("store.url is not set"))?;
    let password = store.password_file.as_deref().map(std::fs::read_to_string).transpose();
    let password = password.map_err(|error| failed("store.password_file", &error))?;
    let trust = |ca: &std::path::PathBuf| {
        let settings = tls::ClientTls { ca: ca.clone(), cert: None, key: None };
        tls::client::client_config(&settings, Timestamp::now()).map_err(|error| failed("store.ca", &error))
    };
    Ok(postgres::Options {
        password: password.map(|text| SecretString::from(text.trim_end_matches(['\r', '\n']))),
        tls: store.ca.as_ref().map(trust).transpose()?,
        rules: rules(config),
        weights: weights(config)?,
        writers: store.writers,
        queue_len: store.queue_max,
        must_exist: missing == Missing::Refuse,
        ..postgres::Options::new(url)
    })
}

fn failed(what: &str, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Database(format!("{what}: {why}").into())
}
