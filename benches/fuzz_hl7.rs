//! Damaged HL7 v2 by the million: no panic, no time beyond measure, what is read is written again byte for byte, and
//! every answer is one to its message. And what is told of damaged notices and resources is a message all the same.
//!
//! `cargo bench --bench fuzz_hl7 -- 10000000`. Each input goes through the frame codec in pieces, the parser, the
//! acknowledgement, the mapper of its event (which is any that is taken), the decision about it and the conversion to
//! FHIR; and with each a notice goes to a hospital, one to a referrer, and resources to HL7 v2. The seeds are
//! `fixtures/feed/`, `fixtures/pas/` and the load tool's messages; each input is the same in every run. What each mapper
//! was given and what it made of that is counted. A failure says which input it was, and its file is left behind.

#[path = "fuzz_hl7/outbound.rs"]
mod outbound;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use jiff::Timestamp;
use onward::booking::command::Command;
use onward::booking::decide::decide;
use onward::booking::decision::{Refusal, State};
use onward::hl7v2::ack::{Received, Verdict};
use onward::hl7v2::batch;
use onward::hl7v2::charset::decode;
use onward::hl7v2::frame::{Limits, Mllp, wrap};
use onward::hl7v2::header::Header;
use onward::hl7v2::message::Message;
use onward::intake::hl7::{Feed, prepare};
use onward::issue::{FEED_IDENTITY_CONFLICT, Issue};
use onward::pas::inbound::convert::to_fhir;
use onward::pas::inbound::dialect::{Dialect, SHIPPED};
use onward::pas::inbound::{EVENTS, Surroundings, read};
use onward::store::Work;
use tokio_util::codec::Decoder;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Where none is told.
const RUNS: u64 = 100_000;
/// For one input of a few kB, on a machine that does other things as well.
const TIME_MAX: Duration = Duration::from_millis(500);
/// What a value may turn into: nothing, deletions, escapes, times that do not exist, numbers of all sizes.
const VALUES: &[&str] = &[
    "",
    "\"\"",
    "\\X00\\",
    "\\X0D1C\\",
    "\\Z\\",
    "\\",
    "\\T\\\\S\\",
    "20260329013000",
    "20261025013000",
    "00000000",
    "99999999999999999999",
    "20260230",
    "-1",
    "2026-03-01T09:15:00+01:00",
    "9990000018",
    "9990000018^^^NHS^NH",
    "a~b~c",
    "a^b&c^d",
    "é",
    "\u{202e}",
    "NSTS01",
    "6",
    "Booked",
    "P",
    "AL",
    "NE",
    "8859/1",
    "UNICODE UTF-16",
];

/// What begins and ends frames, and what may stand between them.
const EDGES: &[&str] = &["\x0b", "\x1c", "\r", "\x1c\r", "\x1c\r\x0b", "\x1c\r\r\n\x0b", "\x06"];

/// xorshift64*: the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

fn seeds() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut files = Vec::new();
    collect(&root.join("feed"), "hl7", &mut files);
    collect(&root.join("pas"), "hl7", &mut files);
    files.sort();
    files.iter().map(|file| std::fs::read_to_string(file).unwrap().replace('\n', "\r")).collect()
}

fn collect(folder: &Path, extension: &str, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            collect(&entry, extension, files);
        } else if entry.extension().is_some_and(|it| it == extension) {
            files.push(entry);
        }
    }
}

/// One change to the segments: a field from elsewhere, a value that is awkward, a segment gone, doubled or moved, or
/// another event.
fn change(text: &str, numbers: &mut Numbers, other: &str) -> String {
    let mut segments: Vec<String> = text.split_terminator('\r').map(str::to_owned).collect();
    let at = numbers.below(segments.len());
    match numbers.below(8) {
        0 if at > 0 => drop(segments.remove(at)),
        1 => segments.insert(at, segments[at].clone()),
        2 => segments.extend(other.split_terminator('\r').skip(1 + numbers.below(4)).map(str::to_owned)),
        3 => segments[0] = field(&segments[0], 8, numbers.one(EVENTS).event),
        _ => {
            let value = match numbers.below(3) {
                0 => (*numbers.one(VALUES)).to_owned(),
                1 => other.split(['|', '\r']).nth(numbers.below(60)).unwrap_or_default().to_owned(),
                _ => numbers.one(VALUES).repeat(numbers.below(20)),
            };
            segments[at] = field(&segments[at], 1 + numbers.below(34), &value);
        }
    }
    segments.join("\r") + "\r"
}

/// The segment with another value between its separators.
fn field(segment: &str, number: usize, value: &str) -> String {
    let mut fields: Vec<&str> = segment.split('|').collect();
    fields.resize(fields.len().max(number + 1), "");
    fields[number] = value;
    fields.join("|")
}

/// Two messages in a batch that may have lost its ends or say another count.
fn enveloped(text: &str, other: &str, numbers: &mut Numbers) -> String {
    let line = |line: &str, numbers: &mut Numbers| if numbers.below(8) == 0 { String::new() } else { line.to_owned() };
    let head =
        line("FHS|^~\\&|PAS|RXX\r", numbers) + &line("BHS|^~\\&|PAS|RXX|ONWARD|X26|20260301091500||||B1\r", numbers);
    let tail = line(&format!("BTS|{}\r", numbers.below(4)), numbers) + &line("FTS|1\r", numbers);
    format!("{head}{text}{other}{tail}")
}

/// One change to the bytes.
fn damage(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    if bytes.is_empty() {
        return;
    }
    let at = numbers.below(bytes.len());
    match numbers.below(5) {
        0 => bytes[at] = numbers.next() as u8,
        1 => bytes.insert(at, *numbers.one(b"|^~\\&\r\n\x0b\x1c\0\"\xff\xc3#")),
        2 => drop(bytes.remove(at)),
        3 => bytes.truncate(at),
        _ => {
            let end = (at + numbers.below(60)).min(bytes.len());
            let copy = bytes[at..end].to_vec();
            bytes.splice(at..at, copy);
        }
    }
}

/// What became of an input.
#[derive(Default)]
struct Tally {
    slowest: Duration,
    read: u64,
    taken: u64,
    converted: u64,
    decided: u64,
    frames: u64,
    answers: u64,
    batches: u64,
    /// What each mapper was given, and of how much of that it made an event.
    mappers: BTreeMap<&'static str, (u64, u64)>,
    /// What was made the other way.
    made: outbound::Made,
}

impl Tally {
    /// Both together.
    fn with(mut self, other: Self) -> Self {
        self.slowest = self.slowest.max(other.slowest);
        self.read += other.read;
        self.taken += other.taken;
        self.converted += other.converted;
        self.decided += other.decided;
        self.frames += other.frames;
        self.answers += other.answers;
        self.batches += other.batches;
        for (event, (given, made)) in other.mappers {
            let sum = self.mappers.entry(event).or_default();
            *sum = (sum.0 + given, sum.1 + made);
        }
        other.made.into_iter().for_each(|(name, count)| *self.made.entry(name).or_default() += count);
        self
    }

    /// An event that is none of those that are taken is given to no mapper.
    fn mapped(&mut self, kind: &str, made: bool) {
        let Some(taken) = EVENTS.iter().find(|taken| taken.event == kind) else { return };
        let (given, events) = self.mappers.entry(taken.event).or_default();
        *given += 1;
        *events += u64::from(made);
    }
}

/// Everything that is done with what comes in by MLLP.
fn examined(bytes: &[u8], feed: &Feed, numbers: &mut Numbers, tally: &mut Tally) {
    tally.frames += framed(bytes, numbers);
    let members = batch::read(bytes).map(|batch| batch.messages.len());
    assert!(members.is_none_or(|count| count <= bytes.len()));
    tally.batches += u64::from(members.is_some());
    if let Ok(decoded) = decode(bytes, &feed.dialect.fallback())
        && let Ok(message) = Message::parse(decoded.text.as_bytes())
    {
        tally.read += 1;
        written(&message, decoded.text.as_bytes());
    }
    let around = Surroundings { sandbox: true, now: Timestamp::constant(1_780_000_000, 0) };
    let outcome = read(bytes, &feed.dialect, around);
    assert!(outcome.event.is_some() == (outcome.verdict == Verdict::Accepted) || !outcome.found.is_empty());
    tally.mapped(&outcome.kind, outcome.event.is_some());
    if let Some(event) = outcome.event {
        tally.taken += 1;
        let command = Command::Feed(Box::new(event));
        drop(command.needs());
        tally.decided += u64::from(decide(&command, &State::default(), Timestamp::UNIX_EPOCH).is_ok());
    }
    tally.answers += answered(bytes, feed);
    tally.converted += u64::from(to_fhir(bytes, &feed.dialect, true).is_ok());
}

/// The same frames come out however the bytes come in, whatever stands between them and however long they may be.
fn framed(bytes: &[u8], numbers: &mut Numbers) -> u64 {
    let mut stream = b"\x0b".to_vec();
    stream.extend_from_slice(bytes);
    stream.extend_from_slice(b"\x1c\r\x0bMSH|next\x1c\r");
    let mut limits = Limits::default();
    if numbers.below(3) == 0 {
        for _ in 0..numbers.below(12) {
            let at = numbers.below(stream.len());
            stream.splice(at..at, numbers.one(EDGES).bytes());
        }
        limits = Limits { frame_bytes_max: numbers.below(600), junk_bytes_max: numbers.below(40) };
    }
    let frames = |sizes: &mut dyn FnMut() -> usize| {
        let (mut codec, mut buffer, mut found) = (Mllp::new(limits), BytesMut::new(), Vec::new());
        let mut rest = stream.as_slice();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(sizes().clamp(1, rest.len()));
            buffer.extend_from_slice(piece);
            rest = after;
            loop {
                match codec.decode(&mut buffer) {
                    Ok(Some(frame)) => found.push(frame.to_vec()),
                    Ok(None) => break,
                    Err(error) => {
                        found.push(error.to_string().into_bytes());
                        return found;
                    }
                }
            }
        }
        found
    };
    let at_once = frames(&mut || usize::MAX);
    assert_eq!(frames(&mut || 1 + numbers.below(200)), at_once);
    if numbers.below(8) == 0 {
        assert_eq!(frames(&mut || 1), at_once);
    }
    at_once.len() as u64
}

fn written(message: &Message<'_>, text: &[u8]) {
    let written = message.write();
    let trimmed = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text).trim_ascii_start();
    assert!(trimmed.starts_with(&written), "it is written as something else");
    for segment in message.segments() {
        for number in 0..=segment.fields() + 1 {
            let field = segment.field(number);
            for repetition in 1..=field.repetitions().min(50) {
                for component in 1..=field.components(repetition).min(50) {
                    drop(field.get(repetition, component, 1).text());
                }
            }
        }
    }
}

/// An answer is a message that can be framed and read, and it is about this one, whether it is taken or not.
fn answered(bytes: &[u8], feed: &Feed) -> u64 {
    let prepared = prepare(feed, bytes.to_vec(), true, None);
    let header = Header::read(bytes);
    let refused = match &prepared.work {
        Work::Refuse(answer) => vec![answer.body.clone().unwrap_or_default()],
        Work::Decide { answer, .. } => {
            [false, true].map(|alarm| answer(&Err(refusal(alarm))).body.unwrap_or_default()).into()
        }
    };
    let all = std::iter::once(prepared.accepted()).chain(refused.iter().map(Vec::as_slice));
    let mut count = 0;
    for answer in all.flat_map(|answers| answers.split(|byte| *byte == 0x1C)).filter(|answer| !answer.is_empty()) {
        count += 1;
        assert!(wrap(answer).is_ok(), "an answer cannot be framed");
        let received = Received::read(answer).expect("an answer is an acknowledgement");
        let echoed = header.control_id().iter().copied().filter(|byte| !matches!(byte, 0x0B | 0x1C));
        assert_eq!(received.answers, echoed.collect::<Vec<_>>(), "an answer is about another message");
        assert!(received.code.is_some());
    }
    count
}

/// What nobody knows of before it is decided.
fn refusal(alarm: bool) -> Refusal {
    Refusal { issue: Box::new(Issue::new(&FEED_IDENTITY_CONFLICT, "PID-3")), alarm }
}

fn main() {
    let runs = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(RUNS);
    let seeds = seeds();
    let feeds: Vec<Feed> = SHIPPED
        .iter()
        .map(|(name, _)| {
            let settings =
                format!("dialect = \"{name}\"\ntypes = [\"ADT\", \"SIU\", \"REF\", \"RRI\", \"MFN\", \"ACK\"]");
            let dialect = Dialect::read(&settings.parse().unwrap()).unwrap();
            let tell = onward::intake::referrers::tell(Vec::new(), String::new());
            Feed { channel: (*name).to_owned(), organisation: String::new(), dialect, tell }
        })
        .collect();
    let outbound = outbound::Seeds::read(&seeds);
    let workers = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let start = Instant::now();
    let (seeds, feeds, outbound) = (&seeds, &feeds, &outbound);
    let work = |worker: u64| move || worked(seeds, feeds, outbound, (worker..runs).step_by(workers as usize));
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..workers).map(|worker| scope.spawn(work(worker))).collect();
        all.into_iter().map(|one| one.join().expect("an input failed")).collect()
    });
    reported(runs, start.elapsed(), &tallies.into_iter().fold(Tally::default(), Tally::with));
}

/// These runs, one after the other, each begun by a number of its own: so it is the same however many work.
fn worked(seeds: &[String], feeds: &[Feed], outbound: &outbound::Seeds, runs: impl Iterator<Item = u64>) -> Tally {
    let (start, mut tally) = (Instant::now(), Tally::default());
    for run in runs {
        let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15 ^ (run + 1).wrapping_mul(0xD134_2543_DE82_EF95));
        let mut text = numbers.one(seeds).clone();
        for _ in 0..=numbers.below(4) {
            let other = numbers.one(seeds);
            text = change(&text, &mut numbers, other);
        }
        if numbers.below(12) == 0 {
            let other = numbers.one(seeds);
            text = enveloped(&text, other, &mut numbers);
        }
        let mut bytes = text.into_bytes();
        if numbers.below(3) == 0 {
            (0..=numbers.below(4)).for_each(|_| damage(&mut bytes, &mut numbers));
        }
        let feed = numbers.one(feeds);
        let began = Instant::now();
        let examination = AssertUnwindSafe(|| examined(&bytes, feed, &mut numbers, &mut tally));
        catch_unwind(examination).unwrap_or_else(|_| failed(run, &bytes, "a panic"));
        let input = outbound.input(&mut numbers);
        let told = AssertUnwindSafe(|| outbound.run(&input, run % 8 == 0, &mut tally.made));
        catch_unwind(told).unwrap_or_else(|_| failed(run, &input.to_bytes(), "a panic on the way out"));
        let mut took = began.elapsed();
        // Others may have had the processor meanwhile: what is slow each time is slow.
        for _ in 0..5 {
            if took < TIME_MAX {
                break;
            }
            let again = Instant::now();
            examined(&bytes, feed, &mut Numbers(numbers.0), &mut Tally::default());
            took = took.min(again.elapsed());
        }
        tally.slowest = tally.slowest.max(took);
        if TIME_MAX < took {
            failed(run, &bytes, "too slow");
        }
        if run % 1_000_000 == 999_999 {
            eprintln!("{} in {:?}", run + 1, start.elapsed());
        }
    }
    tally
}

fn reported(runs: u64, took: Duration, tally: &Tally) {
    let Tally { slowest, read, taken, converted, decided, frames, answers, batches, mappers, made } = tally;
    println!("{runs} inputs in {took:?}, the slowest {slowest:?}");
    println!("codec: {frames} frames; parser: {read} read; batches: {batches}; acknowledgements: {answers}");
    println!("mappers in: {taken} events made, {decided} applied to an empty store, {converted} converted to FHIR");
    mappers.iter().for_each(|(event, (given, made))| println!("  {event}: {given} given, {made} made"));
    println!("mappers out:");
    made.iter().for_each(|(name, count)| println!("  {name}: {count}"));
    let never = EVENTS.iter().filter(|taken| mappers.get(taken.event).is_none_or(|(_, made)| *made == 0));
    let never: Vec<_> = never.map(|taken| taken.event).collect();
    assert!(runs < RUNS || never.is_empty(), "mappers that made nothing: {never:?}");
}

fn failed(run: u64, bytes: &[u8], what: &str) -> ! {
    let file = std::env::temp_dir().join(format!("onward-fuzz-{run}.hl7"));
    std::fs::write(&file, bytes).unwrap();
    panic!("{what}: input {run}, {}", file.display());
}
