//! `onward match explain`: one pair, field by field.

use clap::Args;

use super::super::table::render;
use super::super::{CallerFault, print_json, say};
use super::InputArgs;
use super::read::Table;
use crate::reconcile::Grade;
use crate::reconcile::batch::{self, Task};
use crate::reconcile::decide::Matcher;
use crate::reconcile::explain::Explanation;

/// What `onward match explain` takes.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Where records come from.
    #[command(flatten)]
    pub input: InputArgs,
    /// The id of one record
    #[arg(value_name = "LEFT_ID")]
    pub left: String,
    /// The id of the other one
    #[arg(value_name = "RIGHT_ID")]
    pub right: String,
}

impl ExplainArgs {
    pub(super) fn run(&self, json: bool) -> anyhow::Result<i32> {
        let weights = self.input.weights()?;
        let mut table = self.input.table()?;
        let (left, right) = self.places(&table)?;
        let year = self.input.year();
        let task = Task { weights: &weights, year, second_file: table.second_file, all: true };
        let outcome = batch::run(&mut table.records, &mut table.lexicon, &task, &|_, _| {});
        let matcher = Matcher { lexicon: &table.lexicon, weights: &weights, year };
        let judged = matcher.judge(&table.records[left], &table.records[right]);
        let both = (left.min(right) as u32, left.max(right) as u32);
        let found = outcome.pairs.iter().find(|pair| (pair.left, pair.right) == both);
        // A pair that shares no key is of no grade, whatever its fields say.
        let (grade, rule) = found.map_or((Grade::None, judged.rule), |pair| (pair.grade, pair.rule));
        let explanation = Explanation::new(&judged, grade, rule);
        if json {
            print_json(&explanation)?;
            return Ok(0);
        }
        let rows: Vec<Vec<String>> = explanation
            .reasons
            .iter()
            .map(|reason| vec![reason.field.to_owned(), reason.level.to_owned(), format!("{:+.1}", reason.bits)])
            .collect();
        print!("{}", render(&["FIELD", "COMPARES", "BITS"], &rows));
        say(&format!("{}: {} ({:+.1} bits)", grade.as_str(), explanation.rule, explanation.score));
        Ok(0)
    }

    fn places(&self, table: &Table) -> Result<(usize, usize), CallerFault> {
        let border = table.second_file.unwrap_or(0);
        let find = |id: &str, from: usize| {
            let found = (from..table.records.len()).find(|at| table.ids.get(*at) == id);
            found.ok_or_else(|| CallerFault(format!("there is no record with the id {id}")))
        };
        Ok((find(&self.left, 0)?, find(&self.right, border)?))
    }
}
