//! The index in memory: one record against all that are held.
//!
//! Keys stand in sorted arrays, eight bytes a key and record: the upper bits of the key, the place of the record below.
//! What is added since stands in a map and is merged into the arrays now and then.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use rayon::prelude::*;

use super::Grade;
use super::block::{WIDE_FROM, key};
use super::decide::{Judged, Matcher, Rule};
use super::lexicon::{AsIs, Lexicon};
use super::normal::{Normaliser, Record, Unreadable, Written};
use super::weight::Weights;

/// Bits of a place in the index.
const PLACE_BITS: u32 = 26;
/// Most records that an index holds.
pub const RECORDS_MAX: usize = 1 << PLACE_BITS;
/// Records of one key that are looked at; of more it is said that they were too many.
const KEY_MAX: usize = 256;
/// So many additions are merged at once.
const FRESH_MAX: usize = 65_536;

/// A held record that may be the same person's.
#[derive(Clone, Copy)]
pub struct Found {
    /// Its place.
    pub place: u32,
    /// How it compares, and what it is.
    pub judged: Judged,
}

/// What a look-up found.
#[derive(Default)]
pub struct Answer {
    /// Certain first, then by score; none that is of no grade.
    pub found: Vec<Found>,
    /// Keys that too many records have; only some of those were looked at.
    pub crowded: u32,
    /// Records that were compared.
    pub compared: usize,
}

/// Records that can be found by what they say.
pub struct Index {
    records: Vec<Record>,
    normaliser: Normaliser,
    sorted: Vec<Vec<u64>>,
    fresh: HashMap<u64, Vec<u32>, BuildHasherDefault<AsIs>>,
    fresh_count: usize,
}

/// The upper bits of a key, and a place.
fn packed(key: u64, place: u32) -> u64 {
    key >> PLACE_BITS << PLACE_BITS | u64::from(place)
}

impl Index {
    /// An index of records whose names are in a lexicon. More than [`RECORDS_MAX`] are left out.
    pub fn new(mut records: Vec<Record>, mut lexicon: Lexicon) -> Self {
        records.truncate(RECORDS_MAX);
        lexicon.weigh();
        let keys = |kind: usize| {
            let packed = |(at, record): (usize, &Record)| Some(packed(key(kind, record, &lexicon)?, at as u32));
            let mut keys: Vec<u64> = records.iter().enumerate().filter_map(packed).collect();
            keys.sort_unstable();
            keys.shrink_to_fit();
            keys
        };
        let sorted = (0..WIDE_FROM).into_par_iter().map(keys).collect();
        Self { records, normaliser: Normaliser::with(lexicon), sorted, fresh: HashMap::default(), fresh_count: 0 }
    }

    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Does it hold none?
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Packs a record, so that it can be looked up or added.
    pub fn pack(&mut self, written: &Written<'_>) -> (Record, Option<Unreadable>) {
        self.normaliser.record(written)
    }

    fn lexicon(&self) -> &Lexicon {
        &self.normaliser.lexicon
    }

    /// A held record.
    pub fn record(&self, place: u32) -> Option<&Record> {
        self.records.get(place as usize)
    }

    /// Adds a record; `None`: the index is full.
    pub fn add(&mut self, record: Record) -> Option<u32> {
        if self.records.len() == RECORDS_MAX {
            return None;
        }
        let place = self.records.len() as u32;
        let lexicon = &self.normaliser.lexicon;
        for key in (0..WIDE_FROM).filter_map(|kind| key(kind, &record, lexicon)) {
            self.fresh.entry(key >> PLACE_BITS).or_default().push(place);
        }
        self.records.push(record);
        self.fresh_count += 1;
        if self.fresh_count == FRESH_MAX {
            self.merge();
        }
        Some(place)
    }

    fn merge(&mut self) {
        let from = self.records.len() - self.fresh_count;
        let (records, lexicon) = (&self.records, &self.normaliser.lexicon);
        self.sorted.par_iter_mut().enumerate().for_each(|(kind, keys)| {
            let packed = |at: usize| Some(packed(key(kind, &records[at], lexicon)?, at as u32));
            keys.extend((from..records.len()).filter_map(packed));
            // Two sorted runs: the sort finds them.
            keys.sort();
        });
        self.fresh.clear();
        self.fresh_count = 0;
    }

    /// Places of records that share a key with this one, each once; and how many keys were crowded.
    fn candidates(&self, record: &Record) -> (Vec<u32>, u32) {
        let (mut places, mut crowded) = (Vec::with_capacity(64), 0);
        for (kind, keys) in self.sorted.iter().enumerate() {
            let Some(key) = key(kind, record, self.lexicon()) else { continue };
            let upper = key >> PLACE_BITS;
            let begin = lower_bound(keys, upper << PLACE_BITS);
            let same = keys[begin..].iter().take_while(|it| **it >> PLACE_BITS == upper);
            let before = places.len();
            places.extend(same.take(KEY_MAX).map(|it| (it & (RECORDS_MAX as u64 - 1)) as u32));
            crowded += u32::from(places.len() - before == KEY_MAX);
            if let Some(fresh) = self.fresh.get(&upper) {
                places.extend(fresh.iter().rev().take(KEY_MAX));
            }
        }
        places.sort_unstable();
        places.dedup();
        (places, crowded)
    }

    /// Who may this be? `year`: the present one.
    pub fn find(&self, record: &Record, weights: &Weights, year: u32) -> Answer {
        let matcher = Matcher { lexicon: self.lexicon(), weights, year };
        let (places, crowded) = self.candidates(record);
        let compared = places.len();
        let judged = |place: u32| Found { place, judged: matcher.judge(record, &self.records[place as usize]) };
        let all: Vec<Found> = places.into_iter().map(judged).collect();
        let mut found: Vec<Found> = all.iter().filter(|it| it.judged.grade != Grade::None).copied().collect();
        for it in found.iter_mut().filter(|it| it.judged.grade == Grade::Certain) {
            if self.has_rival(record, it, &all, &matcher) {
                it.judged = it.judged.in_doubt();
            }
        }
        self.refuse_two(&mut found);
        found.sort_by(|a, b| {
            (b.judged.grade, b.judged.score.total)
                .partial_cmp(&(a.judged.grade, a.judged.score.total))
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        Answer { found, crowded, compared }
    }

    /// Could somebody else be meant, on either side?
    fn has_rival(&self, record: &Record, found: &Found, all: &[Found], matcher: &Matcher<'_>) -> bool {
        if found.judged.is_beyond_rivals() {
            return false;
        }
        let bits = found.judged.rival_bits();
        let held = &self.records[found.place as usize];
        let third = |place: u32| &self.records[place as usize];
        let here = all.iter().filter(|it| it.place != found.place && bits <= it.judged.score.without_numbers());
        here.into_iter().any(|it| matcher.are_two(third(it.place), held))
            || self.candidates(held).0.into_iter().filter(|place| *place != found.place).any(|place| {
                let other = third(place);
                bits <= matcher.judge(held, other).score.without_numbers() && matcher.are_two(other, record)
            })
    }

    /// Certain of two people at once is certain of none.
    fn refuse_two(&self, found: &mut [Found]) {
        let certain: Vec<u64> = found
            .iter()
            .filter(|it| it.judged.grade == Grade::Certain)
            .map(|it| self.records[it.place as usize].number)
            .filter(|number| number.is_valid())
            .map(|number| number.value())
            .collect();
        if certain.windows(2).any(|pair| pair[0] != pair[1]) {
            for it in found.iter_mut().filter(|it| it.judged.grade == Grade::Certain) {
                it.judged.grade = Grade::Probable;
                it.judged.rule = Rule::JoinsTwo;
            }
        }
    }
}

/// The first place whose value is not less. Keys are spread evenly, so a guess by their size is nearly right.
fn lower_bound(keys: &[u64], value: u64) -> usize {
    let guess = ((u128::from(value) * keys.len() as u128) >> 64) as usize;
    let mut step = 64;
    let (mut low, mut high) = (guess, guess);
    while 0 < low && value <= keys[low - 1] {
        low = low.saturating_sub(step);
        step *= 4;
    }
    step = 64;
    while high < keys.len() && keys[high] < value {
        high = (high + step).min(keys.len());
        step *= 4;
    }
    low + keys[low..high].partition_point(|it| *it < value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const YEAR: u32 = 2026;

    fn index(people: &[(&str, &str, &str, &str, &str)]) -> Index {
        let mut normaliser = Normaliser::default();
        let records = people.iter().map(|it| normaliser.record(&written(it)).0).collect();
        Index::new(records, normaliser.lexicon)
    }

    fn written<'a>(person: &(&'a str, &'a str, &'a str, &'a str, &'a str)) -> Written<'a> {
        let (given_names, family_name, birth_date, nhs_number, postcode) = *person;
        Written {
            given_names,
            family_name,
            birth_date,
            nhs_number,
            nhs_number_status: "01",
            postcode,
            ..Written::default()
        }
    }

    fn look(index: &mut Index, person: (&str, &str, &str, &str, &str)) -> Vec<(u32, Grade)> {
        let record = index.pack(&written(&person)).0;
        let answer = index.find(&record, &Weights::default(), YEAR);
        answer.found.iter().map(|it| (it.place, it.judged.grade)).collect()
    }

    #[test]
    fn one_is_found_among_many_and_a_twin_is_not() {
        let mut index = index(&[
            ("Priya", "Nair", "1988-02-17", "9990000018", "NG2 4AB"),
            ("Peter", "Boyle", "1978-09-09", "9990000026", "L20 8DB"),
            ("Oswald", "Pike", "1951-11-30", "", "NG2 4AB"),
        ]);
        assert_eq!(look(&mut index, ("Priya", "Holt", "1988-02-17", "9990000018", "")), [(0, Grade::Certain)]);
        assert_eq!(look(&mut index, ("Paul", "Boyle", "1978-09-09", "9990000034", "L20 8DB")), []);
        assert_eq!(look(&mut index, ("Oswald", "Pike", "1951-11-30", "", "ng24ab")), [(2, Grade::Certain)]);
    }

    #[test]
    fn who_could_be_two_is_nobody_for_certain() {
        let mut index = index(&[
            ("Jai", "Patel", "1992-02-02", "9990000018", "NG2 4AB"),
            ("Jai", "Patel", "1992-02-02", "9990000026", "NG2 4AB"),
        ]);
        let found = look(&mut index, ("Jai", "Patel", "1992-02-02", "", "NG2 4AB"));
        assert_eq!(found.iter().map(|it| it.1).collect::<Vec<_>>(), [Grade::Probable; 2]);
    }

    #[test]
    fn what_was_added_is_found_before_and_after_it_is_merged() {
        let mut index = index(&[]);
        for (place, person) in
            [("Priya", "Nair", "1988-02-17", "9990000018", ""), ("Oswald", "Pike", "1951-11-30", "9990000026", "")]
                .iter()
                .enumerate()
        {
            let record = index.pack(&written(person)).0;
            assert_eq!(index.add(record), Some(place as u32));
            assert_eq!(look(&mut index, *person), [(place as u32, Grade::Certain)]);
            index.merge();
            assert_eq!(look(&mut index, *person), [(place as u32, Grade::Certain)]);
        }
    }

    proptest! {
        #[test]
        fn the_first_place_is_found(mut keys in proptest::collection::vec(any::<u64>(), 0..200), value in any::<u64>()) {
            keys.sort_unstable();
            prop_assert_eq!(lower_bound(&keys, value), keys.partition_point(|it| *it < value));
        }
    }
}
