//! Reading HL7 v2: `cargo bench --bench hl7v2`. The messages are made here: admissions of about 0.9 kB as hospitals
//! send them, one of 3,000 segments, and one with a document of 1.3 MB.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use onward::hl7v2::charset::{Fallback, decode};
use onward::hl7v2::message::{Limits, Message};
use onward::hl7v2::path::Path;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a booking gateway reads of an admission.
const FIELDS: [Path; 20] = [
    Path::of("MSH-3"),
    Path::of("MSH-4"),
    Path::of("MSH-7"),
    Path::of("MSH-9.1"),
    Path::of("MSH-9.2"),
    Path::of("MSH-10"),
    Path::of("MSH-11"),
    Path::of("MSH-12"),
    Path::of("EVN-2"),
    Path::of("EVN-6"),
    Path::of("PID-3.1"),
    Path::of("PID-3[2].1"),
    Path::of("PID-3[2].4.1"),
    Path::of("PID-5.1"),
    Path::of("PID-5.2"),
    Path::of("PID-7"),
    Path::of("PID-11.5"),
    Path::of("PID-32"),
    Path::of("PV1-19.1"),
    Path::of("PV2-8"),
];

fn admission(n: usize) -> String {
    let mut text = format!(
        "MSH|^~\\&|PAS|RXX01|ONWARD|RXX|2026030109{:02}00||ADT^A05^ADT_A05|M{n:07}|T|2.4|||AL|NE|GBR|UNICODE UTF-8|EN\r",
        n % 60
    );
    let _ = write!(text, "EVN|A05|20260301091500||200|U{n:05}^CLERK^A||\r");
    let _ = write!(
        text,
        "PID|1||9990000018^^^NHS^NH~D{n:07}^^^RXX01^MR||TESTER{n}^ONE^MIDDLE^^MR^^L~NICK^^^^^^N||19800101|1|||{} MIDDLE \
         MEAD^^ROCHFORD^ESSEX^SS4 1RL^GBR^H||01702000000^PRN^PH~07700900123^PRS^CP|02079460000^WPN^PH|EN|M||||||A|||||\
         |||||NSTS01\r",
        n % 200
    );
    text.push_str("PD1|||RIVERMEAD GATE^^F81071~BRANCH^^F81071001|G8333795^SINGH^SK^^^DR^^^GMP\r");
    text.push_str("NK1|1|TESTER^TWO^^^MRS|2|2 MIDDLE MEAD^^ROCHFORD^ESSEX^SS4 1RL^GBR|01702000000^PRN^PH\r");
    let _ = write!(
        text,
        "PV1|1|O|ORTHO1^Fracture clinic^^RXX01||||C3430343^GREWAL^R^^^MS^^^CONS||C3430343^GREWAL^R^^^MS^^^CONS|110|||\
         ||||||OP{n:08}AP^^^RXX01^VN\r"
    );
    text.push_str("PV2||||||||20260317093000|||||||||||||||||01\rZU1|20260301||||110||||||||03A|1|20260225|20260220\r");
    text.push_str("ZU3|||NS|NOOUT||||||||01\r");
    text
}

/// Its header and the fields of the others.
fn read_twenty(message: &Message<'_>) -> usize {
    FIELDS.iter().map(|path| message.get(*path).raw().len()).sum()
}

fn admissions(c: &mut Criterion) {
    let corpus: Vec<String> = (0..1_000).map(admission).collect();
    let bytes: usize = corpus.iter().map(String::len).sum();
    assert!((800..1_000).contains(&(bytes / corpus.len())), "{}", bytes / corpus.len());
    let mut group = c.benchmark_group("admissions, 1,000");
    group.throughput(Throughput::Elements(corpus.len() as u64));
    group.bench_function("parse and read 20 fields", |b| {
        b.iter(|| {
            let read = |text: &String| read_twenty(&Message::parse(black_box(text.as_bytes())).expect("a message"));
            corpus.iter().map(read).sum::<usize>()
        });
    });
    group.bench_function("decode, parse and read 20 fields as text", |b| {
        b.iter(|| {
            let read = |text: &String| {
                let decoded = decode(black_box(text.as_bytes()), &Fallback::default()).expect("UTF-8");
                let message = Message::parse(decoded.text.as_bytes()).expect("a message");
                FIELDS.iter().filter_map(|path| message.get(*path).text().map(|text| text.len())).sum::<usize>()
            };
            corpus.iter().map(read).sum::<usize>()
        });
    });
    group.finish();
}

fn large(c: &mut Criterion) {
    let mut many = admission(1);
    for n in 1..=3_000 {
        let _ = write!(many, "OBX|{n}|NM|GLU^Glucose^L||{}|mmol/L|3.9-5.8|N|||F|||20260301091500\r", n % 20);
    }
    let mut document = admission(2);
    let _ = write!(document, "OBX|1|ED|LETTER^Letter||^application^pdf^Base64^{}\r", "QUJD".repeat(325_000));
    let mut group = c.benchmark_group("large");
    for (name, text) in [("3,000 segments", &many), ("a document of 1.3 MB", &document)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| {
            b.iter_batched(
                || text.as_bytes(),
                |bytes| read_twenty(&Message::parse_within(black_box(bytes), &Limits::default()).expect("a message")),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, admissions, large);
criterion_main!(benches);
