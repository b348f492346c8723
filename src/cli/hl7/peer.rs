//! Sending and receiving over MLLP, with or without TLS.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use rustls::pki_types::ServerName;

use super::{FilesArgs, lines, messages};
use crate::cli::{CallerFault, print, say};
use crate::hl7v2::ack::{Code, Received};
use crate::outbox::destination::{Peer, Tls};
use crate::outbox::mllp::send_all;
use crate::pas::simulator::{Answer, Options, Reaction, Simulator};
use crate::tls::{self, ReloadingClient};

/// What `onward hl7 send` takes.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// Host name or address, and port
    #[arg(long, value_name = "HOST:PORT")]
    pub to: String,
    /// Authorities that the other side's certificate is checked against, PEM; without it no TLS
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Certificate to show, PEM
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// The name that the other side's certificate must be for; else the host
    #[arg(long, value_name = "NAME")]
    pub server_name: Option<String>,
    /// Longest wait for an answer, in seconds
    #[arg(long, default_value_t = 30)]
    pub timeout: u64,
    /// Files with messages.
    #[command(flatten)]
    pub files: FilesArgs,
}

/// What `onward hl7 listen` takes.
#[derive(Debug, Args)]
pub struct ListenArgs {
    /// Address and port
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:2575")]
    pub listen: SocketAddr,
    /// Certificate chain, PEM; without it no TLS
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Authorities whose client certificates are required, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub client_ca: Option<PathBuf>,
    /// What to answer: AA, AE, AR, CA, CE or CR
    #[arg(long, default_value = "AA")]
    pub code: String,
    /// Stop after so many messages; without it when interrupted
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
}

pub(super) fn send(args: &SendArgs, json: bool) -> anyhow::Result<i32> {
    let messages = messages(&args.files)?;
    let peer = peer(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut refused = 0;
    let mut answers = Vec::new();
    let sent = runtime.block_on(send_all(&peer, &messages, |number, answer| {
        let code = Received::read(answer).and_then(|received| received.code);
        refused += i32::from(!code.is_some_and(Code::is_success));
        answers.push((number, code, lines(&String::from_utf8_lossy(answer))));
    }));
    for (number, code, text) in &answers {
        if json {
            let document = serde_json::json!({ "message": number + 1, "code": code.map(Code::as_str), "answer": text });
            print(&format!("{document}\n"))?;
        } else {
            print(text)?;
        }
    }
    sent.map_err(anyhow::Error::msg)?;
    Ok(i32::from(refused > 0))
}

fn peer(args: &SendArgs) -> anyhow::Result<Peer> {
    let wrong = || CallerFault(format!("{:?} is not HOST:PORT", args.to));
    let (host, port) = args.to.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    let host = host.trim_matches(['[', ']']);
    let peer = Peer { ack_timeout: Duration::from_secs(args.timeout), ..Peer::new(host, port) };
    let Some(ca) = &args.ca else { return Ok(peer) };
    tls::install_provider();
    let settings = tls::ClientTls { ca: ca.clone(), cert: args.cert.clone(), key: args.key.clone() };
    let client = ReloadingClient::load(settings, Timestamp::now())?;
    let name = args.server_name.clone().unwrap_or_else(|| host.to_owned());
    let server_name = ServerName::try_from(name).map_err(|error| CallerFault(error.to_string()))?;
    Ok(Peer { tls: Some(Tls { server_name, config: Arc::new(move || client.config()) }), ..peer })
}

pub(super) fn listen(args: &ListenArgs) -> anyhow::Result<i32> {
    let code = Code::parse(args.code.to_ascii_uppercase().as_bytes())
        .ok_or_else(|| CallerFault(format!("{:?} is no acknowledgement code", args.code)))?;
    let react = move |message: &crate::pas::simulator::ReceivedMessage| {
        // Whoever stopped reading does not hear of the message; its sender still gets an answer.
        let _ = print(&format!("{}\n", lines(&String::from_utf8_lossy(&message.body))));
        Reaction::answer(Answer::Code(code))
    };
    let options = Options { tls: server_tls(args)?, ..Options::reacting(react) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let simulator = Simulator::start(args.listen, options).await?;
        say(&format!("listening on {}", simulator.addr));
        let enough = async {
            while args.count.is_none_or(|count| simulator.counts().messages < count) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            // The last answer is on its way.
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        tokio::select! {
            () = enough => {}
            interrupted = tokio::signal::ctrl_c() => interrupted?,
        }
        simulator.stop().await;
        anyhow::Ok(())
    })?;
    Ok(0)
}

fn server_tls(args: &ListenArgs) -> anyhow::Result<Option<Arc<rustls::ServerConfig>>> {
    let Some((cert, key)) = args.cert.clone().zip(args.key.clone()) else { return Ok(None) };
    tls::install_provider();
    let required = args.client_ca.is_some();
    let client_auth = if required { tls::server::ClientAuth::Required } else { tls::server::ClientAuth::Off };
    let settings = tls::ServerTls { cert, key, client_ca: args.client_ca.clone(), client_auth, crl: None, host: None };
    let server = tls::ReloadingServer::load(settings, Timestamp::now())?;
    Ok(Some(Arc::new(server.config())))
}
