//! `onward hl7`: for whoever connects a hospital's system. Read, explain, acknowledge, send, receive and convert
//! messages; nothing of it needs a running gateway.

mod convert;
pub mod notice;
mod peer;
mod show;

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::{CallerFault, print, print_json};
use crate::hl7v2::ack::{Code, Reply};
use crate::hl7v2::batch;
use crate::hl7v2::frame::{self, Mllp};
use crate::hl7v2::header::Header;
use crate::pas::inbound::dialect::Dialect;

/// Read, explain, send, receive and convert HL7 v2 messages.
#[derive(Debug, Subcommand)]
pub enum Hl7Command {
    /// Print messages as JSON: segments, fields, repetitions, components.
    Parse(FilesArgs),
    /// Say segment by segment what messages mean and what this gateway would do with them.
    Explain(ExplainArgs),
    /// Print the acknowledgement of a message.
    Ack(AckArgs),
    /// Send messages over MLLP and print the answers.
    Send(peer::SendArgs),
    /// Take messages over MLLP, print them and answer.
    Listen(peer::ListenArgs),
    /// Make FHIR of HL7 v2, or HL7 v2 of FHIR.
    Convert(convert::ConvertArgs),
}

/// What `onward hl7 parse` takes.
#[derive(Debug, Args)]
pub struct FilesArgs {
    /// Files with messages, one, a batch or frames in each; - for standard input
    #[arg(required = true, value_name = "FILE|-")]
    pub files: Vec<PathBuf>,
}

/// What `onward hl7 explain` takes.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// How the sender differs.
    #[command(flatten)]
    pub dialect: DialectArgs,
    /// Files with messages.
    #[command(flatten)]
    pub files: FilesArgs,
}

/// How a sender's messages are read.
#[derive(Debug, Args)]
pub struct DialectArgs {
    /// A shipped dialect: itk, medway, system-c, lorenzo, cerner, epic or drdoctor
    #[arg(long, default_value = "itk")]
    pub dialect: String,
    /// Settings of the channel, as in [mllp.channel]: a TOML file
    #[arg(long, value_name = "FILE", conflicts_with = "dialect")]
    pub channel: Option<PathBuf>,
    /// Read as production does: live NHS numbers, MSH-11 P
    #[arg(long)]
    pub production: bool,
}

/// What `onward hl7 ack` takes.
#[derive(Debug, Args)]
pub struct AckArgs {
    /// AA, AE, AR, CA, CE or CR
    #[arg(long, default_value = "AA")]
    pub code: String,
    /// The message; - for standard input
    #[arg(value_name = "FILE|-")]
    pub file: PathBuf,
}

impl Hl7Command {
    /// Runs it; answers the exit code.
    pub fn run(&self, json: bool) -> anyhow::Result<i32> {
        match self {
            Self::Parse(args) => show::parse(args),
            Self::Explain(args) => show::explain(args, json),
            Self::Ack(args) => ack(args),
            Self::Send(args) => peer::send(args, json),
            Self::Listen(args) => peer::listen(args),
            Self::Convert(args) => convert::run(args),
        }
    }
}

impl DialectArgs {
    fn read(&self) -> anyhow::Result<Dialect> {
        let fault = |error: &dyn std::fmt::Display| CallerFault(error.to_string());
        let Some(file) = &self.channel else {
            return Dialect::shipped(&self.dialect).map_err(|error| fault(&error).into());
        };
        let table: toml::Table = std::fs::read_to_string(file)?.parse().map_err(|error| fault(&error))?;
        Dialect::read(&table).map_err(|error| fault(&error).into())
    }
}

fn ack(args: &AckArgs) -> anyhow::Result<i32> {
    let code = Code::parse(args.code.to_ascii_uppercase().as_bytes())
        .ok_or_else(|| CallerFault(format!("{:?} is no acknowledgement code", args.code)))?;
    let bytes = input(&args.file)?;
    let id = uuid::Uuid::now_v7().simple().to_string();
    let at = jiff::Timestamp::now().strftime("%Y%m%d%H%M%S+0000").to_string();
    let reply = Reply { code, control_id: &id[12..], at: &at, text: "", problems: &[], version: "2.4" };
    print(&lines(&String::from_utf8_lossy(&reply.render(&Header::read(&bytes)))))?;
    Ok(0)
}

/// A message with its segments on lines of their own.
fn lines(message: &str) -> String {
    format!("{}\n", message.replace("\r\n", "\n").replace('\r', "\n").trim_end())
}

fn input(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut bytes)?;
    } else {
        bytes = std::fs::read(file).map_err(|error| CallerFault(format!("{}: {error}", file.display())))?;
    }
    Ok(bytes)
}

/// All messages of the files, in order: framed, in batches, or one in a file.
fn messages(args: &FilesArgs) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    for file in &args.files {
        for frame in frames(input(file)?) {
            match batch::read(&frame).filter(|batch| !batch.messages.is_empty()) {
                Some(batch) => found.extend(batch.messages.iter().map(|message| message.to_vec())),
                None => found.push(frame),
            }
        }
    }
    Ok(found)
}

fn frames(bytes: Vec<u8>) -> Vec<Vec<u8>> {
    if !bytes.starts_with(b"\x0b") {
        return vec![bytes];
    }
    let mut codec = Mllp::new(frame::Limits::default());
    let mut buffer = bytes::BytesMut::from(bytes.as_slice());
    let mut found = Vec::new();
    while let Ok(Some(frame)) = tokio_util::codec::Decoder::decode(&mut codec, &mut buffer) {
        found.push(frame.to_vec());
    }
    found
}

/// One document for each message, in a list.
fn print_list(list: &[serde_json::Value]) -> anyhow::Result<()> {
    print_json(&list)
}
