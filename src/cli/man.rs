//! `onward man`: manual pages, made from the same words as `--help`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

/// What `onward man` takes.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write a page for each subcommand into this folder, instead of printing the main one
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

impl ManArgs {
    /// Prints or writes the pages.
    pub fn run(&self) -> anyhow::Result<i32> {
        match &self.dir {
            Some(dir) => {
                std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
                clap_mangen::generate_to(super::command(), dir).with_context(|| dir.display().to_string())?;
            }
            None => {
                let mut page = Vec::new();
                clap_mangen::Man::new(super::command()).render(&mut page)?;
                super::print_bytes(&page)?;
            }
        }
        Ok(0)
    }
}
