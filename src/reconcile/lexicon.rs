//! The texts of names, each kept once, with how often it is somebody's and what it is another form of.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::distance::sound;
use super::nickname;

/// A text in the lexicon; 0 stands for none.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(u32);

impl Term {
    /// Is there none?
    pub fn is_missing(self) -> bool {
        self.0 == 0
    }

    /// All bits, for keys.
    pub fn bits(self) -> u32 {
        self.0
    }
}

/// As what a text is used; frequencies are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// First or middle name.
    Given,
    /// Surname.
    Family,
    /// Street or town.
    Place,
}

/// Number of groups of nicknames that one name may belong to.
pub(super) const GROUPS_MAX: usize = 4;

#[derive(Clone)]
struct Entry {
    start: u32,
    len: u16,
    sound: u32,
    /// The text without blanks, so that `EL SAYED` and `ELSAYED` are one.
    squeezed: u64,
    groups: [u8; GROUPS_MAX],
    counts: [u32; 3],
    /// `log2(1 / frequency)` per usage, as of the last [`Lexicon::weigh`].
    bits: [f32; 2],
}

/// All texts.
pub struct Lexicon {
    texts: String,
    entries: Vec<Entry>,
    ids: HashMap<u64, Term, BuildHasherDefault<AsIs>>,
    /// Counted uses, per usage.
    totals: [u64; 3],
}

/// The keys are hashes already.
#[derive(Default)]
pub(super) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash(bytes);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
}

/// A number for a text, the same in every run. Equal numbers are taken for equal texts only where a name or a number
/// stands beside it.
pub fn hash(bytes: &[u8]) -> u64 {
    let mut state = 0x9E37_79B9_7F4A_7C15 ^ bytes.len() as u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        state = mix(state ^ u64::from_le_bytes(word), 0xE703_7ED1_A0B4_28DB);
    }
    mix(state, 0xA076_1D64_78BD_642F)
}

/// A number for several numbers, in their order.
pub fn hash_parts(parts: &[u64]) -> u64 {
    let mut state = 0x2545_F491_4F6C_DD1D;
    for part in parts {
        state = mix(state ^ part, 0xE703_7ED1_A0B4_28DB) ^ (state >> 29);
    }
    mix(state, 0xA076_1D64_78BD_642F)
}

/// The text without blanks, as a number.
fn squeezed(text: &str) -> u64 {
    let mut letters = [0; 64];
    let mut len = 0;
    for letter in text.bytes().filter(|it| *it != b' ').take(letters.len()) {
        letters[len] = letter;
        len += 1;
    }
    hash(&letters[..len])
}

impl Default for Lexicon {
    fn default() -> Self {
        let none =
            Entry { start: 0, len: 0, sound: 0, squeezed: 0, groups: [0; GROUPS_MAX], counts: [0; 3], bits: [0.0; 2] };
        Self { texts: String::new(), entries: vec![none], ids: HashMap::default(), totals: [0; 3] }
    }
}

impl Lexicon {
    /// The term of a folded text, which is added where it is new; and one more use of it.
    pub fn add(&mut self, text: &str, usage: Usage) -> Term {
        let term = self.intern(text);
        if !term.is_missing() {
            self.entries[term.0 as usize].counts[usage as usize] += 1;
            self.totals[usage as usize] += 1;
        }
        term
    }

    /// The term of a folded text, which is added where it is new.
    pub fn intern(&mut self, text: &str) -> Term {
        let text = &text[..text.len().min(120)];
        if text.is_empty() {
            return Term(0);
        }
        let mut key = hash(text.as_bytes());
        // Two texts with one number are told apart: the second one gets the next number.
        while let Some(found) = self.ids.get(&key) {
            if self.text(*found) == text {
                return *found;
            }
            key = key.wrapping_add(1);
        }
        let Ok(id) = u32::try_from(self.entries.len()) else { return Term(0) };
        let Ok(start) = u32::try_from(self.texts.len()) else { return Term(0) };
        self.texts.push_str(text);
        let first = text.split(' ').next().unwrap_or_default();
        self.entries.push(Entry {
            start,
            len: text.len() as u16,
            sound: sound(text),
            squeezed: squeezed(text),
            groups: nickname::groups(first),
            counts: [0; 3],
            bits: [f32::NAN; 2],
        });
        self.ids.insert(key, Term(id));
        Term(id)
    }

    /// The term of a folded text, where it is known.
    pub fn find(&self, text: &str) -> Option<Term> {
        let mut key = hash(text.as_bytes());
        loop {
            let found = *self.ids.get(&key)?;
            if self.text(found) == text {
                return Some(found);
            }
            key = key.wrapping_add(1);
        }
    }

    fn entry(&self, term: Term) -> &Entry {
        &self.entries[term.0 as usize]
    }

    /// The text.
    pub fn text(&self, term: Term) -> &str {
        let entry = self.entry(term);
        &self.texts[entry.start as usize..entry.start as usize + usize::from(entry.len)]
    }

    /// How it sounds.
    pub fn sound(&self, term: Term) -> u32 {
        self.entry(term).sound
    }

    /// The text without blanks, as a number.
    pub fn squeezed(&self, term: Term) -> u64 {
        self.entry(term).squeezed
    }

    /// Are both forms of one name, such as William and Bill?
    pub fn are_forms_of_one(&self, a: Term, b: Term) -> bool {
        let others = self.entry(b).groups;
        self.entry(a).groups.iter().any(|group| *group != 0 && others.contains(group))
    }

    /// How many bits it tells that two people have this first name or surname.
    pub fn bits(&self, term: Term, usage: Usage) -> f32 {
        let known = self.entry(term).bits[usage as usize % 2];
        if known.is_nan() { self.measure(self.entry(term), usage) } else { known }
    }

    fn measure(&self, entry: &Entry, usage: Usage) -> f32 {
        let text = &self.texts[entry.start as usize..entry.start as usize + usize::from(entry.len)];
        let (count, total) = (f64::from(entry.counts[usage as usize]), self.totals[usage as usize] as f64);
        let prior = nickname::frequency(text, usage == Usage::Family);
        let frequency = (count + PRIOR_RECORDS * prior) / (total + PRIOR_RECORDS);
        -frequency.log2() as f32
    }

    /// Works out the frequencies from what was counted, tempered by those of the country.
    pub fn weigh(&mut self) {
        for at in 1..self.entries.len() {
            let bits = [Usage::Given, Usage::Family].map(|usage| self.measure(&self.entries[at], usage));
            self.entries[at].bits = bits;
        }
    }

    /// Names weigh what they weigh in the country, whoever else was read.
    pub fn forget_uses(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.counts = [0; 3]);
        self.totals = [0; 3];
    }

    /// Takes another lexicon in; answers what each of its terms is here.
    pub fn absorb(&mut self, other: &Self) -> Vec<Term> {
        let mut terms = vec![Term(0)];
        for at in 1..other.entries.len() {
            let term = self.intern(other.text(Term(at as u32)));
            let counts = other.entries[at].counts;
            for (own, added) in self.entries[term.0 as usize].counts.iter_mut().zip(counts) {
                *own += added;
            }
            terms.push(term);
        }
        for (own, added) in self.totals.iter_mut().zip(other.totals) {
            *own += added;
        }
        terms
    }

    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.entries.len() - 1
    }

    /// Are there no texts?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How many records the country's frequencies weigh as much as.
const PRIOR_RECORDS: f64 = 5_000.0;

impl Term {
    /// Its place in the list that [`Lexicon::absorb`] answers.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_once_and_common_ones_tell_less() {
        let mut lexicon = Lexicon::default();
        let smith = lexicon.add("SMITH", Usage::Family);
        assert!(lexicon.add("SMITH", Usage::Family) == smith);
        let rare = lexicon.add("ZAWADZKI", Usage::Family);
        assert_eq!(lexicon.text(rare), "ZAWADZKI");
        assert!(lexicon.bits(smith, Usage::Family) < lexicon.bits(rare, Usage::Family));
        lexicon.weigh();
        assert!(lexicon.bits(smith, Usage::Family) < 7.0 && 11.0 < lexicon.bits(rare, Usage::Family));
        assert_eq!(lexicon.len(), 2);
        assert!(lexicon.intern("").is_missing());
    }

    #[test]
    fn what_is_absorbed_is_counted_together() {
        let (mut a, mut b) = (Lexicon::default(), Lexicon::default());
        a.add("ANNA", Usage::Given);
        b.add("BILL", Usage::Given);
        let anna = b.add("ANNA", Usage::Given);
        let terms = a.absorb(&b);
        assert_eq!(a.text(terms[anna.index()]), "ANNA");
        assert_eq!(a.len(), 2);
        assert_eq!(a.totals, [3, 0, 0]);
    }

    #[test]
    fn blanks_do_not_count() {
        let mut lexicon = Lexicon::default();
        let (a, b) = (lexicon.intern("EL SAYED"), lexicon.intern("ELSAYED"));
        assert_eq!(lexicon.squeezed(a), lexicon.squeezed(b));
        assert_eq!(lexicon.sound(a), lexicon.sound(b));
    }
}
