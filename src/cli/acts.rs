//! `onward acts`: who paused what, and who looked at the content of messages. Here is also what writes it down.

use clap::Args;
use jiff::Timestamp;

use super::messages::{person, refuse_blank};
use super::place::{Place, wait};
use super::{CallerFault, print, print_json, say, table};
use crate::config::Config;
use crate::store::act::{Act, Deed};
use crate::store::{Store, StoreError};

/// List who paused and resumed what, and who looked at the content of messages, newest first.
#[derive(Debug, Args)]
pub struct ActsArgs {
    /// At most so many
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
    /// Where the store is.
    #[command(flatten)]
    pub place: Place,
}

impl ActsArgs {
    /// Runs it; answers the exit code.
    pub fn run(&self, json: bool) -> anyhow::Result<i32> {
        let (_, store) = self.place.open_store()?;
        let acts = store.act_list(self.limit)?;
        if json {
            print_json(&acts)?;
        } else {
            print(&table::render(&["AT", "DEED", "OF", "WHO", "WHY"], &acts.iter().map(line).collect::<Vec<_>>()))?;
        }
        Ok(0)
    }
}

fn line(act: &Act) -> Vec<String> {
    let said = |text: &str| table::clean(text);
    vec![format!("{:.0}", act.at), act.deed.as_str().into(), said(&act.of), said(&act.who), said(&act.why)]
}

/// What `pause` and `resume` take, of channels and of destinations.
#[derive(Debug, Args)]
pub struct PauseArgs {
    /// Its name in the configuration
    pub name: String,
    /// Why, for whoever looks later; without patient data
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Where the store is.
    #[command(flatten)]
    pub place: Place,
}

/// Pauses or resumes what the configuration knows under this name.
pub(super) fn pause(args: &PauseArgs, deed: Deed, json: bool, known: fn(&Config, &str) -> bool) -> anyhow::Result<()> {
    refuse_blank(&args.reason)?;
    let (config, store) = args.place.open_store()?;
    if !known(&config, &args.name) {
        return Err(CallerFault(format!("there is no {:?} in the configuration", args.name)).into());
    }
    note(&*store, deed, &args.name, args.reason.trim())?;
    store.close();
    if json {
        return print_json(&serde_json::json!({ "deed": deed, "of": args.name }));
    }
    let paused = deed.pauses().is_some_and(|(_, paused)| paused);
    say(&format!(
        "{} is {}; a running gateway knows within seconds",
        args.name,
        if paused { "paused" } else { "resumed" }
    ));
    Ok(())
}

/// Writes down that somebody looks at what a message or letter says, before it is shown. Where that cannot be written
/// down nothing is shown.
pub(super) fn view(store: &dyn Store, deed: Deed, of: impl ToString) -> anyhow::Result<()> {
    note(store, deed, &of.to_string(), "")
}

fn note(store: &dyn Store, deed: Deed, of: &str, why: &str) -> anyhow::Result<()> {
    let act = Act { at: Timestamp::now(), deed, of: of.to_owned(), who: person(), why: why.to_owned() };
    wait(store.act(act)).map_err(|error| match error.downcast_ref() {
        Some(StoreError::Refused(why)) => CallerFault(format!("{of}: {why}")).into(),
        _ => error,
    })
}
