//! What a person decides about messages in quarantine. Every decision is a row of the journal with its reason.

use clap::Args;
use uuid::Uuid;

use super::super::place::{Place, wait};
use super::super::{CallerFault, print, print_json, say};
use crate::app;
use crate::config::Config;
use crate::intake::hl7::{Feed, prepare, skip as skipped};
use crate::store::{Settled, Settles, Store, StoreError, Verdict};

/// What `onward messages replay` and `onward messages skip` take.
#[derive(Debug, Args)]
pub struct DecideArgs {
    /// The messages' ids
    #[arg(required = true)]
    pub ids: Vec<Uuid>,
    /// Why, for whoever looks later
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Where the store is.
    #[command(flatten)]
    pub place: Place,
}

/// What `onward messages reroute` takes.
#[derive(Debug, Args)]
pub struct RerouteArgs {
    /// The channel whose messages they are
    #[arg(long, value_name = "NAME")]
    pub channel: String,
    /// Which, and why.
    #[command(flatten)]
    pub decide: DecideArgs,
}

/// The bytes as they came are read again by the settings of the channel that they came by.
pub(super) fn replay(args: &DecideArgs, json: bool) -> anyhow::Result<i32> {
    again(args, None, json)
}

/// The same by another channel's.
pub(super) fn reroute(args: &RerouteArgs, json: bool) -> anyhow::Result<i32> {
    again(&args.decide, Some(&args.channel), json)
}

fn again(args: &DecideArgs, channel: Option<&str>, json: bool) -> anyhow::Result<i32> {
    refuse_blank(&args.reason)?;
    let (config, store) = args.place.open_store()?;
    let mut said = Vec::new();
    for id in &args.ids {
        let state = again_one(&config, &*store, *id, channel, &args.reason)?;
        said.push((*id, state));
    }
    show(&said, json)
}

fn again_one(
    config: &Config,
    store: &dyn Store,
    id: Uuid,
    channel: Option<&str>,
    reason: &str,
) -> anyhow::Result<&'static str> {
    let (row, body, _) = store.message_show(id)?.ok_or_else(|| CallerFault(format!("there is no message {id}")))?;
    let feed = feed(config, channel.unwrap_or(&row.caller))?;
    let as_what = if channel.is_some() { Settled::Rerouted } else { Settled::Replayed };
    let prepared = prepare(&feed, body, config.environment.is_sandbox(), Some(settles(id, as_what, reason)));
    Ok(match settled(id, wait(store.submit(prepared.message, prepared.work)))? {
        Verdict::Accepted { decision, .. } => decision.effect.as_str(),
        Verdict::Refused { .. } | Verdict::Duplicate { .. } | Verdict::Repeated { .. } => "quarantined",
    })
}

/// The message stays as it came and is never applied.
pub(super) fn skip(args: &DecideArgs, json: bool) -> anyhow::Result<i32> {
    refuse_blank(&args.reason)?;
    let (_, store) = args.place.open_store()?;
    let mut said = Vec::new();
    for id in &args.ids {
        let (message, work) = skipped(settles(*id, Settled::Skipped, &args.reason));
        settled(*id, wait(store.submit(message, work)))?;
        said.push((*id, "skipped"));
    }
    show(&said, json)
}

fn settled(id: Uuid, verdict: anyhow::Result<Verdict>) -> anyhow::Result<Verdict> {
    verdict.map_err(|error| match error.downcast_ref() {
        Some(StoreError::Refused(why)) => CallerFault(format!("{id}: {why}")).into(),
        _ => error,
    })
}

fn feed(config: &Config, name: &str) -> anyhow::Result<Feed> {
    let channel = config.mllp.iter().find(|channel| channel.name == name);
    let channel = channel.ok_or_else(|| CallerFault(format!("there is no channel {name:?} in the configuration")))?;
    Ok(app::feed(channel, config)?)
}

/// A decision without a reason helps nobody.
pub(crate) fn refuse_blank(reason: &str) -> Result<(), CallerFault> {
    let blank = || CallerFault("--reason must say why".to_owned());
    (!reason.trim().is_empty()).then_some(()).ok_or_else(blank)
}

/// A decision, signed as far as this machine knows who takes it.
fn settles(message: Uuid, as_what: Settled, reason: &str) -> Settles {
    Settles { message, as_what, who: person(), why: reason.trim().to_owned() }
}

/// Who decides, as far as this machine knows.
pub(crate) fn person() -> String {
    ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok()).unwrap_or_else(|| "somebody".to_owned())
}

fn show(said: &[(Uuid, &'static str)], json: bool) -> anyhow::Result<i32> {
    let kept = said.iter().any(|(_, state)| *state == "quarantined");
    if json {
        let rows: Vec<_> =
            said.iter().map(|(id, state)| serde_json::json!({ "message": id, "state": state })).collect();
        print_json(&rows)?;
    } else {
        print(&said.iter().map(|(id, state)| format!("{id} {state}\n")).collect::<String>())?;
    }
    if kept {
        say("still in quarantine, as a new message: see `onward messages feed list`");
    }
    Ok(i32::from(kept))
}
