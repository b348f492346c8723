//! `[validation]`: what messages are held to, and how strictly.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Config;
use crate::profile::policy::{Level, Mode, Policies, Which};

/// `[validation]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Validation {
    /// FHIR packages beside those that ship: `.tgz` files, and folders of one or more. What changes in them is taken up
    /// without a restart, once it has no error.
    pub packages: Vec<PathBuf>,
    /// `strict`, `bars` or `lenient`; a system may have its own.
    pub policy: Mode,
    /// Rules that differ from that, each `error`, `warning` or `off`: a code (`"ONW-2020"`), or a profile with an
    /// invariant or element after `#`; one that ends in `*` stands for all that begin so. They hold for all systems.
    pub rules: BTreeMap<String, Level>,
}

impl Config {
    /// How bad each finding is, for each system.
    pub fn policies(&self) -> Policies {
        let rows = || self.validation.rules.iter().filter_map(|(rule, level)| Some((Which::parse(rule)?, *level)));
        let policy = |mode: Mode| rows().fold(mode.policy(), |policy, (which, level)| policy.with(which, level));
        let own = self.system.iter().filter_map(|system| Some((system.id.clone(), policy(system.validation?))));
        Policies::new(policy(self.validation.policy), own.collect())
    }
}
