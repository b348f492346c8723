//! One record against all that are held: how long a look-up takes, and how much memory the index.
//!
//! `cargo bench --bench matching -- 1000000` with the number of persons; 100,000 where none is given. The people are
//! made up here: names from syllables, the common ones as common as in this country, one home for three of them.

use std::time::Instant;

use hdrhistogram::Histogram;
use onward::reconcile::index::Index;
use onward::reconcile::normal::{Normaliser, Written};
use onward::reconcile::weight::Weights;
use rayon::prelude::*;

const LOOKUPS: usize = 200_000;
const YEAR: u32 = 2026;
const PART: usize = 250_000;

/// Numbers that look like chance, the same in every run (SplitMix64).
fn chance(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0x1234_5678);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// One of so many names. The most common of 4,000 has one in 60 people, the most common of 30,000 one in 110.
fn name(seed: u64, count: u64) -> String {
    let share = (chance(seed) >> 11) as f64 / (1u64 << 53) as f64;
    let steepness = if count < 20_000 { 2.0 } else { 2.2 };
    let mut rank = ((count as f64 * share.powf(steepness)) as u64).min(count - 1) + 1;
    let mut text = String::new();
    while 0 < rank {
        text.push(char::from(b"BDFGHKLMNPRSTVWZ"[(rank % 16) as usize]));
        text.push(char::from(b"aeiou"[(rank / 16 % 5) as usize]));
        rank /= 80;
    }
    text + "n"
}

struct Person([String; 7]);

fn person(at: u64) -> Person {
    let home = at / 3;
    let body = (at * 38_196_601 + 12_345) % 99_999_937;
    let number = onward::booking::nhs_number::NhsNumber::from_prefix(900_000_000 + body as u32);
    let day = chance(at ^ 0xB1);
    let letter = |seed: u64| char::from(b"ABDEFGHJLNPQRSTUWXYZ"[(chance(seed) % 20) as usize]);
    Person([
        number.map(|it| it.as_str().to_owned()).unwrap_or_default(),
        name(at ^ 0x61, 4_000),
        name(home ^ 0xFA, 30_000),
        format!("{}-{:02}-{:02}", 1936 + day % 89, 1 + day / 89 % 12, 1 + day / 1_068 % 28),
        format!("{} {} Road", chance(home) % 180 + 1, name(home ^ 0x57, 9_000)),
        format!("LS{} {}{}{}", chance(home ^ 1) % 29 + 1, chance(home ^ 2) % 9 + 1, letter(home ^ 3), letter(home ^ 4)),
        format!("07{:09}", chance(at ^ 7) % 1_000_000_000),
    ])
}

fn written(person: &Person) -> Written<'_> {
    let [nhs_number, given_names, family_name, birth_date, address, postcode, phone] = &person.0;
    Written {
        nhs_number,
        nhs_number_status: "01",
        given_names,
        family_name,
        birth_date,
        address,
        postcode,
        phone,
        gender: "female",
        ..Written::default()
    }
}

fn resident_mb() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|it| it.split_whitespace().next()?.parse::<usize>().ok()).unwrap_or(0) / 1024
}

fn build(count: usize) -> Index {
    let parts: Vec<_> = (0..count).step_by(PART).collect();
    let made: Vec<_> = parts
        .into_par_iter()
        .map(|begin| {
            let mut normaliser = Normaliser::default();
            let end = (begin + PART).min(count);
            let records: Vec<_> = (begin..end).map(|at| normaliser.record(&written(&person(at as u64))).0).collect();
            (records, normaliser.lexicon)
        })
        .collect();
    let mut lexicon = onward::reconcile::lexicon::Lexicon::default();
    let mut all = Vec::with_capacity(count);
    for (mut records, part) in made {
        let terms = lexicon.absorb(&part);
        records.iter_mut().for_each(|record| record.translate(&terms));
        all.append(&mut records);
    }
    let begin = Instant::now();
    let index = Index::new(all, lexicon);
    println!("{count} persons: keys sorted in {:.1} s", begin.elapsed().as_secs_f32());
    index
}

fn main() {
    let count = std::env::args().skip(1).find_map(|it| it.parse().ok()).unwrap_or(100_000);
    let begin = Instant::now();
    let mut index = build(count);
    println!(
        "ready in {:.1} s (people made up included), {} MB resident",
        begin.elapsed().as_secs_f32(),
        resident_mb()
    );
    let weights = Weights::default();
    let mut times = Histogram::<u64>::new(3).expect("three digits are allowed");
    let (mut found, mut compared) = (0, 0);
    for at in 0..LOOKUPS {
        let mut asked = person(chance(at as u64) % count as u64);
        // Every second one comes without a number, every fourth one moved.
        if at % 2 == 1 {
            asked.0[0].clear();
        }
        if at % 4 == 1 {
            (asked.0[4], asked.0[5]) = (String::new(), String::new());
        }
        let begin = Instant::now();
        let record = index.pack(&written(&asked)).0;
        let answer = index.find(&record, &weights, YEAR);
        // It resizes itself, so every time fits.
        times.record(begin.elapsed().as_nanos() as u64).expect("it grows");
        found += usize::from(!answer.found.is_empty());
        compared += answer.compared;
    }
    let micros = |quantile| times.value_at_quantile(quantile) as f64 / 1000.0;
    println!(
        "{LOOKUPS} look-ups: p50 {:.1} µs, p95 {:.1} µs, p99 {:.1} µs, p99.9 {:.1} µs; {found} found; {:.1} compared each",
        micros(0.5),
        micros(0.95),
        micros(0.99),
        micros(0.999),
        compared as f64 / LOOKUPS as f64
    );
}
