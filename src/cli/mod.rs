//! The command line: one file per subcommand.
//!
//! What a command finds goes to standard output, what it says goes to standard error. With `--json` the
//! output is one JSON document; a list is an array. The exit code says whose move is next: 0 done, 1 the
//! caller's (a wrong argument, file or setting, or a finding), 2 ours or the operator's (the database, the
//! network, a fault of this program). A reader that has read enough, such as `head`, is no failure.

pub mod acts;
pub mod completions;
pub mod config;
pub mod demo;
pub mod diaries;
pub mod doctor;
pub mod hl7;
pub mod import;
pub mod ledger;
pub mod load;
pub mod man;
pub mod matching;
pub mod messages;
pub mod outbox;
pub mod patients;
pub mod place;
pub mod profiles;
pub mod serve;
pub mod slots;
pub mod soak;
pub mod store;
mod table;
pub mod tls;
pub mod validate;
pub mod worklist;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::app::AppError;
use crate::config::ConfigError;
use crate::store::StoreError;

/// A referral gateway: FHIR R4 and BaRS on one side, hospital PAS (HL7 v2) on the other.
#[derive(Debug, Parser)]
#[command(name = "onward", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    /// Print one JSON document instead of text.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a small world on this machine: a gateway, a hospital, a referral and a booking.
    Demo(demo::DemoArgs),
    /// Look at everything that a gateway needs, and say whose move it is.
    Doctor(doctor::DoctorArgs),
    /// Run the gateway until it is told to stop.
    Serve(serve::ServeArgs),
    /// Check or show the configuration.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Make development certificates, or say why a handshake would fail.
    #[command(subcommand)]
    Tls(tls::TlsCommand),
    /// Look at profiles, check packages of them, and bring packages in.
    #[command(subcommand)]
    Profiles(profiles::ProfilesCommand),
    /// Bring a diary in.
    #[command(subcommand)]
    Slots(slots::SlotsCommand),
    /// Look at what is to be delivered, and decide about what is stuck.
    #[command(subcommand)]
    Outbox(outbox::OutboxCommand),
    /// List who paused and resumed what, and who looked at the content of messages, newest first.
    Acts(acts::ActsArgs),
    /// Look at what came in and what became of it.
    #[command(subcommand)]
    Messages(messages::MessagesCommand),
    /// Read, explain, send, receive and convert HL7 v2 messages.
    #[command(subcommand)]
    Hl7(hl7::Hl7Command),
    /// Check resources against FHIR R4 and profiles.
    Validate(validate::ValidateArgs),
    /// Look for faults of the program itself, for as long as you like.
    Soak(soak::SoakArgs),
    /// Put a gateway on this machine under load, and measure it.
    Load(load::LoadCommand),
    /// Bring records in.
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Compare what is held here with what others hold.
    #[command(subcommand)]
    Reconcile(diaries::ReconcileCommand),
    /// Look at what a person has to decide about records, and decide it.
    #[command(subcommand)]
    Worklist(worklist::WorklistCommand),
    /// Look at people and their records; link records and part them.
    #[command(subcommand)]
    Patients(patients::PatientsCommand),
    /// Find out who is who in a file of patients, or between two.
    Match(matching::MatchArgs),
    /// Prove that every message that came in is in exactly one state.
    Ledger(ledger::LedgerArgs),
    /// Move everything from one database to another.
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Print a completion script for a shell.
    Completions(completions::CompletionsArgs),
    /// Print the manual page, or write all of them.
    Man(man::ManArgs),
}

/// The caller asked for something that cannot be done as it was asked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CallerFault(pub String);

/// Runs a command line; `args` begins with the program's name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let code = match Cli::try_parse_from(args) {
        Ok(cli) => report(cli.run()),
        Err(error) => report_usage(&error),
    };
    ExitCode::from(u8::try_from(code).unwrap_or(2))
}

impl Cli {
    /// Runs it; answers the exit code.
    pub fn run(&self) -> anyhow::Result<i32> {
        match &self.command {
            Command::Demo(args) => args.run(self.json),
            Command::Tls(command) => command.run(self.json),
            Command::Serve(args) => args.run(self.json),
            Command::Config(command) => command.run(self.json),
            Command::Profiles(command) => command.run(self.json),
            Command::Slots(command) => command.run(self.json),
            Command::Outbox(command) => command.run(self.json),
            Command::Acts(args) => args.run(self.json),
            Command::Messages(command) => command.run(self.json),
            Command::Hl7(command) => command.run(self.json),
            Command::Load(command) => command.run(self.json),
            Command::Validate(args) => args.run(self.json),
            Command::Import(command) => command.run(self.json),
            Command::Reconcile(command) => command.run(self.json),
            Command::Worklist(command) => command.run(self.json),
            Command::Patients(command) => command.run(self.json),
            Command::Match(args) => args.run(self.json),
            Command::Completions(args) => args.run(),
            Command::Soak(args) => args.run(self.json),
            Command::Doctor(args) => args.run(self.json),
            Command::Ledger(args) => args.run(self.json),
            Command::Store(command) => command.run(self.json),
            Command::Man(args) => args.run(),
        }
    }
}

/// The whole command line, for completions and manual pages.
pub(crate) fn command() -> clap::Command {
    Cli::command()
}

/// Help and the version are answers, everything else is the caller's mistake.
fn report_usage(error: &clap::Error) -> i32 {
    // Nobody is left to be told where this fails.
    let _ = error.print();
    i32::from(error.use_stderr())
}

fn report(outcome: anyhow::Result<i32>) -> i32 {
    outcome.unwrap_or_else(|error| {
        let code = exit_code(&error);
        if code != 0 {
            let _ = writeln!(io::stderr(), "onward: {error:#}");
        }
        code
    })
}

fn exit_code(error: &anyhow::Error) -> i32 {
    let refused_settings = matches!(error.downcast_ref(), Some(AppError::Config(_) | AppError::Tls { .. }));
    let is_callers = error.is::<CallerFault>() || error.is::<ConfigError>() || refused_settings;
    match error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()) {
        Some(cause) if cause.kind() == io::ErrorKind::BrokenPipe => 0,
        _ if is_callers || matches!(error.downcast_ref(), Some(StoreError::Refused(_))) => 1,
        _ => 2,
    }
}

/// Prints one JSON document.
pub(crate) fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// Prints text; whoever stopped reading is told apart by [`exit_code`].
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    print_bytes(text.as_bytes())
}

/// Prints bytes as they are.
pub(crate) fn print_bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    Ok(out.flush()?)
}

/// Says something beside the data.
pub(crate) fn say(text: &str) {
    // Where standard error is closed, nobody wants to hear it.
    let _ = writeln!(io::stderr(), "{text}");
}
