//! Pairs and persons as CSV.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context as _;
use rayon::prelude::*;

use super::read::Table;
use crate::reconcile::batch::{Outcome, Pair, Task};
use crate::reconcile::decide::Matcher;
use crate::reconcile::explain::Explanation;

/// Pairs that are written together.
const ROWS: usize = 8192;

fn open(path: &Path) -> anyhow::Result<BufWriter<Box<dyn Write>>> {
    let output: Box<dyn Write> = match path == Path::new("-") {
        true => Box::new(std::io::stdout()),
        false => Box::new(File::create(path).with_context(|| path.display().to_string())?),
    };
    Ok(BufWriter::with_capacity(1 << 20, output))
}

/// Writes pairs with their reasons.
pub(super) fn pairs(path: &Path, table: &Table, outcome: &Outcome, task: &Task<'_>) -> anyhow::Result<()> {
    let mut output = open(path)?;
    output.write_all(b"left_id,right_id,score,grade,reasons\n")?;
    let matcher = Matcher { lexicon: &table.lexicon, weights: task.weights, year: task.year };
    for pairs in outcome.pairs.chunks(ROWS * rayon::current_num_threads()) {
        let texts: Vec<Vec<u8>> = pairs.par_chunks(ROWS).map(|pairs| rows(pairs, table, &matcher)).collect();
        for text in texts {
            output.write_all(&text)?;
        }
    }
    output.flush()?;
    Ok(())
}

fn rows(pairs: &[Pair], table: &Table, matcher: &Matcher<'_>) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::with_capacity(pairs.len() * 256));
    for pair in pairs {
        let (left, right) = (pair.left as usize, pair.right as usize);
        let judged = matcher.judge(&table.records[left], &table.records[right]);
        let reasons = Explanation::new(&judged, pair.grade, pair.rule).line();
        let score = format!("{:.2}", pair.score);
        // A Vec takes whatever is written.
        let _ = writer.write_record([table.ids.get(left), table.ids.get(right), &score, pair.grade.as_str(), &reasons]);
    }
    writer.into_inner().unwrap_or_default()
}

/// Writes which person each record is: the id of one of the person's records.
pub(super) fn persons(path: &Path, table: &Table, outcome: &Outcome) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(open(path)?);
    writer.write_record(["id", "person"])?;
    for (at, person) in outcome.persons.iter().enumerate() {
        writer.write_record([table.ids.get(at), table.ids.get(*person as usize)])?;
    }
    writer.flush()?;
    Ok(())
}
