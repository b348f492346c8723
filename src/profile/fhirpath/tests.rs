use proptest::prelude::*;

use super::*;
use crate::fhir::json::{Limits, read};
use crate::fhir::tape::Tape;
use crate::profile::facts::TypeId;

mod families;

const PATIENT: &str = r##"{"resourceType": "Patient", "id": "p", "active": true,
    "contained": [{"resourceType": "Organization", "id": "o", "name": "Org"}],
    "extension": [{"url": "urn:e", "valueString": "x"}, {"url": "urn:q", "valueQuantity":
        {"value": 2.50, "system": "http://unitsofmeasure.org", "code": "g"}}],
    "name": [{"use": "official", "family": "A\"b", "given": ["One", null, "Two"],
        "_given": [null, {"extension": [{"url": "urn:g", "valueCode": "c"}]}, {"id": "two"}]}, {"use": "usual", "given": ["Three"]}],
    "gender": "other", "birthDate": "1974-12-25", "_birthDate": {"id": "b", "extension": [{"url": "urn:t", "valueInteger": 7}]},
    "_deceasedBoolean": {"extension": [{"url": "urn:d", "valueDecimal": 1.0}]},
    "multipleBirthInteger": 3,
    "managingOrganization": {"reference": "#o"}}"##;

fn types(tape: &Tape<'_>) -> Vec<TypeId> {
    annotate(tape, r4())
}

fn tape(text: &str) -> Tape<'_> {
    read(text.as_bytes(), &Limits::default(), r4().names(), Vec::new()).unwrap()
}

/// The first contained resource, whatever is asked.
struct FirstContained<'t>(&'t Tape<'t>);

impl Resolver for FirstContained<'_> {
    fn resolve(&self, _: NodeId, reference: &str) -> Option<NodeId> {
        let contained = self.0.member(NodeId::ROOT, r4().names().find("contained"))?;
        if reference == "#o" { self.0.children(contained).next() } else { None }
    }
}

/// What an expression finds in a document, as texts; nodes that are no values as their places.
fn found_in(text: &str, expression: &str) -> Result<Vec<String>, String> {
    let tape = tape(text);
    let types = types(&tape);
    let resolver = FirstContained(&tape);
    let document = Document { tape: &tape, types: &types, facts: r4() };
    let now = "2026-11-22T10:00:00Z".parse().unwrap();
    let scope = Scope { now, resolver: Some(&resolver), ..Scope::of(document, NodeId::ROOT) };
    let expression = Expression::compile(expression, r4()).map_err(|error| error.to_string())?;
    let items = expression.evaluate(&scope).map_err(|error| error.to_string())?;
    let shown = |item: &Item<'_>| match item {
        Item::Node(node) if document.has_value(*node) => {
            tape.string(*node).unwrap_or(tape.raw(*node).into()).into_owned()
        }
        Item::Node(node) => format!("@{}", tape.place(*node)),
        Item::Boolean(value) => value.to_string(),
        Item::Integer(number) => number.to_string(),
        Item::Decimal(number) => number.to_string(),
        Item::String(text) => text.to_string(),
        Item::Moment(moment) => moment.to_string(),
        Item::Quantity(quantity) => quantity.to_string(),
        Item::Type { name, .. } => (*name).to_owned(),
    };
    Ok(items.iter().map(shown).collect())
}

/// Checks lines `expression => items`.
fn check(cases: &[(&str, &[&str])]) {
    for (expression, expected) in cases {
        let found = found_in(PATIENT, expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
        assert_eq!(found, *expected, "{expression}");
    }
}

fn check_errors(cases: &[(&str, EvalError)]) {
    for (expression, expected) in cases {
        assert_eq!(found_in(PATIENT, expression), Err(expected.to_string()), "{expression}");
    }
}

#[test]
fn what_cannot_be_run_is_refused_with_its_name() {
    let error = |text: &str| Expression::compile(text, r4()).unwrap_err();
    assert_eq!(error("name.foo()"), CompileError::UnknownFunction("foo".into()));
    assert_eq!(error("name.subsumes('a')"), CompileError::UnknownFunction("subsumes".into()));
    let arguments = CompileError::Arguments { function: "count".into(), fewest: 0, most: 0, found: 1 };
    assert_eq!(error("name.count(1)"), arguments);
    assert_eq!(error("name.givn"), CompileError::UnknownElement("givn".into()));
    assert_eq!(error("name is Foo"), CompileError::UnknownType("Foo".into()));
    assert_eq!(error("name is CDA.Patient"), CompileError::UnknownType("CDA.Patient".into()));
    assert_eq!(error("%foo"), CompileError::UnknownConstant("%foo".into()));
    assert_eq!(error("$foo"), CompileError::UnknownConstant("$foo".into()));
    assert_eq!(error("id.matches('(')"), CompileError::Pattern("(".into()));
    assert!(matches!(error("id.matches('((a{1000}){1000}){1000}')"), CompileError::Pattern(_)));
}

#[test]
fn verdicts_tell_nothing_from_false() {
    let tape = tape(PATIENT);
    let types = types(&tape);
    let scope = Scope::of(Document { tape: &tape, types: &types, facts: r4() }, NodeId::ROOT);
    let verdict = |text: &str| Expression::compile(text, r4()).unwrap().holds(&scope);
    assert_eq!(verdict("active"), Verdict::True);
    assert_eq!(verdict("name"), Verdict::True);
    assert_eq!(verdict("active.not()"), Verdict::False);
    assert_eq!(verdict("communication.language = 'a'"), Verdict::Empty);
    assert_eq!(verdict("name.given = 'a' and name"), Verdict::False);
    assert_eq!(verdict("name and active"), Verdict::Error(EvalError::NotSingle));
    assert_eq!(verdict("gender.memberOf('urn:v')"), Verdict::Error(EvalError::NotChecked("memberOf")));
    assert_eq!(verdict("conformsTo('urn:p')"), Verdict::Error(EvalError::NotChecked("conformsTo")));
    assert!(!Verdict::Empty.is_satisfied() && Verdict::Empty.is_not_violated());
    assert!(!Verdict::False.is_not_violated() && !Verdict::Error(EvalError::Type).is_not_violated());
}

/// A Bundle of so many entries, each with a full URL of its own.
fn bundle(entries: usize) -> String {
    let entry = |index| format!(r#"{{"fullUrl": "urn:uuid:{index}", "resource": {{"resourceType": "Basic"}}}}"#);
    let entries: Vec<String> = (0..entries).map(entry).collect();
    format!(r#"{{"resourceType": "Bundle", "type": "collection", "entry": [{}]}}"#, entries.join(","))
}

#[test]
fn work_grows_with_the_document_and_not_with_its_square() {
    let work = |entries: usize, expression: &str| {
        let text = bundle(entries);
        let tape = tape(&text);
        let types = types(&tape);
        let scope = Scope::of(Document { tape: &tape, types: &types, facts: r4() }, NodeId::ROOT);
        let expression = Expression::compile(expression, r4()).unwrap();
        let (found, steps) = expression.evaluate_counting(&scope);
        (found.map(|found| found.len()), steps)
    };
    for expression in [
        "entry.where(fullUrl.exists()).select(fullUrl&resource.meta.versionId).isDistinct()",
        "entry.all(request.exists() = (%resource.type = 'batch'))",
        "descendants().fullUrl.distinct().count()",
        "entry.fullUrl.intersect(entry.fullUrl).count()",
        "entry.exclude(entry.tail()).count()",
        "(entry | entry).count()",
        "entry.fullUrl.subsetOf(descendants().fullUrl)",
        "repeat(children()).count()",
    ] {
        let ((small, few), (large, many)) = (work(500, expression), work(5_000, expression));
        assert!(small.is_ok() && large.is_ok(), "{expression}: {small:?} {large:?}");
        assert!(many < few * 15, "{expression}: {few} and {many} steps");
    }
    // What asks everything of everything ends instead of taking for ever.
    let (found, steps) = work(5_000, "entry.all(fullUrl in %resource.entry.fullUrl)");
    assert_eq!(found, Err(EvalError::TooMuchWork));
    assert!(steps <= steps_max(30_000));
}

#[test]
fn what_grows_without_end_ends() {
    check_errors(&[
        (
            "(1|2|3|4|5|6|7|8).aggregate(iif($total.empty(), 'aaaaaaaa', $total & $total & $total & $total & $total & $total & $total & $total & $total & $total & $total & $total & $total & $total & $total & $total), {}).length()",
            EvalError::TooMuchWork,
        ),
        ("name.repeat(family & 'a' & $this.toString())", EvalError::TooMuchWork),
        ("1.repeat($this + 1)", EvalError::TooMuchWork),
        ("'a'.repeat($this & $this)", EvalError::TooMuchWork),
    ]);
}

/// A place for an expression in an expression.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "name",
        "name.given",
        "$this",
        "%resource",
        "{}",
        "1",
        "-2.50",
        "'a'",
        "true",
        "@2024-02",
        "@T10:30",
        "4 'mg'",
        "2 months",
        "$index",
        "$total",
        "birthDate",
        "Patient",
        "extension.value",
        "descendants()",
        "children()",
        "today()",
        "%ucum",
        "@2024-02-29T10:00:00+01:00",
        "9223372036854775807",
        "79228162514264337593543950335.99",
        "name.first().given.tail()",
    ])
    .prop_map(str::to_owned);
    let functions = vec![
        "count",
        "empty",
        "exists",
        "not",
        "first",
        "last",
        "tail",
        "single",
        "distinct",
        "isDistinct",
        "toString",
        "toInteger",
        "toDecimal",
        "toQuantity",
        "toDate",
        "toDateTime",
        "toTime",
        "toBoolean",
        "abs",
        "ceiling",
        "floor",
        "truncate",
        "sqrt",
        "ln",
        "exp",
        "round",
        "lowBoundary",
        "highBoundary",
        "precision",
        "type",
        "hasValue",
        "getValue",
        "length",
        "upper",
        "trim",
        "toChars",
        "resolve",
        "htmlChecks",
        "allTrue",
        "anyFalse",
        "descendants",
        "sort",
        "join",
        "convertsToQuantity",
    ];
    let functions_of_one = vec![
        "where",
        "select",
        "all",
        "exists",
        "repeat",
        "aggregate",
        "skip",
        "take",
        "combine",
        "union",
        "intersect",
        "exclude",
        "subsetOf",
        "supersetOf",
        "indexOf",
        "startsWith",
        "contains",
        "matches",
        "matchesFull",
        "split",
        "power",
        "log",
        "substring",
        "extension",
        "sort",
        "comparable",
        "lowBoundary",
        "round",
        "encode",
        "decode",
        "escape",
        "trace",
    ];
    let operators = vec![
        "+", "-", "*", "/", "div", "mod", "&", "|", "=", "!=", "~", "!~", "<", "<=", ">", ">=", "and", "or", "xor",
        "implies", "in", "contains",
    ];
    leaf.prop_recursive(5, 40, 3, move |inner| {
        prop_oneof![
            (inner.clone(), prop::sample::select(functions.clone())).prop_map(|(on, name)| format!("({on}).{name}()")),
            (inner.clone(), prop::sample::select(functions_of_one.clone()), inner.clone())
                .prop_map(|(on, name, given)| format!("({on}).{name}({given})")),
            (inner.clone(), prop::sample::select(operators.clone()), inner.clone())
                .prop_map(|(left, operator, right)| format!("({left} {operator} {right})")),
            (inner.clone(), inner.clone()).prop_map(|(on, index)| format!("({on})[{index}]")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("iif({a}, {b}, {c}).replace({b}, {c}).ofType(string)")),
            inner.prop_map(|on| format!("-({on})")),
        ]
    })
}

/// JSON with FHIR's names in places where they have no business.
fn document() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "null",
        "1",
        "-0.5e3",
        "true",
        r#""a""#,
        r#""1974-12-25""#,
        r##""#o""##,
        r#""\u00e9""#,
        "[]",
        "{}",
    ])
    .prop_map(str::to_owned);
    let names = vec![
        "name",
        "_name",
        "given",
        "_given",
        "extension",
        "url",
        "valueString",
        "_valueString",
        "value",
        "birthDate",
        "_birthDate",
        "id",
        "resourceType",
        "contained",
        "reference",
        "unknown",
        "_unknown",
        "deceasedBoolean",
        "_deceasedBoolean",
    ];
    leaf.prop_recursive(4, 30, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::btree_map(prop::sample::select(names.clone()), inner, 0..5).prop_map(|members| {
                let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
    .prop_map(|inner| {
        match inner.strip_prefix('{').filter(|rest| rest.len() > 1 && !rest.contains("\"resourceType\"")) {
            Some(rest) => format!(r#"{{"resourceType":"Patient",{rest}"#),
            None => inner,
        }
    })
}

proptest! {
    #[test]
    fn no_expression_and_no_document_is_too_much(expression in expression(), document in document()) {
        // Whatever it finds, it ends.
        let _ = found_in(PATIENT, &expression);
        let _ = found_in(&document, &expression);
    }

    #[test]
    fn no_text_is_too_much_to_read(text in "[ -~é]{0,60}", words in prop::collection::vec(prop::sample::select(vec![
        "name", ".", "(", ")", "[", "]", "'", "`", "@2024", "T10", ":", "-", "+", "is", "as", "and", "in", "%", "$", "this", "1", "//", "/*",
    ]), 0..20)) {
        for text in [text, words.concat(), words.join(" ")] {
            if let Ok(compiled) = Expression::compile(&text, r4()) {
                let tape = tape(PATIENT);
                let types = types(&tape);
                let _ = compiled.holds(&Scope::of(Document { tape: &tape, types: &types, facts: r4() }, NodeId::ROOT));
            }
        }
    }

    #[test]
    fn what_is_distinct_is_so_by_hash_and_one_by_one(numbers in prop::collection::vec(0_i64..30, 0..60)) {
        // Each number in one of three forms that are equal.
        let text = |(at, number): (usize, &i64)| match at % 3 {
            0 => number.to_string(),
            1 => format!("{number}.0"),
            _ => format!("{number}.00"),
        };
        let all: Vec<String> = numbers.iter().enumerate().map(text).collect();
        let list = all.iter().fold("{}".to_owned(), |list, number| format!("{list}.combine({number})"));
        let mut expected = numbers.clone();
        expected.sort_unstable();
        expected.dedup();
        // Chains are limited in depth; the others are refused and told so.
        if let Ok(found) = found_in(PATIENT, &format!("({list}).distinct().count()")) {
            prop_assert_eq!(found, vec![expected.len().to_string()]);
        } else {
            prop_assert!(50 < numbers.len());
        }
    }
}

/// The members without which an expression is met, as it is compiled.
fn met_without(expression: &str) -> Option<String> {
    let found = Expression::compile(expression, r4()).unwrap().met_without()?;
    Some(found.into_iter().map(|name| r4().names().name(name)).collect::<Vec<_>>().join(" "))
}

#[test]
fn what_speaks_of_something_absent_is_met() {
    const CASES: &[(&str, &str)] = &[
        ("category.empty()", "category"),
        ("category.coding.where(system = 'a').exists().not()", "category"),
        ("type != 'display' or (required.empty() and repeats.empty())", "repeats required"),
        ("type != 'display' or readOnly.empty() or category.text.empty()", "readOnly"),
        ("enableWhen.count() > 2 implies enableBehavior.exists()", "enableWhen"),
        ("type = 'group' implies item.empty().not() and initial.empty()", ""),
        ("repeats = true or initial.count() <= 1", "initial"),
        ("initial.count() >= 1", ""),
        ("enableWhen.all(question = 'a')", "enableWhen"),
        ("contained.select(id).isDistinct()", "contained"),
        ("extension('urn:x').empty()", "extension"),
        ("(category.exists() and text.exists()).not()", "category"),
        ("(category.exists() or text.exists()).not()", "category text"),
        ("category.exists() or text.exists()", ""),
        ("type = 'display'", ""),
        ("%resource.category.empty()", ""),
        ("children().empty()", ""),
        ("multipleBirth.empty()", "multipleBirth multipleBirthBoolean multipleBirthInteger"),
    ];
    for (expression, expected) in CASES {
        assert_eq!(met_without(expression).unwrap_or_default(), *expected, "{expression}");
        if !expected.is_empty() {
            assert_eq!(found_in("{}", expression), Ok(vec!["true".to_owned()]), "{expression}");
        }
    }
}

/// What is not run must be what would have been found.
#[test]
fn invariants_that_need_not_be_run_hold() {
    let definitions = crate::profile::base::definitions();
    let constraints = definitions.iter().flat_map(|it| &it.snapshot).flat_map(|it| &it.constraints);
    let expressions: std::collections::BTreeSet<&str> = constraints.filter_map(|it| it.expression.as_deref()).collect();
    let mut spared = 0;
    for text in expressions.iter().filter(|text| Expression::compile(text, r4()).is_ok()) {
        let expression = Expression::compile(text, r4()).unwrap();
        let Some(without) = expression.met_without() else { continue };
        spared += 1;
        assert!(!without.is_empty(), "{text}");
        // All members that any type has, but those.
        let others = r4().types().iter().flat_map(|kind| kind.fields()).map(|field| field.name_id);
        let others: std::collections::BTreeSet<_> = others.filter(|name| !without.contains(name)).collect();
        let members = others.iter().map(|name| format!("{:?}: \"a\"", r4().names().name(*name)));
        let full = format!("{{{}}}", members.collect::<Vec<_>>().join(", "));
        for document in ["{}", &full] {
            let tape = tape(document);
            let types = types(&tape);
            let document = Document { tape: &tape, types: &types, facts: r4() };
            let verdict = expression.holds(&Scope::of(document, NodeId::ROOT));
            assert!(matches!(verdict, Verdict::True | Verdict::Error(_)), "{text}: {verdict:?}");
        }
    }
    assert!(100 < spared, "{spared} of {}", expressions.len());
}
