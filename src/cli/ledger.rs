//! `onward ledger`: where every message stands that ever came in, and which do not.

use clap::Args;
use serde_json::json;

use super::matching::spinner;
use super::place::Place;
use super::{print, print_json, say, table};
use crate::store::ledger::{self, Ledger, Standing};

/// What `onward ledger` takes.
#[derive(Debug, Args)]
pub struct LedgerArgs {
    /// Where the store is.
    #[command(flatten)]
    pub place: Place,
}

impl LedgerArgs {
    /// Runs it; answers the exit code: 1 where a message is in no state or in more than one, or gone.
    pub fn run(&self, json: bool) -> anyhow::Result<i32> {
        let (_, store) = self.place.open_store()?;
        let bar = spinner();
        let ledger = ledger::audit(&*store, |messages| bar.set_message(format!("{messages} messages looked at")))?;
        bar.finish_and_clear();
        store.close();
        if json {
            print_json(&document(&ledger)?)?;
        } else {
            print(&text(&ledger))?;
            say(&ledger.to_string());
        }
        Ok(i32::from(!ledger.is_balanced()))
    }
}

fn document(ledger: &Ledger) -> anyhow::Result<serde_json::Value> {
    let mut document = serde_json::to_value(ledger)?;
    document["balanced"] = json!(ledger.is_balanced());
    document["sum"] = json!(ledger.to_string());
    Ok(document)
}

fn text(ledger: &Ledger) -> String {
    let line = |standing: Standing| {
        let oldest = ledger.states.get(&standing).and_then(|count| count.oldest);
        vec![
            standing.as_str().to_owned(),
            ledger.count(standing).to_string(),
            oldest.map(|at| format!("{at:.0}")).unwrap_or_default(),
            standing.meaning().to_owned(),
        ]
    };
    let states = table::render(&["STATE", "MESSAGES", "OLDEST", "MEANING"], &Standing::ALL.map(line));
    if ledger.is_balanced() {
        return states;
    }
    let flaws = ledger.flaws.iter().map(|it| vec!["message".into(), it.message.to_string(), name(it.flaw)]);
    let astray = ledger.letters.iter().map(|it| vec!["letter".into(), it.to_string(), "no-message".into()]);
    let wrong: Vec<_> = flaws.chain(astray).collect();
    format!("{states}\n{}", table::render(&["WHAT", "ID", "FLAW"], &wrong))
}

/// As in the JSON.
fn name(flaw: ledger::Flaw) -> String {
    serde_json::to_value(flaw).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}
