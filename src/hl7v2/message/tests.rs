//! What is read, and what is refused.

use super::*;

const SAMPLE: &[u8] = b"MSH|^~\\&|A|B|C|D|20261121||ADT^A31|x\\F\\1|P|2.4\rPID|1||9990000018^^^NHS&2.16&ISO^NH~77^^^RH8^PI||O'Neill^Zo\\XC3AB\\||\"\"|1\rZZZ|what^ever\rNTE|1||one\rNTE|2||two";

fn text(message: &Message<'_>, path: &str) -> Option<String> {
    message.get(Path::parse(path).unwrap()).text().map(Cow::into_owned)
}

#[test]
fn finds_what_stands_at_a_place() {
    let message = Message::parse(SAMPLE).unwrap();
    for (path, expected) in [
        ("MSH-1", "|"),
        ("MSH-2", "^~\\&"),
        ("MSH-3", "A"),
        ("MSH-9.2", "A31"),
        ("MSH-10", "x|1"),
        ("PID-3.1", "9990000018"),
        ("PID-3.4.1", "NHS"),
        ("PID-3.4.2", "2.16"),
        ("PID-3[2].5", "PI"),
        ("PID-1.1.1", "1"),
        ("ZZZ-1.2", "ever"),
        ("NTE[2]-3", "two"),
    ] {
        assert_eq!(text(&message, path).as_deref(), Some(expected), "{path}");
    }
    assert_eq!((message.len(), message.segments().len()), (5, 5));
}

#[test]
fn absent_null_and_present_are_three_things() {
    let message = Message::parse(SAMPLE).unwrap();
    let get = |path: &str| message.get(Path::parse(path).unwrap());
    assert!(get("PID-7").is_null() && get("PID-7.2.1").is_null());
    assert!(get("PID-2").is_absent() && get("PID-99").is_absent() && get("PID[2]-1").is_absent());
    assert!(get("PID-3.2").is_absent() && get("PID-3[3].1").is_absent() && get("PV1-1").is_absent());
    assert!(matches!(get("PID-8"), Value::Present(_)));
    assert!(get("PID-7").text().is_none());
}

#[test]
fn tolerates_what_real_senders_do() {
    let header = "MSH|^~\\&|A";
    for body in [
        format!("{header}\rPID|1\r"),
        format!("{header}\nPID|1"),
        format!("{header}\r\nPID|1\r\n"),
        format!("\u{feff}\r\n{header}\r\r\n\nPID|1\r\x1a"),
    ] {
        let message = Message::parse(body.as_bytes()).unwrap();
        assert_eq!(text(&message, "PID-1").as_deref(), Some("1"), "{body:?}");
        assert_eq!(message.segments().len(), 2, "{body:?}");
    }
}

#[test]
fn says_why_bytes_are_not_a_message() {
    for (bytes, error) in [
        (&b""[..], ParseError::Empty),
        (b"\r\n \x1a", ParseError::Empty),
        (b"PID|1", ParseError::NoHeader),
        (b"MS", ParseError::NoHeader),
        (b"MSH", ParseError::Delimiters),
        (b"MSH|^^~&|", ParseError::Delimiters),
    ] {
        assert_eq!(Message::parse(bytes).err(), Some(error), "{}", bytes.escape_ascii());
    }
}

#[test]
fn holds_its_limits() {
    let limits =
        Limits { message_bytes_max: 200, segments_max: 3, fields_max: 9, repetitions_max: 2, field_bytes_max: 20 };
    let parse = |body: &str| Message::parse_within(format!("MSH|^~\\&|A\r{body}").as_bytes(), &limits).err();
    assert_eq!(parse("PID|1\rPV1|1"), None);
    assert_eq!(parse("PID|1\rPV1|1\rNTE|1"), Some(ParseError::TooManySegments { max: 3 }));
    assert_eq!(parse("PID|||||||||"), None);
    assert_eq!(parse("PID||||||||||"), Some(ParseError::TooManyFields { segment: 2, max: 9 }));
    assert_eq!(parse("PID|a~b"), None);
    assert_eq!(parse("PID|a~b~c"), Some(ParseError::TooManyRepetitions { segment: 2, field: 1, max: 2 }));
    let long = "x".repeat(21);
    assert_eq!(parse(&format!("PID||{long}")), Some(ParseError::FieldTooLarge { segment: 2, field: 2, max: 20 }));
    assert_eq!(parse(&format!("OBX|||||{long}")), None);
    assert_eq!(parse(&"x".repeat(200)), Some(ParseError::TooLarge { max: 200 }));
}

#[test]
fn no_byte_makes_it_panic() {
    let mut seed = 7_u64;
    for _ in 0..20_000 {
        let mut bytes = b"MSH|^~\\&|".to_vec();
        for _ in 0..40 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            bytes.push(b"|^~\\&\r\n\"MSHPID1X.\xff\x0b\x1c"[(seed >> 33) as usize % 20]);
        }
        let from = (seed >> 40) as usize % 10;
        if let Ok(message) = Message::parse(&bytes[from..]) {
            for segment in message.segments() {
                segment.name();
                (0..12).for_each(|n| drop((0..4).map(|c| segment.field(n).get(1, c, c).bytes()).collect::<Vec<_>>()));
            }
        }
    }
}

proptest::proptest! {
    #[test]
    fn fields_joined_again_are_the_segment(raw in "(PID|ZZ1|NTE)(\\|[A-Z^~&\"]{0,6}){0,9}") {
        let bytes = format!("MSH|^~\\&|\r{raw}\r");
        let message = Message::parse(bytes.as_bytes()).unwrap();
        let segment = message.segments().nth(1).unwrap();
        let count = raw.matches('|').count() as u16;
        let fields: Vec<_> = (1..=count).map(|number| segment.field(number).raw()).collect();
        let joined = std::iter::once(segment.name()).chain(fields).collect::<Vec<_>>().join(&b'|');
        assert_eq!(joined, raw.as_bytes());
    }
}
