//! `onward profiles add`: a checked package goes into the folder that a gateway loads, whole or not at all.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde_json::json;

use super::super::{CallerFault, print_json, say};
use super::{Sources, load};

/// What `onward profiles add` takes.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// The package: a .tgz, or a folder with a package.json
    pub package: PathBuf,
    /// The folder of packages
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// What it builds on, besides what is in the folder.
    #[command(flatten)]
    pub sources: Sources,
}

impl AddArgs {
    pub(super) fn run(&self, json: bool) -> anyhow::Result<i32> {
        let name = self.check()?;
        fs::create_dir_all(&self.dir).with_context(|| self.dir.display().to_string())?;
        let target = self.dir.join(&name);
        if target.exists() {
            return Err(CallerFault(format!("{} is there already", target.display())).into());
        }
        // A name that begins with a dot is not loaded, so nobody sees half a package.
        let half = self.dir.join(format!(".{name}.{}", std::process::id()));
        let copied = copy(&self.package, &half).and_then(|()| fs::rename(&half, &target));
        if let Err(error) = copied {
            // What is left over is hidden; the first error says more than a second one.
            let _ = if half.is_dir() { fs::remove_dir_all(&half) } else { fs::remove_file(&half) };
            return Err(error).with_context(|| target.display().to_string());
        }
        match json {
            true => print_json(&json!({"added": target}))?,
            false => say(&format!("added {}", target.display())),
        }
        Ok(0)
    }

    /// The package must load without errors, with what it builds on; answers the name to keep it under.
    fn check(&self) -> anyhow::Result<String> {
        let mut paths = self.sources.packages.clone();
        paths.extend(Some(self.dir.clone()).filter(|dir| dir.exists()));
        paths.push(self.package.clone());
        let packages = load(&paths)?;
        let last = packages.packages().last();
        let named = last.and_then(|it| Some((it.name.as_deref()?, it.version.as_deref()?)));
        let (name, version) = named.ok_or_else(|| CallerFault("the package has no name and version".into()))?;
        let plain = |text: &str| text.chars().all(|it| it.is_ascii_alphanumeric() || "._-@".contains(it));
        if !plain(name) || !plain(version) || name.starts_with('.') {
            return Err(CallerFault("the package's name or version is no file name".into()).into());
        }
        let suffix = if self.package.is_dir() { "" } else { ".tgz" };
        Ok(format!("{name}-{version}{suffix}"))
    }
}

/// Copies a file, or a folder with its JSON files; links are left out, as loading does.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let kind = fs::metadata(from)?;
    if kind.is_file() {
        fs::copy(from, to)?;
        return File::open(to)?.sync_all();
    }
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let is_json = entry.path().extension().is_some_and(|it| it.eq_ignore_ascii_case("json"));
        if kind.is_dir() || kind.is_file() && is_json {
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
