//! `onward store`: moving a store.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use super::{CallerFault, print, print_json, table};
use crate::app::opening::{Missing, postgres_options};
use crate::config::{Config, Environment};
use crate::store::postgres::copy::{Progress, from_sqlite};

/// `onward store …`
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Move everything from a SQLite file to an empty PostgreSQL database.
    ///
    /// Stop the gateway first; afterwards set store.url. What is copied is read back and compared before it counts.
    Copy(CopyArgs),
}

/// `onward store copy`
#[derive(Debug, Args)]
pub struct CopyArgs {
    /// The SQLite file
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// The database, without a password: postgres://onward@db.example.nhs.uk/onward
    #[arg(long, value_name = "URL")]
    to: String,
    /// File that holds the password of the database's user
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Authorities that the server's certificate is issued by; with it the connection is encrypted
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl StoreCommand {
    /// Runs it.
    pub fn run(&self, json: bool) -> anyhow::Result<i32> {
        let Self::Copy(args) = self;
        copy(args, json)
    }
}

fn copy(args: &CopyArgs, json: bool) -> anyhow::Result<i32> {
    let mut config = Config { environment: Environment::Production, ..Config::default() };
    config.store.url = Some(args.to.clone());
    config.store.password_file.clone_from(&args.password_file);
    config.store.ca.clone_from(&args.ca);
    let wrong: Vec<_> =
        config.check().into_iter().filter(|it| it.is_error() && it.setting.starts_with("store.")).collect();
    if let Some(wrong) = wrong.first() {
        return Err(CallerFault(wrong.to_string()).into());
    }
    let options = postgres_options(&config, Missing::Make)?;
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    bar.set_style(ProgressStyle::with_template("{spinner} {msg} {elapsed}")?);
    let copied = from_sqlite(&args.from, &options, &mut |progress| {
        let (doing, table, rows) = match progress {
            Progress::Copying { table, rows } => ("copied", table, rows),
            Progress::Verifying { table, rows } => ("compared", table, rows),
        };
        bar.set_message(format!("{table}: {rows} rows {doing}"));
        bar.tick();
    })?;
    bar.finish_and_clear();
    if json {
        print_json(&copied)?;
        return Ok(0);
    }
    let rows: Vec<_> =
        copied.iter().map(|it| vec![it.table.to_owned(), it.rows.to_string(), it.hash.clone()]).collect();
    print(&table::render(&["TABLE", "ROWS", "HASH"], &rows))?;
    Ok(0)
}
