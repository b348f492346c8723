//! Can the database be written and read? The store's own word comes first; the file and the disk are looked at
//! besides, because a file that somebody deleted or replaced still takes writes, which nobody will ever read.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::booking::identifier::ServiceId;
use crate::store::Store;

/// With a commit more recent than this there is no need to try the disk.
const COMMIT_FRESH_MS: i128 = 5_000;
/// How long a trial that went well counts; one that failed is repeated at once.
const TRIAL_FRESH: Duration = Duration::from_secs(5);
/// One page: less might fit where a commit does not.
const TRIAL_BYTES: usize = 4_096;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Database {
    /// Which one.
    pub(super) name: &'static str,
    /// Why it cannot be relied on; `None`: it can.
    pub(super) failure: Option<String>,
    /// Since when that is so.
    pub(super) since: Timestamp,
    /// When a commit was last durable.
    pub(super) last_commit: Option<Timestamp>,
}

/// Looks at one database.
pub(super) struct Examiner {
    store: Arc<dyn Store>,
    file: Option<PathBuf>,
    identity: Option<(u64, u64)>,
    trial: Option<Instant>,
    last: Option<Database>,
}

impl Examiner {
    pub(super) fn new(store: Arc<dyn Store>, file: Option<PathBuf>) -> Self {
        let identity = file.as_deref().and_then(|file| identity(file).ok());
        Self { store, file, identity, trial: None, last: None }
    }

    /// Looks once.
    pub(super) fn examine(&mut self) -> Database {
        let health = self.store.health();
        let failure = health.failure.or_else(|| self.try_out(health.last_commit).err());
        let since = match &self.last {
            Some(last) if last.failure.is_some() == failure.is_some() => last.since,
            _ => Timestamp::now(),
        };
        let found = Database { name: health.database, failure, since, last_commit: health.last_commit };
        self.last = Some(found.clone());
        found
    }

    fn try_out(&mut self, last_commit: Option<Timestamp>) -> Result<(), String> {
        if let Some(file) = self.file.clone() {
            self.same_file(&file)?;
            self.try_disk(&file, last_commit)?;
        }
        let nobody = ServiceId("status-probe".into());
        self.store.service_find(&nobody).map(drop).map_err(|error| error.to_string())
    }

    fn try_disk(&mut self, file: &Path, last_commit: Option<Timestamp>) -> Result<(), String> {
        if is_fresh(last_commit) || self.trial.is_some_and(|at| at.elapsed() < TRIAL_FRESH) {
            return Ok(());
        }
        self.trial = None;
        write_trial(file).map_err(|error| format!("a trial write failed: {}", error.kind()))?;
        self.trial = Some(Instant::now());
        Ok(())
    }

    fn same_file(&self, file: &Path) -> Result<(), String> {
        let found = identity(file).map_err(|error| format!("the database file: {}", error.kind()))?;
        match self.identity {
            Some(first) if first != found => Err("the database file was replaced while it was open".into()),
            _ => Ok(()),
        }
    }
}

fn is_fresh(commit: Option<Timestamp>) -> bool {
    commit.is_some_and(|at| Timestamp::now().duration_since(at).as_millis() < COMMIT_FRESH_MS)
}

/// Device and inode: another file of the same name has others.
#[cfg(unix)]
fn identity(file: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(file).map(|found| (found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn identity(file: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(file).map(|_| (0, 0))
}

/// Writes a page beside the database, durably, and takes it away again.
fn write_trial(database: &Path) -> io::Result<()> {
    let mut name = database.as_os_str().to_owned();
    name.push(".trial");
    let path = PathBuf::from(name);
    let written = File::create(&path).and_then(|mut file| {
        file.write_all(&[0; TRIAL_BYTES])?;
        file.sync_all()
    });
    written.and(fs::remove_file(&path))
}
