//! `onward config`: is the configuration right, and what is in force?

use clap::Subcommand;
use serde_json::json;

use super::place::Place;
use super::{CallerFault, print, print_json, say};
use crate::config::{Config, Finding};
use crate::issue::Severity;

/// Check or show the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say everything that is wrong; exit code 1 where the gateway would not start.
    Check(Place),
    /// Show what is in force, defaults and environment included; secrets are masked.
    Show(Place),
}

impl ConfigCommand {
    /// Runs it; answers the exit code.
    pub fn run(&self, json: bool) -> anyhow::Result<i32> {
        match self {
            Self::Check(place) => check(&place.load()?, json),
            Self::Show(place) => show(&place.load()?, json),
        }
    }
}

fn check(config: &Config, json: bool) -> anyhow::Result<i32> {
    let findings = config.check();
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    if json {
        print_json(&findings.iter().map(finding_json).collect::<Vec<_>>())?;
    } else {
        print(&findings.iter().map(|finding| format!("{finding}\n")).collect::<String>())?;
        say(&format!("{errors} errors, {} warnings", findings.len() - errors));
    }
    Ok(i32::from(errors != 0))
}

fn finding_json(finding: &Finding) -> serde_json::Value {
    let severity = if finding.severity == Severity::Error { "error" } else { "warning" };
    json!({ "severity": severity, "setting": finding.setting, "text": finding.text })
}

fn show(config: &Config, json: bool) -> anyhow::Result<i32> {
    let text = config.show();
    if json {
        print_json(&text.parse::<toml::Table>()?)?;
    } else {
        print(&text)?;
    }
    Ok(0)
}

/// Says what is wrong; refuses where the gateway must not start with it.
pub(super) fn refuse_errors(config: &Config) -> Result<(), CallerFault> {
    let findings = config.check();
    findings.iter().for_each(|finding| say(&finding.to_string()));
    match findings.iter().any(|finding| finding.severity == Severity::Error) {
        true => Err(CallerFault("the configuration has errors".into())),
        false => Ok(()),
    }
}
