use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(text: &str) -> Result<Value, JsonError> {
    parse(text.as_bytes(), &Limits::default())
}

fn fault(text: &str) -> JsonFault {
    read(text).unwrap_err().kind
}

#[test]
fn values_are_read_as_serde_json_reads_them() {
    let text = r#" { "a" : [ 1, -2.50, true, false, null, "x", {}, [] ], "b\n": {"c": "\u00e9\ud83d\ude00/\/"} } "#;
    let expected = json!({"a": [1, -2.5, true, false, null, "x", {}, []], "b\n": {"c": "é😀//"}});
    let found = read(text).unwrap();
    assert_eq!(found.to_string().replace("-2.50", "-2.5"), expected.to_string());
}

#[test]
fn numbers_keep_their_digits() {
    for digits in ["0", "-0", "1.00", "1E5", "1e+05", "-12.3400E-02", "123456789012345678901234567890.10"] {
        assert_eq!(read(digits).unwrap().to_string(), digits);
    }
}

#[test]
fn keys_keep_their_order() {
    assert_eq!(read(r#"{"z":1,"a":2,"m":3}"#).unwrap().to_string(), r#"{"z":1,"a":2,"m":3}"#);
}

#[test]
fn every_fault_has_its_kind() {
    let cases = [
        ("", JsonFault::Empty),
        (" \n", JsonFault::Empty),
        ("{", JsonFault::Unfinished),
        ("[1", JsonFault::Unfinished),
        ("\"ab", JsonFault::Unfinished),
        ("\"ab\\", JsonFault::Unfinished),
        ("\"ab\\u00", JsonFault::Unfinished),
        ("tru", JsonFault::Unfinished),
        ("-", JsonFault::Unfinished),
        ("{} {}", JsonFault::Trailing),
        ("{\"a\":}", JsonFault::Value),
        ("[1,]", JsonFault::Value),
        ("NaN", JsonFault::Value),
        ("nil", JsonFault::Value),
        ("{a:1}", JsonFault::Name),
        ("{\"a\":1,}", JsonFault::Name),
        ("{\"a\" 1}", JsonFault::Colon),
        ("[1 2]", JsonFault::Separator),
        ("[1}", JsonFault::Separator),
        ("01", JsonFault::Number),
        ("1.x", JsonFault::Number),
        ("1e+]", JsonFault::Number),
        ("-a", JsonFault::Number),
        ("1.2.3", JsonFault::Number),
        ("\"\\x\"", JsonFault::Escape),
        ("\"\\u12g4\"", JsonFault::Escape),
        ("\"\\u+123\"", JsonFault::Escape),
        ("\"\\ud800\"", JsonFault::Surrogate),
        ("\"\\udc00\"", JsonFault::Surrogate),
        ("\"\\ud800\\u0041\"", JsonFault::Surrogate),
        ("\"a\tb\"", JsonFault::Control),
        ("\"0123456789\n\"", JsonFault::Control),
        ("\u{feff}{}", JsonFault::ByteOrderMark),
        ("{\"a\":1,\"b\":2,\"a\":3}", JsonFault::DuplicateKey),
        ("{\"a\":1,\"\\u0061\":3}", JsonFault::DuplicateKey),
    ];
    for (text, kind) in cases {
        assert_eq!(fault(text), kind, "{text:?}");
    }
}

#[test]
fn a_fault_is_placed() {
    let text = "{\n \"resourceType\": \"Bundle\",\n \"entry\": [{}, {\"resource\": {\"é\": 1, \"status\": x}}]}";
    let error = read(text).unwrap_err();
    assert_eq!(error.place, "Bundle.entry[1].resource.status");
    assert_eq!((error.line, error.column), (3, 48));
    assert_eq!(&text[error.offset..error.offset + 1], "x");
}

#[test]
fn a_key_that_is_there_twice_is_placed_at_its_second_use() {
    let error = read(r#"{"entry":[{"resourceType":"1","id":"1","id":"2"}],"resourceType":"Bundle"}"#).unwrap_err();
    assert_eq!((error.place.as_str(), error.offset), ("entry[0].id", 39));
    assert_eq!(error.issue().code.id, "ONW-2002");
}

#[test]
fn bytes_that_are_not_utf8_are_placed() {
    let error = parse(b"{\"a\":\"\xE9\"}", &Limits::default()).unwrap_err();
    assert_eq!((error.kind, error.offset), (JsonFault::Utf8, 6));
}

#[test]
fn limits_hold() {
    let limits = Limits { bytes_max: 40, depth_max: 3, values_max: 5 };
    let kind = |text: &str| parse(text.as_bytes(), &limits).map_err(|error| error.kind);
    assert!(kind("[[[1]]]").is_ok());
    assert_eq!(kind("[[[[1]]]]"), Err(JsonFault::TooDeep));
    assert_eq!(kind("[1,2,3,4,5]"), Err(JsonFault::TooManyValues));
    assert_eq!(kind(&"1".repeat(41)), Err(JsonFault::TooLarge));
}

#[test]
fn a_tower_of_brackets_is_refused_without_recursion() {
    let limits = Limits { depth_max: usize::MAX, ..Limits::default() };
    for open in ["[", "{\"a\":"] {
        let error = parse(open.repeat(100_000).as_bytes(), &limits).unwrap_err();
        assert_eq!(error.kind, JsonFault::TooDeep);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::from),
        ".{0,20}".prop_map(Value::String),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
            prop::collection::vec((".{0,12}", inner), 0..8).prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_serde_writes_is_read_back(value in any_json()) {
        let compact = value.to_string();
        prop_assert_eq!(read(&compact).unwrap().to_string(), compact.clone());
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(read(&pretty).unwrap().to_string(), compact);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes, &Limits::default());
    }

    #[test]
    fn a_mutated_text_is_judged_as_serde_judges_it(
        value in any_json(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut bytes = value.to_string().into_bytes();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        let ours = parse(&bytes, &Limits::default());
        let theirs = serde_json::from_slice::<Value>(&bytes);
        let stricter = matches!(&ours, Err(error) if error.kind == JsonFault::DuplicateKey);
        prop_assert!(ours.is_ok() == theirs.is_ok() || stricter, "{ours:?} {theirs:?}");
    }
}
