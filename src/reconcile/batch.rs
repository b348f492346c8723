//! Whole files: who in them is one person? Finds the pairs, grades them, looks for rivals, and makes persons.

use rayon::prelude::*;

use super::Grade;
use super::block::{KEYS, WIDE_FROM, key};
use super::cluster::Persons;
use super::compare::Field;
use super::decide::{Judged, Matcher, Rule};
use super::lexicon::Lexicon;
use super::normal::{Flags, Record};
use super::weight::Weights;

/// A block of more records is too large for all its pairs: each record is compared with so many neighbours instead.
const BLOCK_MAX: usize = 150;
const NEIGHBOURS: usize = 12;
/// Blocks of wide keys are looked at up to a size that depends on the file: so many records in all of them together …
const WIDE_RECORDS: usize = 1_200_000;
/// … within these limits.
const WIDE_LEAST: usize = 6;
const WIDE_MOST: usize = 24;
/// A telephone, e-mail or address that more records share is a practice's or a default, and nobody's.
const SHARED_MAX: usize = 60;
/// Pairs that are less alike (in bits, without numbers) are no rivals of anybody.
const RIVAL_BITS_MIN: f32 = 14.0;

/// A pair that was compared and graded.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// Place of the first record; it is less than `right`.
    pub left: u32,
    /// Place of the second record.
    pub right: u32,
    /// Bits.
    pub score: f32,
    /// Bits without what numbers tell.
    pub alike: f32,
    /// How sure it is.
    pub grade: Grade,
    /// By which rule.
    pub rule: Rule,
    beyond_rivals: bool,
    rival_bits: f32,
}

/// What was found in a file, or between two.
pub struct Outcome {
    /// Pairs of a grade other than none (or all, where that was asked for), in the order of their places.
    pub pairs: Vec<Pair>,
    /// The person of each record: the place of the record that stands for it.
    pub persons: Vec<u32>,
    /// How many pairs were compared.
    pub compared: usize,
    /// Per kind of key: records in blocks that were too large to compare all their pairs.
    pub crowded: [usize; KEYS],
    /// How many telephone numbers, e-mail addresses and homes were left out because too many records have them.
    pub shared: usize,
}

/// How a file is worked on.
#[derive(Clone)]
pub struct Task<'a> {
    /// In bits.
    pub weights: &'a Weights,
    /// The present year.
    pub year: u32,
    /// Records before this place are of one file, those from it on of the other, and only pairs across are looked
    /// for. `None`: one file.
    pub second_file: Option<usize>,
    /// Answer the pairs of grade none too.
    pub all: bool,
}

/// Steps of the work, for showing how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Step {
    Block,
    Compare,
    Rivals,
    Persons,
}

/// Finds who is who.
pub fn run(records: &mut [Record], lexicon: &mut Lexicon, task: &Task<'_>, told: &dyn Fn(Step, usize)) -> Outcome {
    lexicon.weigh();
    let shared = forget_shared(records);
    told(Step::Block, records.len());
    let (candidates, crowded) = candidates(records, lexicon, task.second_file);
    told(Step::Compare, candidates.len());
    let matcher = Matcher { lexicon, weights: task.weights, year: task.year };
    let compared = candidates.len();
    let mut pairs = compare_all(&candidates, records, &matcher, task.all);
    drop(candidates);
    told(Step::Rivals, pairs.len());
    find_rivals(&mut pairs, records, &matcher);
    told(Step::Persons, pairs.len());
    let persons = join(&mut pairs, records, &matcher);
    pairs.retain(|pair| task.all || pair.grade != Grade::None);
    Outcome { pairs, persons, compared, crowded, shared }
}

/// All pairs that share a key, for estimating weights.
pub(super) fn keyed_pairs(records: &[Record], lexicon: &Lexicon) -> Vec<u64> {
    candidates(records, lexicon, None).0
}

/// Takes out what too many records have for it to be anybody's own.
fn forget_shared(records: &mut [Record]) -> usize {
    let crowd = |value: fn(&Record) -> u64| {
        let mut values: Vec<u64> = records.iter().map(value).filter(|it| *it != 0).collect();
        values.par_sort_unstable();
        let runs = values.chunk_by(|a, b| a == b).filter(|run| SHARED_MAX < run.len());
        runs.map(|run| run[0]).collect::<Vec<u64>>()
    };
    let phones = crowd(|it| u64::from(it.phone));
    let emails = crowd(|it| u64::from(it.email));
    let homes = crowd(home);
    for record in records.iter_mut() {
        let known = |list: &[u64], value: u64| !list.is_empty() && list.binary_search(&value).is_ok();
        if known(&phones, u64::from(record.phone)) {
            record.phone = 0;
        }
        if known(&emails, u64::from(record.email)) {
            (record.email, record.email_name) = (0, 0);
        }
        record.flags.set(Flags::COMMUNAL, known(&homes, home(record)));
    }
    phones.len() + emails.len() + homes.len()
}

/// A home as a number; 0: not known well enough.
fn home(record: &Record) -> u64 {
    if record.street.is_missing() || record.postcode.is_missing() {
        return 0;
    }
    super::lexicon::hash_parts(&[u64::from(record.street.bits()), u64::from(record.house), record.postcode.bits()]) | 1
}

/// Pairs that share a key, each once, in order: the places of both in one number.
fn candidates(records: &[Record], lexicon: &Lexicon, second_file: Option<usize>) -> (Vec<u64>, [usize; KEYS]) {
    let wide = (WIDE_RECORDS / records.len().max(1)).clamp(WIDE_LEAST, WIDE_MOST);
    let found: Vec<(Vec<u64>, usize)> = (0..KEYS)
        .into_par_iter()
        .map(|kind| {
            let mut keyed: Vec<(u64, u32)> =
                records.iter().zip(0u32..).filter_map(|(record, at)| Some((key(kind, record, lexicon)?, at))).collect();
            keyed.sort_unstable();
            let (mut pairs, mut crowded) = (Vec::new(), 0);
            let most = if kind < WIDE_FROM { usize::MAX } else { wide };
            for block in keyed.chunk_by(|a, b| a.0 == b.0).filter(|block| (2..=most).contains(&block.len())) {
                let reach = if block.len() <= BLOCK_MAX { block.len() } else { NEIGHBOURS };
                crowded += if block.len() <= BLOCK_MAX { 0 } else { block.len() };
                if block.len() <= BLOCK_MAX {
                    pair_up(block, reach, second_file, &mut pairs);
                } else {
                    pair_up(&neighbours(block, records), reach, second_file, &mut pairs);
                }
            }
            (pairs, crowded)
        })
        .collect();
    let mut crowded = [0; KEYS];
    let mut all = Vec::with_capacity(found.iter().map(|(pairs, _)| pairs.len()).sum());
    for (kind, (pairs, count)) in found.into_iter().enumerate() {
        all.extend(pairs);
        crowded[kind] = count;
    }
    all.par_sort_unstable();
    all.dedup();
    (all, crowded)
}

/// A block that is too large, ordered so that records that agree in more stand beside each other.
fn neighbours(block: &[(u64, u32)], records: &[Record]) -> Vec<(u64, u32)> {
    let mut block = block.to_vec();
    block.sort_by_cached_key(|(_, at)| {
        let record = &records[*at as usize];
        (record.family, record.given, record.birth, record.postcode, record.number.value(), record.house, *at)
    });
    block
}

fn pair_up(block: &[(u64, u32)], reach: usize, second_file: Option<usize>, pairs: &mut Vec<u64>) {
    for (at, (_, first)) in block.iter().enumerate() {
        for (_, second) in block[at + 1..].iter().take(reach) {
            let (left, right) = (*first.min(second), *first.max(second));
            let across = |border: usize| (left as usize) < border && border <= right as usize;
            if second_file.is_none_or(across) {
                pairs.push(u64::from(left) << 32 | u64::from(right));
            }
        }
    }
}

fn compare_all(candidates: &[u64], records: &[Record], matcher: &Matcher<'_>, all: bool) -> Vec<Pair> {
    let pair = |both: &u64| {
        let (left, right) = ((both >> 32) as u32, *both as u32);
        let judged = matcher.judge(&records[left as usize], &records[right as usize]);
        Pair::new(left, right, &judged)
    };
    // What is neither linked nor shown stays only where it may be somebody's rival.
    let kept = |pair: &Pair| all || pair.grade != Grade::None || RIVAL_BITS_MIN <= pair.alike;
    candidates.par_iter().with_min_len(4096).map(pair).filter(kept).collect()
}

impl Pair {
    fn new(left: u32, right: u32, judged: &Judged) -> Self {
        Self {
            left,
            right,
            score: judged.score.total,
            alike: judged.score.without_numbers(),
            grade: judged.grade,
            rule: judged.rule,
            beyond_rivals: judged.is_beyond_rivals(),
            rival_bits: judged.rival_bits(),
        }
    }

    fn other(&self, end: u32) -> u32 {
        if self.left == end { self.right } else { self.left }
    }
}

/// The pairs of each record: places in `pairs`, and where those of a record begin.
struct Neighbours {
    begins: Vec<u32>,
    places: Vec<u32>,
}

impl Neighbours {
    fn new(pairs: &[Pair], records: usize) -> Self {
        let mut begins = vec![0u32; records + 1];
        for pair in pairs {
            begins[pair.left as usize + 1] += 1;
            begins[pair.right as usize + 1] += 1;
        }
        for at in 0..records {
            begins[at + 1] += begins[at];
        }
        let mut places = vec![0u32; pairs.len() * 2];
        let mut next = begins.clone();
        for (pair, place) in pairs.iter().zip(0u32..) {
            for end in [pair.left, pair.right] {
                places[next[end as usize] as usize] = place;
                next[end as usize] += 1;
            }
        }
        Self { begins, places }
    }

    fn of(&self, record: u32) -> &[u32] {
        &self.places[self.begins[record as usize] as usize..self.begins[record as usize + 1] as usize]
    }
}

fn find_rivals(pairs: &mut [Pair], records: &[Record], matcher: &Matcher<'_>) {
    let neighbours = Neighbours::new(pairs, records.len());
    let read: &[Pair] = pairs;
    let doubtful: Vec<usize> = (0..read.len())
        .into_par_iter()
        .filter(|at| {
            let pair = &read[*at];
            let open = pair.grade == Grade::Certain && !pair.beyond_rivals;
            open && [pair.left, pair.right]
                .into_iter()
                .any(|end| has_rival(pair, end, read, &neighbours, records, matcher))
        })
        .collect();
    for at in doubtful {
        pairs[at].grade = Grade::Probable;
        pairs[at].rule = Rule::Rival;
    }
}

/// Is there a third record that `end` could mean as well, and that is not the other end's person?
fn has_rival(
    pair: &Pair,
    end: u32,
    pairs: &[Pair],
    neighbours: &Neighbours,
    records: &[Record],
    matcher: &Matcher<'_>,
) -> bool {
    let other = pair.other(end);
    neighbours.of(end).iter().map(|place| &pairs[*place as usize]).any(|rival| {
        let third = rival.other(end);
        third != other
            && pair.rival_bits <= rival.alike
            && matcher.are_two(&records[third as usize], &records[other as usize])
    })
}

/// A number for what a record says, wherever it stands.
fn content(record: &Record, lexicon: &Lexicon) -> u64 {
    super::lexicon::hash_parts(&[
        record.number.value(),
        lexicon.squeezed(record.given),
        lexicon.squeezed(record.family),
        u64::from(record.birth.bits()),
        record.postcode.bits(),
        u64::from(record.phone) << 32 | u64::from(record.local_id),
    ])
}

/// Joins what is certain, the surest first; pairs within a person become certain, refused ones a person's decision.
fn join(pairs: &mut [Pair], records: &[Record], matcher: &Matcher<'_>) -> Vec<u32> {
    let mut persons = Persons::new(records);
    let mut order: Vec<u32> =
        (0..pairs.len() as u32).filter(|at| pairs[*at as usize].grade == Grade::Certain).collect();
    let rank = |at: &u32| &pairs[*at as usize];
    // Of equally sure pairs the content says which is first, so that the order of the file changes nothing.
    let content = |at: &u32| {
        let [left, right] = [rank(at).left, rank(at).right].map(|it| content(&records[it as usize], matcher.lexicon));
        (left.min(right), left.max(right), *at)
    };
    order
        .par_sort_unstable_by(|x, y| rank(y).score.total_cmp(&rank(x).score).then_with(|| content(x).cmp(&content(y))));
    let mut refused = Vec::new();
    for at in order {
        let pair = &pairs[at as usize];
        let are_two = |x: u32, y: u32| {
            (x, y) != (pair.left, pair.right) && (y, x) != (pair.left, pair.right) && {
                let judged = matcher.judge(&records[x as usize], &records[y as usize]);
                let same_number = judged.found.level(Field::Number) == 5;
                !same_number
                    && matches!(judged.rule, Rule::BornTogether | Rule::FirstNameDiffers)
                    && judged.found.birth() == super::date::BirthLevel::Same
            }
        };
        if !persons.join(pair.left, pair.right, are_two) {
            refused.push(at);
        }
    }
    for at in refused {
        pairs[at as usize].grade = Grade::Probable;
        pairs[at as usize].rule = Rule::JoinsTwo;
    }
    for pair in pairs.iter_mut().filter(|pair| pair.grade != Grade::Certain) {
        if persons.of(pair.left) == persons.of(pair.right) {
            pair.grade = Grade::Certain;
            pair.rule = Rule::ThroughAnother;
        }
    }
    (0..records.len() as u32).map(|record| persons.of(record)).collect()
}
