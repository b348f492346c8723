//! A CSV file of patients becomes packed records, on all cores. What cannot be read is counted and told with its line.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, IsTerminal, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

use csv::ByteRecord;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::super::{CallerFault, say};
use super::columns::{Columns, FIELDS, Places};
use crate::reconcile::lexicon::{Lexicon, hash};
use crate::reconcile::normal::{Normaliser, Record, Written};

/// Rows that go to a worker together.
const ROWS: usize = 4096;
/// Longest value that is looked at, in bytes; what follows is left out.
const VALUE_BYTES_MAX: usize = 500;
/// Most records of one run: places are 32 bits wide.
const RECORDS_MAX: usize = 1 << 28;
/// So many places are told, the rest is counted.
const TOLD_MAX: usize = 10;

/// Records with their ids.
#[derive(Default)]
pub(super) struct Table {
    pub(super) records: Vec<Record>,
    pub(super) lexicon: Lexicon,
    pub(super) ids: Ids,
    /// Where the second file begins.
    pub(super) second_file: Option<usize>,
    pub(super) skipped: Skipped,
}

/// Ids of records, one behind the other.
#[derive(Default)]
pub(super) struct Ids {
    texts: String,
    ends: Vec<usize>,
}

impl Ids {
    fn push(&mut self, id: &str) {
        self.texts.push_str(id);
        self.ends.push(self.texts.len());
    }

    /// The id of a record.
    pub(super) fn get(&self, at: usize) -> &str {
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.texts[begin..self.ends[at]]
    }

    fn len(&self) -> usize {
        self.ends.len()
    }
}

/// What could not be used.
#[derive(Default)]
pub(super) struct Skipped {
    /// Whole records.
    pub(super) records: usize,
    /// Values that were taken as not given.
    pub(super) values: usize,
    told: Vec<String>,
}

impl Skipped {
    fn note(&mut self, text: String) {
        if self.told.len() < TOLD_MAX {
            self.told.push(text);
        }
    }

    fn absorb(&mut self, other: Self) {
        self.records += other.records;
        self.values += other.values;
        other.told.into_iter().for_each(|text| self.note(text));
    }

    /// Says what was left out.
    pub(super) fn tell(&self) {
        self.told.iter().for_each(|text| say(text));
        if self.records + self.values != 0 {
            say(&format!("{} records skipped, {} values taken as not given", self.records, self.values));
        }
    }
}

/// Rows in the order of the file.
struct Chunk {
    number: usize,
    rows: Vec<(u64, ByteRecord)>,
}

/// What a worker made.
struct Made {
    chunks: Vec<(usize, Vec<Record>, Ids)>,
    lexicon: Lexicon,
    skipped: Skipped,
}

/// A sign of life on a terminal.
pub(in crate::cli) fn spinner() -> ProgressBar {
    let target =
        if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(None, target);
    let style = ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    bar
}

impl Table {
    /// Reads a file behind what is there.
    pub(super) fn read(&mut self, path: &Path, columns: &Columns) -> anyhow::Result<()> {
        let input: Box<dyn Read + Send> = match path == Path::new("-") {
            true => Box::new(std::io::stdin()),
            false => Box::new(File::open(path).map_err(|error| CallerFault(format!("{}: {error}", path.display())))?),
        };
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(BufReader::with_capacity(1 << 20, input));
        let fault = |error: csv::Error| CallerFault(format!("{}: {error}", path.display()));
        let heading = reader.headers().map_err(fault)?.clone();
        let places = columns.places(&heading, path)?;
        let heading: Vec<String> = heading.iter().map(str::to_owned).collect();
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let bar = spinner();
        let made = thread::scope(|scope| {
            let (send, receive) = sync_channel::<Chunk>(workers * 2);
            let receive = Arc::new(Mutex::new(receive));
            let (places, heading) = (&places, &heading);
            let work = |_| {
                let receive = Arc::clone(&receive);
                scope.spawn(move || make(&receive, &Source { path, places, heading }))
            };
            let workers: Vec<_> = (0..workers).map(work).collect();
            drop(receive);
            let sent = split(&mut reader, &bar, |chunk| send.send(chunk).is_ok());
            drop(send);
            let made: Vec<Made> = workers.into_iter().filter_map(|worker| worker.join().ok()).collect();
            sent.map(|()| made).map_err(fault)
        })?;
        bar.finish_and_clear();
        self.absorb(made);
        match self.records.len() {
            count if count <= RECORDS_MAX => Ok(()),
            count => {
                Err(CallerFault(format!("{count} records are more than {RECORDS_MAX}, the most that one run takes"))
                    .into())
            }
        }
    }

    fn absorb(&mut self, made: Vec<Made>) {
        let mut chunks = Vec::new();
        for worker in made {
            let terms = self.lexicon.absorb(&worker.lexicon);
            self.skipped.absorb(worker.skipped);
            for (number, mut records, ids) in worker.chunks {
                records.iter_mut().for_each(|record| record.translate(&terms));
                chunks.push((number, records, ids));
            }
        }
        chunks.sort_unstable_by_key(|(number, ..)| *number);
        for (_, records, ids) in chunks {
            self.records.extend(records);
            (0..ids.len()).for_each(|at| self.ids.push(ids.get(at)));
        }
    }

    /// An id that stands for two records would make the output useless.
    pub(super) fn refuse_double_ids(&self) -> Result<(), CallerFault> {
        let mut seen: HashMap<u64, usize> = HashMap::with_capacity(self.ids.len());
        let border = self.second_file.unwrap_or(0);
        let mut double = 0;
        for at in 0..self.ids.len() {
            let file = usize::from(at < border) as u8;
            let key = hash(self.ids.get(at).as_bytes()) ^ u64::from(file);
            double += usize::from(seen.insert(key, at).is_some_and(|before| self.ids.get(before) == self.ids.get(at)));
        }
        match double {
            0 => Ok(()),
            count => {
                Err(CallerFault(format!("{count} records have an id that an earlier record has: ids must be unique")))
            }
        }
    }
}

/// Cuts a file into chunks of rows.
fn split(
    reader: &mut csv::Reader<impl Read>,
    bar: &ProgressBar,
    mut send: impl FnMut(Chunk) -> bool,
) -> Result<(), csv::Error> {
    let mut number = 0;
    let mut rows = Vec::with_capacity(ROWS);
    loop {
        let mut row = ByteRecord::new();
        let more = reader.read_byte_record(&mut row)?;
        if more {
            rows.push((row.position().map_or(0, csv::Position::line), row));
        }
        if rows.len() == ROWS || !more && !rows.is_empty() {
            bar.set_message(format!("{} records read", number * ROWS + rows.len()));
            if !send(Chunk { number, rows: std::mem::replace(&mut rows, Vec::with_capacity(ROWS)) }) {
                return Ok(());
            }
            number += 1;
        }
        if !more {
            return Ok(());
        }
    }
}

/// Where rows come from.
struct Source<'a> {
    path: &'a Path,
    places: &'a Places,
    heading: &'a [String],
}

fn make(receive: &Mutex<Receiver<Chunk>>, source: &Source<'_>) -> Made {
    let mut normaliser = Normaliser::default();
    let mut made = Made { chunks: Vec::new(), lexicon: Lexicon::default(), skipped: Skipped::default() };
    loop {
        // A worker that panicked holds no row, so what it left is sound.
        let chunk = receive.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv();
        let Ok(chunk) = chunk else { break };
        let (mut records, mut ids) = (Vec::with_capacity(chunk.rows.len()), Ids::default());
        for (line, row) in &chunk.rows {
            if let Some(record) = source.record(*line, row, &mut normaliser, &mut made.skipped, &mut ids) {
                records.push(record);
            }
        }
        made.chunks.push((chunk.number, records, ids));
    }
    made.lexicon = normaliser.lexicon;
    made
}

impl Source<'_> {
    fn place(&self, line: u64, field: usize) -> String {
        let column = self.places[field].first().map_or("", |at| self.heading[*at].as_str());
        format!("{}: line {line}, column {column}", self.path.display())
    }

    fn record(
        &self,
        line: u64,
        row: &ByteRecord,
        normaliser: &mut Normaliser,
        skipped: &mut Skipped,
        ids: &mut Ids,
    ) -> Option<Record> {
        if row.len() != self.heading.len() {
            skipped.records += 1;
            let text = format!(
                "{}: line {line}: {} columns instead of {}",
                self.path.display(),
                row.len(),
                self.heading.len()
            );
            skipped.note(text);
            return None;
        }
        let mut joined = String::new();
        let values = match self.values(row, &mut joined) {
            Ok(values) => values,
            Err(field) => {
                skipped.records += 1;
                skipped.note(format!("{}: not UTF-8", self.place(line, field)));
                return None;
            }
        };
        let (record, issue) = normaliser.record(&written(&values));
        if let Some(issue) = issue {
            skipped.values += 1;
            skipped.note(format!("{}: {issue}", self.place(line, BIRTH_DATE)));
        }
        match values[0] {
            "" => ids.push(&line.to_string()),
            id => ids.push(id),
        }
        Some(record)
    }

    /// The values of all fields; the error is the field that is not UTF-8.
    fn values<'a>(&self, row: &'a ByteRecord, joined: &'a mut String) -> Result<[&'a str; FIELDS.len()], usize> {
        let mut values = [""; FIELDS.len()];
        let mut spans = [(0, 0); FIELDS.len()];
        for (field, places) in self.places.iter().enumerate() {
            let text = |at: &usize| std::str::from_utf8(row.get(*at).unwrap_or_default()).map(cut).map_err(|_| field);
            match places.as_slice() {
                [] => {}
                [one] => values[field] = text(one)?,
                several => {
                    let begin = joined.len();
                    for place in several {
                        joined.push_str(text(place)?);
                        joined.push(' ');
                    }
                    spans[field] = (begin, joined.len());
                }
            }
        }
        let joined: &'a str = joined;
        for (value, (begin, end)) in values.iter_mut().zip(spans).filter(|(_, (begin, end))| begin != end) {
            *value = joined[begin..end].trim_end();
        }
        Ok(values)
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(VALUE_BYTES_MAX)]
}

const BIRTH_DATE: usize = 8;

/// In the order of [`FIELDS`].
fn written<'a>(values: &[&'a str; FIELDS.len()]) -> Written<'a> {
    let [
        _,
        nhs_number,
        nhs_number_status,
        nhs_superseded_by,
        family_name,
        former_family_name,
        given_names,
        middle_names,
        birth_date,
        death_date,
        gender,
        postcode,
        address,
        town,
        phone,
        email,
        gp_practice,
        source,
        local_id,
        other_id,
        flags,
    ] = *values;
    Written {
        nhs_number,
        nhs_number_status,
        nhs_superseded_by,
        family_name,
        former_family_name,
        given_names,
        middle_names,
        birth_date,
        death_date,
        gender,
        postcode,
        address,
        town,
        phone,
        email,
        gp_practice,
        source,
        local_id,
        other_id,
        flags,
    }
}
