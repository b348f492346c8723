//! Weights from a file of one's own: expectation and maximisation over pairs that share a key.
//!
//! `u`, how often a level comes up between two different people, is counted on pairs taken across the file. `m`, how
//! often it comes up between two records of one person, is estimated on the pairs that share a key, of which nobody has
//! said which are one person's (Fellegi and Sunter 1969; Winkler 1988 for the estimation). What is estimated is
//! tempered by the shipped weights, so that a level that hardly ever comes up does not get a weight by chance.

use rayon::prelude::*;

use super::batch;
use super::compare::{ALL, Comparison, FIELDS, LEVELS_MAX, compare};
use super::lexicon::Lexicon;
use super::normal::Record;
use super::weight::Weights;

/// Pairs that are looked at, at most.
const PAIRS_MAX: usize = 2_000_000;
const ROUNDS_MAX: usize = 100;
/// So many pairs' worth the shipped weights count.
const PRIOR_PAIRS: f64 = 20.0;

/// What was estimated.
pub struct Trained {
    /// The weights.
    pub weights: Weights,
    /// Pairs that share a key.
    pub pairs: usize,
    /// Which part of them are one person's.
    pub share: f64,
    /// Rounds until nothing changed any more.
    pub rounds: usize,
}

type Table = [[f64; LEVELS_MAX]; FIELDS];

/// Estimates weights from records. `None`: there are too few pairs to tell anything.
pub fn train(records: &[Record], lexicon: &mut Lexicon, shipped: &Weights) -> Option<Trained> {
    lexicon.weigh();
    let candidates = batch::keyed_pairs(records, lexicon);
    let step = candidates.len().div_ceil(PAIRS_MAX).max(1);
    let compared = |pairs: Vec<(u32, u32)>| -> Vec<Comparison> {
        let both = |(a, b): (u32, u32)| compare(&records[a as usize], &records[b as usize], lexicon);
        pairs.into_par_iter().map(both).collect()
    };
    let places = candidates.iter().step_by(step).map(|both| ((both >> 32) as u32, *both as u32)).collect();
    let blocked: Vec<Comparison> = compared(places);
    let chance = compared(across(records.len()));
    if blocked.len() < 50 || chance.len() < 50 {
        return None;
    }
    let u = shares(chance.iter().map(|it| (it, 1.0)), &Table::default());
    // What `u` is counted on is any two records, so the chance before any evidence is that of any two records too.
    let any_two = records.len() as f64 * (records.len() as f64 - 1.0) / 2.0 / step as f64;
    let (m, share, rounds) = maximise(&blocked, any_two, &u, shipped);
    let mut weights = shipped.clone();
    for field in ALL {
        for level in 1..field.levels().len() {
            let bits = (m[field as usize][level] / u[field as usize][level]).log2();
            weights.set(field, level as u8, bits.clamp(-20.0, 20.0) as f32);
        }
    }
    Some(Trained { weights, pairs: blocked.len(), share, rounds })
}

/// Pairs across the file, without choosing: each record and the ones at a few fixed distances.
fn across(records: usize) -> Vec<(u32, u32)> {
    let records = records as u64;
    let distances = [1, 7, 31, 127, 1_009, 10_007];
    let pairs = (0..records).flat_map(|at| distances.iter().map(move |it| (at, (at * 31 + it) % records)));
    pairs.filter(|(a, b)| a != b).take(PAIRS_MAX).map(|(a, b)| (a as u32, b as u32)).collect()
}

/// How often each level comes up, among the pairs that have the field.
fn shares<'a>(pairs: impl Iterator<Item = (&'a Comparison, f64)>, prior: &Table) -> Table {
    let mut counts = *prior;
    for (pair, weight) in pairs {
        for field in ALL {
            counts[field as usize][usize::from(pair.level(field))] += weight;
        }
    }
    for (field, levels) in ALL.iter().zip(counts.iter_mut()) {
        let known = field.levels().len();
        let total: f64 = levels[1..known].iter().sum::<f64>() + 0.5 * (known - 1) as f64;
        levels[1..known].iter_mut().for_each(|it| *it = (*it + 0.5) / total);
        levels[0] = 1.0;
    }
    counts
}

fn maximise(pairs: &[Comparison], any_two: f64, u: &Table, shipped: &Weights) -> (Table, f64, usize) {
    let mut m = Table::default();
    let mut prior = Table::default();
    for field in ALL {
        let levels = 1..field.levels().len();
        let raw = |level: usize| u[field as usize][level] * f64::from(shipped.bits(field, level as u8)).exp2();
        let total: f64 = levels.clone().map(raw).sum();
        for level in levels {
            m[field as usize][level] = raw(level) / total;
            prior[field as usize][level] = PRIOR_PAIRS * raw(level) / total;
        }
        m[field as usize][0] = 1.0;
    }
    let mut share: f64 = 0.1;
    for round in 1..=ROUNDS_MAX {
        let odds = |pair: &Comparison| {
            let ratio = |field: super::compare::Field| {
                let level = usize::from(pair.level(field));
                (m[field as usize][level] / u[field as usize][level]).log2()
            };
            let bits: f64 = ALL.into_iter().map(ratio).sum::<f64>() + (share * pairs.len() as f64 / any_two).log2();
            1.0 / (1.0 + (-bits).exp2())
        };
        let chances: Vec<f64> = pairs.par_iter().map(odds).collect();
        let next = shares(pairs.iter().zip(chances.iter().copied()), &prior);
        let next_share = (chances.iter().sum::<f64>() / pairs.len() as f64).clamp(1e-6, 1.0 - 1e-6);
        let moved = (next_share - share).abs();
        (m, share) = (next, next_share);
        if moved < 1e-6 {
            return (m, share, round);
        }
    }
    (m, share, ROUNDS_MAX)
}
