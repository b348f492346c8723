//! `onward match`: who is who in a file of patients, or between two.

pub(super) mod columns;
mod explain;
mod read;
mod train;
mod write;

pub(super) use read::spinner;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::json;

use super::{CallerFault, print_json, say};
use crate::reconcile::Grade;
use crate::reconcile::batch::{self, Outcome, Step, Task};
use crate::reconcile::block;
use crate::reconcile::weight::Weights;
use columns::Columns;
use read::Table;

/// What `onward match` takes.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct MatchArgs {
    /// Something else than finding pairs.
    #[command(subcommand)]
    pub command: Option<MatchCommand>,
    /// What to match.
    #[command(flatten)]
    pub run: RunArgs,
}

/// What stands beside finding pairs.
#[derive(Debug, Subcommand)]
pub enum MatchCommand {
    /// Estimate weights from a file, and print them so that they can be read and changed.
    Train(train::TrainArgs),
    /// Say field by field why two records are, or are not, one person.
    Explain(explain::ExplainArgs),
}

/// Where records come from.
#[derive(Debug, Args)]
pub struct InputArgs {
    /// A CSV file of patients, with a heading; - for standard input
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// A second file: look for pairs between the two only
    #[arg(long, value_name = "FILE")]
    pub with: Option<PathBuf>,
    /// Weights as `onward match train` prints them
    #[arg(long, value_name = "TOML")]
    pub weights: Option<PathBuf>,
    /// The columns of the file, as `family_name = "surname"` in TOML
    #[arg(long, value_name = "TOML")]
    pub fields: Option<PathBuf>,
    /// The column of a field: family_name=surname; several columns are joined by +; may be given more than once
    #[arg(long, value_name = "FIELD=COLUMN", value_delimiter = ',')]
    pub map: Vec<String>,
    /// The year that tells children from adults; otherwise the present one
    #[arg(long, value_name = "YEAR")]
    pub year: Option<u32>,
}

/// What finding pairs takes.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Where records come from.
    #[command(flatten)]
    pub input: InputArgs,
    /// Where the pairs go: left_id,right_id,score,grade,reasons; - for standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Where the persons go: id,person
    #[arg(long, value_name = "FILE")]
    pub persons: Option<PathBuf>,
    /// Write the pairs that were compared and are of grade none too
    #[arg(long)]
    pub all: bool,
}

impl MatchArgs {
    /// Runs it; answers the exit code.
    pub fn run(&self, json: bool) -> anyhow::Result<i32> {
        match &self.command {
            Some(MatchCommand::Train(args)) => args.run(),
            Some(MatchCommand::Explain(args)) => args.run(json),
            None => self.run.run(json),
        }
    }
}

impl InputArgs {
    fn columns(&self) -> anyhow::Result<Columns> {
        Columns::new(self.fields.as_deref(), &self.map)
    }

    fn weights(&self) -> anyhow::Result<Weights> {
        self.weights.as_deref().map_or_else(|| Ok(Weights::default()), read_weights)
    }

    fn year(&self) -> u32 {
        self.year.unwrap_or_else(|| u32::try_from(jiff::Zoned::now().year()).unwrap_or(2000))
    }

    fn table(&self) -> anyhow::Result<Table> {
        let columns = self.columns()?;
        let input =
            self.input.as_ref().ok_or_else(|| CallerFault("--input is needed: a CSV file of patients".into()))?;
        let mut table = Table::default();
        table.read(input, &columns)?;
        if let Some(second) = &self.with {
            table.second_file = Some(table.records.len());
            table.read(second, &columns)?;
        }
        table.refuse_double_ids()?;
        table.skipped.tell();
        Ok(table)
    }
}

fn read_weights(path: &Path) -> anyhow::Result<Weights> {
    let fault = |text: String| CallerFault(format!("{}: {text}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
    Ok(Weights::from_toml(&text).map_err(|error| fault(error.to_string()))?)
}

impl RunArgs {
    fn run(&self, json: bool) -> anyhow::Result<i32> {
        let output =
            self.output.as_ref().ok_or_else(|| CallerFault("--output is needed: where the pairs go".into()))?;
        let begin = Instant::now();
        let weights = self.input.weights()?;
        let mut table = self.input.table()?;
        let read_in = begin.elapsed();
        let year = self.input.year();
        let task = Task { weights: &weights, year, second_file: table.second_file, all: self.all };
        let bar = spinner();
        let begun = RefCell::new(Vec::new());
        let told = |step: Step, count: usize| {
            begun.borrow_mut().push((step, begin.elapsed().as_secs_f32()));
            bar.set_message(format!("{count} {}", step_name(step)));
        };
        let outcome = batch::run(&mut table.records, &mut table.lexicon, &task, &told);
        let ended = begin.elapsed();
        bar.set_message("writing");
        write::pairs(output, &table, &outcome, &task)?;
        if let Some(path) = &self.persons {
            write::persons(path, &table, &outcome).with_context(|| path.display().to_string())?;
        }
        bar.finish_and_clear();
        let counts = Counts::of(&table, &outcome);
        counts.tell(&outcome, json)?;
        let steps: Vec<String> = begun.borrow().iter().map(|(step, at)| format!("{step:?} from {at:.1} s")).collect();
        let all = begin.elapsed().as_secs_f32();
        say(&format!(
            "read in {:.1} s; {}; written from {:.1} s; all in {all:.1} s",
            read_in.as_secs_f32(),
            steps.join(", "),
            ended.as_secs_f32()
        ));
        Ok(0)
    }
}

fn step_name(step: Step) -> &'static str {
    match step {
        Step::Block => "records: finding pairs to compare",
        Step::Compare => "pairs: comparing",
        Step::Rivals => "pairs: looking for rivals",
        Step::Persons => "pairs: making persons",
    }
}

/// What came of it.
struct Counts {
    records: usize,
    persons: usize,
    grades: [usize; 3],
    in_queue: usize,
    skipped: usize,
}

const GRADES: [Grade; 3] = [Grade::Certain, Grade::Probable, Grade::Possible];

impl Counts {
    fn of(table: &Table, outcome: &Outcome) -> Self {
        let persons = outcome.persons.iter().zip(0..).filter(|(person, at)| *person == at).count();
        let of_grade = |grade| outcome.pairs.iter().filter(move |pair| pair.grade == grade);
        let mut queue = vec![false; table.records.len()];
        for pair in of_grade(Grade::Probable) {
            queue[pair.left as usize] = true;
            queue[pair.right as usize] = true;
        }
        Self {
            records: table.records.len(),
            persons,
            grades: GRADES.map(|grade| of_grade(grade).count()),
            in_queue: queue.into_iter().filter(|it| *it).count(),
            skipped: table.skipped.records,
        }
    }

    fn tell(&self, outcome: &Outcome, json: bool) -> anyhow::Result<()> {
        let crowded: Vec<_> = block::NAMES.iter().zip(outcome.crowded).filter(|(_, count)| *count != 0).collect();
        for (name, count) in &crowded {
            say(&format!(
                "note: {count} records share {name} with too many others; each was compared with its nearest only"
            ));
        }
        if outcome.shared != 0 {
            say(&format!(
                "note: {} telephone numbers, e-mail addresses and homes are so many records' that they tell nothing",
                outcome.shared
            ));
        }
        if json {
            let [certain, probable, possible] = self.grades;
            return print_json(&json!({
                "records": self.records, "persons": self.persons, "certain": certain, "probable": probable,
                "possible": possible, "records_in_queue": self.in_queue, "compared": outcome.compared,
                "skipped": self.skipped,
            }));
        }
        let share = 100.0 * self.in_queue as f64 / self.records.max(1) as f64;
        say(&format!("{} records are {} persons; {} pairs compared", self.records, self.persons, outcome.compared));
        let [certain, probable, possible] = self.grades;
        say(&format!(
            "certain {certain}, probable {probable}, possible {possible}; for a person to decide: {} records ({share:.1} %)",
            self.in_queue
        ));
        Ok(())
    }
}
