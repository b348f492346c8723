use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::fhir::json::parse;
use crate::profile::facts::r4;
use crate::profile::xml::{read, write};

fn limits() -> Limits {
    Limits::default()
}

fn parsed(xml: &str) -> Parsed {
    read(xml.as_bytes(), &limits()).unwrap_or_else(|error| panic!("{error}: {xml}"))
}

/// A patient with this inside.
fn patient(inside: &str) -> String {
    format!("<Patient xmlns=\"http://hl7.org/fhir\">{inside}</Patient>")
}

fn as_json(xml: &str) -> Value {
    let parsed = parsed(xml);
    assert!(parsed.issues.is_empty(), "{:?}", parsed.issues);
    parse(&parsed.json, &limits()).unwrap()
}

fn fault(xml: impl AsRef<[u8]>) -> XmlFault {
    match read(xml.as_ref(), &limits()) {
        Err(error) => error.kind,
        Ok(parsed) => panic!("it was read: {}", String::from_utf8_lossy(&parsed.json)),
    }
}

/// Code, place and position of everything that was found.
fn found(xml: &str) -> Vec<(&'static str, String, (u32, u32))> {
    let brief = |issue: &Issue| (issue.code.id, issue.at.clone(), issue.position.unwrap());
    parsed(xml).issues.iter().map(brief).collect()
}

#[test]
fn elements_get_the_shape_of_their_type() {
    let xml = patient(
        "<id value='p'/><active value='true'/><name id='n'><family value='A'/><given value='B'/><given value='C'/>\
         </name><multipleBirthInteger value='+2'/>",
    );
    let expected = r#"{"resourceType":"Patient","id":"p","active":true,"name":[{"id":"n","family":"A","given":["B","C"]}],"multipleBirthInteger":2}"#;
    assert_eq!(String::from_utf8(parsed(&xml).json).unwrap(), expected);
}

#[test]
fn numbers_keep_their_digits_and_wrong_ones_are_strings() {
    for (digits, expected) in [
        ("1.50", "1.50"),
        ("-0.0E-05", "-0.0E-05"),
        ("123456789012345678901234567890.10", "123456789012345678901234567890.10"),
        ("+1", "\"+1\""),
        (".5", "\".5\""),
        ("01", "\"01\""),
        ("1.", "\"1.\""),
        ("1e", "\"1e\""),
        ("", "\"\""),
        ("-", "\"-\""),
        (" 1", "\" 1\""),
        ("NaN", "\"NaN\""),
    ] {
        let xml = format!(
            "<Observation xmlns='http://hl7.org/fhir'><valueQuantity><value value='{digits}'/></valueQuantity></Observation>"
        );
        let expected = format!(r#"{{"resourceType":"Observation","valueQuantity":{{"value":{expected}}}}}"#);
        assert_eq!(String::from_utf8(parsed(&xml).json).unwrap(), expected);
    }
    assert_eq!(as_json(&patient("<active value='yes'/>"))["active"], json!("yes"));
}

#[test]
fn ids_and_extensions_of_primitives_are_kept_in_step() {
    let extension = "<extension url='u'><valueCode value='c'/></extension>";
    let inner = json!({"extension": [{"url": "u", "valueCode": "c"}]});
    let xml = patient(&format!(
        "<name><given value='A'/><given>{extension}</given><given id='i' value='B'/></name><birthDate>{extension}</birthDate>"
    ));
    let expected = json!({
        "resourceType": "Patient",
        "name": [{"given": ["A", null, "B"], "_given": [null, inner, {"id": "i"}]}],
        "_birthDate": inner,
    });
    assert_eq!(as_json(&xml), expected);
    assert_eq!(String::from_utf8(write(&expected).0).unwrap().matches("<given").count(), 3);
}

#[test]
fn resources_within_resources_lose_their_wrapper() {
    let inner = "<contained><Organization><id value='o'/></Organization></contained>";
    let bundle = format!(
        "<Bundle xmlns='http://hl7.org/fhir'><type value='collection'/><entry><resource>{}</resource></entry></Bundle>",
        patient(inner)
    );
    let organization = json!({"resourceType": "Organization", "id": "o"});
    let entry = json!({"resource": {"resourceType": "Patient", "contained": [organization]}});
    assert_eq!(as_json(&bundle), json!({"resourceType": "Bundle", "type": "collection", "entry": [entry]}));
}

#[test]
fn white_space_of_values_follows_the_rules_of_xml() {
    let value = |written: &str| as_json(&patient(&format!("<id value=\"{written}\"/>")))["id"].clone();
    assert_eq!(value("a\tb\nc\r\nd\re"), json!("a b c d e"));
    assert_eq!(value("a&#9;b&#10;c&#xD;d"), json!("a\tb\nc\rd"));
    assert_eq!(value("&lt;&gt;&amp;&quot;&apos;&#x1F600;"), json!("<>&\"'😀"));
    let text = json!({"resourceType": "Patient", "id": " \t\n\r\"<>&'\\ \u{85}é\u{1F600}"});
    assert_eq!(as_json(&String::from_utf8(write(&text).0).unwrap()), text);
}

#[test]
fn a_narrative_is_kept_letter_for_letter() {
    let div = "<div xmlns=\"http://www.w3.org/1999/xhtml\"  class='a'>\n <p>x &#160; &lt;<br/><!-- c --></p>\r\n<![CDATA[<]]> \
               <a xml:lang=\"en\" href=\"&amp;\">y</a ></div>";
    let xml = patient(&format!("<text><status value='generated'/>{div}</text>"));
    let resource = as_json(&xml);
    assert_eq!(resource["text"]["div"], json!(div));
    assert!(String::from_utf8(write(&resource).0).unwrap().contains(div));
}

#[test]
fn a_narrative_that_leans_on_what_is_around_it_is_made_to_stand_alone() {
    let narrative = |root: &str, div: &str| {
        let xml =
            format!("<Patient xmlns='http://hl7.org/fhir' {root}><text><status value='empty'/>{div}</text></Patient>");
        as_json(&xml)["text"]["div"].as_str().unwrap().to_owned()
    };
    let expected = "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p a='1'>x<br/></p></div>";
    let outside = "xmlns:h='http://www.w3.org/1999/xhtml'";
    assert_eq!(narrative(outside, "<h:div><h:p a='1'>x<h:br/></h:p></h:div>"), expected);
    let inside = narrative("", "<h:div xmlns:h='http://www.w3.org/1999/xhtml'><h:p>x</h:p></h:div>");
    assert_eq!(inside, format!("<div xmlns=\"{XHTML_NAMESPACE}\" xmlns:h='{XHTML_NAMESPACE}'><p>x</p></div>"));
    let (xml, issues) = write(&json!({"resourceType": "Patient", "text": {"status": "empty", "div": " <div>a</div>"}}));
    assert!(issues.is_empty());
    assert!(String::from_utf8(xml).unwrap().contains("<div xmlns=\"http://www.w3.org/1999/xhtml\">a</div>"));
}

#[test]
fn a_narrative_that_is_no_xhtml_is_written_as_text_and_told() {
    for div in [
        "<div>",
        "plain",
        "<div/><div/>",
        "<div>&nbsp;</div>",
        "<div xmlns='x'/>",
        "<div><?p?></div>",
        "<!DOCTYPE d><div/>",
    ] {
        let (xml, issues) = write(&json!({"resourceType": "Patient", "text": {"status": "empty", "div": div}}));
        assert_eq!(issues.len(), 1, "{div}");
        assert!(as_json(std::str::from_utf8(&xml).unwrap())["text"]["div"].as_str().unwrap().contains("xhtml"));
    }
}

#[test]
fn prefixes_comments_and_hints_change_nothing() {
    let plain = patient("<active value='true'/>");
    for xml in [
        "<f:Patient xmlns:f='http://hl7.org/fhir'><f:active value='true'/></f:Patient>".to_owned(),
        format!(
            "\u{feff}<?xml version='1.0' encoding='utf-8' standalone='yes'?>\n<?xml-stylesheet href='a'?><!-- a -->{plain}<!-- b -->\n"
        ),
        plain.replace(
            "<Patient",
            "<Patient xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:schemaLocation='a b'",
        ),
        patient("\n <!-- c --> <active \t value = \"true\" ></active >\r\n"),
    ] {
        assert_eq!(parsed(&xml).json, parsed(&plain).json, "{xml}");
        assert!(parsed(&xml).issues.is_empty(), "{xml}");
    }
}

#[test]
fn what_is_no_xml_has_its_kind() {
    let within = |inside: &str| fault(patient(inside));
    for (xml, kind) in [
        ("", XmlFault::Empty),
        (" \n", XmlFault::Empty),
        ("<!-- -->", XmlFault::Empty),
        ("x", XmlFault::Trailing),
        ("<Patient", XmlFault::Unfinished),
        ("<Patient/>", XmlFault::Namespace),
        ("<Patient xmlns=''/>", XmlFault::Namespace),
        ("<Patient xmlns='http://hl7.org/fhir/'/>", XmlFault::Namespace),
        ("<Patient xmlns='http://hl7.org/fhir'>", XmlFault::Unfinished),
        ("<Patient xmlns='http://hl7.org/fhir'/><Patient xmlns='http://hl7.org/fhir'/>", XmlFault::Trailing),
        ("<Patient xmlns='http://hl7.org/fhir'/>x", XmlFault::Trailing),
        ("<p:Patient/>", XmlFault::Prefix),
        ("<Patient xmlns='http://hl7.org/fhir' xmlns:p=''/>", XmlFault::Prefix),
        ("<Patient xmlns='http://hl7.org/fhir' xmlns:xml='x'/>", XmlFault::Prefix),
        ("<?xml version='1.1'?><Patient/>", XmlFault::Version),
        ("<?xml version='1.0' encoding='ISO-8859-1'?><Patient/>", XmlFault::Encoding),
        ("<?xml version='1.0' encoding='UTF-16'?><Patient/>", XmlFault::Encoding),
        ("<?xml encoding='UTF-8'?><Patient/>", XmlFault::Declaration),
        (" <?xml version='1.0'?><Patient/>", XmlFault::Declaration),
        ("<!DOCTYPE Patient><Patient/>", XmlFault::Doctype),
        ("<!DOCTYPE Patient [<!ENTITY a \"b\">", XmlFault::Doctype),
        ("<!DOCTYPE", XmlFault::Doctype),
        ("<!x>", XmlFault::Markup),
        ("</a>", XmlFault::EndTag),
        ("<>", XmlFault::Name),
        ("<1 xmlns='http://hl7.org/fhir'/>", XmlFault::Name),
        ("<a:b:c/>", XmlFault::Name),
    ] {
        assert_eq!(fault(xml), kind, "{xml}");
    }
    for (inside, kind) in [
        ("<id value='a' value='b'/>", XmlFault::DuplicateAttribute),
        ("<id value/>", XmlFault::Attribute),
        ("<id value=a/>", XmlFault::Attribute),
        ("<id value='a'id='b'/>", XmlFault::Attribute),
        ("<id value='<'/>", XmlFault::Attribute),
        ("<id value='&nbsp;'/>", XmlFault::Entity),
        ("<id value='&#0;'/>", XmlFault::Entity),
        ("<id value='&#xD800;'/>", XmlFault::Entity),
        ("<id value='&#+65;'/>", XmlFault::Entity),
        ("<id value='&'/>", XmlFault::Entity),
        ("&copy;", XmlFault::Entity),
        ("<id p:a='1'/>", XmlFault::Prefix),
        ("<p:id/>", XmlFault::Prefix),
        ("<id></ID>", XmlFault::EndTag),
        ("<id value='\u{1}'/>", XmlFault::Character),
        ("<id value='\u{FFFE}'/>", XmlFault::Character),
        ("<?php x?>", XmlFault::Instruction),
        ("]]>", XmlFault::Markup),
        ("<!-- a -- b -->", XmlFault::Markup),
        ("<text><div xmlns='http://www.w3.org/1999/xhtml'>&nbsp;</div></text>", XmlFault::Entity),
        ("<text><div xmlns='http://www.w3.org/1999/xhtml'><?p?></div></text>", XmlFault::Instruction),
        ("<text><h:div xmlns:h='http://www.w3.org/1999/xhtml'><id/></h:div></text>", XmlFault::Namespace),
    ] {
        assert_eq!(within(inside), kind, "{inside}");
    }
}

#[test]
fn other_encodings_are_refused_by_name() {
    let text = format!("<?xml version='1.0' encoding='UTF-16'?>{}", patient(""));
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let little: Vec<u8> = [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let latin = [b"<?xml version='1.0' encoding='iso-8859-1'?><a b='".as_slice(), &[0xE9], b"'/>"].concat();
    for bytes in [big, little, latin] {
        assert_eq!(fault(bytes), XmlFault::Encoding);
    }
    assert_eq!(fault([patient("").as_bytes(), &[0xE9]].concat()), XmlFault::Utf8);
}

#[test]
fn limits_hold() {
    let small = |limits: Limits, xml: &str| read(xml.as_bytes(), &limits).unwrap_err().kind;
    let nested =
        |depth: usize| patient(&format!("{}{}", "<extension url='u'>".repeat(depth), "</extension>".repeat(depth)));
    assert_eq!(small(Limits { bytes_max: 10, ..limits() }, &patient("")), XmlFault::TooLarge);
    assert_eq!(
        small(Limits { values_max: 3, ..limits() }, &patient("<id value='a'/><active value='true'/>")),
        XmlFault::TooManyValues
    );
    assert_eq!(fault(nested(10_000)), XmlFault::TooDeep);
    assert_eq!(fault(nested(33)), XmlFault::TooDeep, "an array and an object each");
    let deepest = nested(31);
    assert!(parse(&parsed(&deepest).json, &limits()).is_ok());
    let everything = Limits { depth_max: 512, ..limits() };
    assert!(parse(&read(nested(255).as_bytes(), &everything).unwrap().json, &everything).is_ok());
    let many: String = (0..65).map(|n| format!(" a{n}=''")).collect();
    assert_eq!(fault(patient(&format!("<id{many}/>"))), XmlFault::TooManyAttributes);
    let bound: String = (0..60).map(|n| format!(" xmlns:a{n}='x'")).collect();
    assert_eq!(fault(patient(&format!("<id{bound}><id{bound}/></id>"))), XmlFault::TooManyAttributes);
    let laughs = "<!DOCTYPE a [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;'>]>";
    assert_eq!(fault(format!("{laughs}{}", patient("<id value='&c;'/>"))), XmlFault::Doctype);
    let long = "a".repeat(1 << 20);
    assert_eq!(as_json(&patient(&format!("<id value='{long}'/>")))["id"], json!(long));
}

#[test]
fn what_json_cannot_show_is_found_with_its_place() {
    let order = patient("\n<birthDate value='2000'/>\n<active value='true'/><gender value='male'/>");
    assert_eq!(found(&order), [(issue::ELEMENT_ORDER.id, "Patient.active".into(), (3, 1))]);
    let cases = [
        ("<active value='true' extra='1'/>", &issue::XML_CONTENT, "Patient.active.extra"),
        ("<active value='true'>yes</active>", &issue::XML_CONTENT, "Patient.active"),
        ("yes", &issue::XML_CONTENT, "Patient"),
        ("<name text='a'/>", &issue::XML_CONTENT, "Patient.name[0].text"),
        ("<name value='a'><text value='b'/></name>", &issue::XML_CONTENT, "Patient.name[0].value"),
        ("<contained><Organization/><Organization/></contained>", &issue::XML_CONTENT, "Patient.contained[0]"),
        ("<contained id='a'><Organization/></contained>", &issue::XML_CONTENT, "Patient.contained[0].id"),
        ("<resourceType value='Bundle'/>", &issue::XML_CONTENT, "Patient.resourceType"),
        ("<_active value='x'/>", &issue::XML_CONTENT, "Patient._active"),
        ("<active xmlns='x' value='true'/>", &issue::XML_NAMESPACE, "Patient.active"),
        ("<text><status value='empty'/><div>a</div></text>", &issue::XML_NAMESPACE, "Patient.text.div"),
        ("<div xmlns='http://www.w3.org/1999/xhtml'/>", &issue::XML_NAMESPACE, "Patient.div"),
    ];
    for (inside, code, at) in cases {
        let found = found(&patient(inside));
        assert_eq!(
            found.iter().map(|(code, at, _)| (*code, at.as_str())).collect::<Vec<_>>(),
            [(code.id, at)],
            "{inside}"
        );
    }
}

#[test]
fn what_json_can_show_is_carried_into_it() {
    let carried = |inside: &str| as_json(&patient(inside));
    assert_eq!(carried("<shoe value='1'/><shoe><size value='2'/></shoe>")["shoe"], json!(["1", {"size": "2"}]));
    assert_eq!(carried("<gender value='male'/><gender value='female'/>")["gender"], json!(["male", "female"]));
    assert_eq!(carried("<gender/>")["gender"], Value::Null);
    assert_eq!(carried("<name/>")["name"], json!([{}]));
    assert_eq!(carried("<maritalStatus value='M'/>")["maritalStatus"], json!("M"));
    assert_eq!(carried("<contained/>")["contained"], json!([{}]));
    assert_eq!(carried("<contained><Shoe/></contained>")["contained"], json!([{"resourceType": "Shoe"}]));
    let apart = "<deceasedBoolean value='true'/><deceasedDateTime value='2000'/><deceasedBoolean value='true'/>";
    assert_eq!(carried(apart)["deceasedBoolean"], json!([true, true]));
}

#[test]
fn every_part_of_the_json_has_its_place_in_the_xml() {
    let xml = patient("\n <id value='é'/><name>\n  <given value='A'/><given value='B' id='i'/></name>");
    let parsed = parsed(&xml);
    let text = String::from_utf8(parsed.json.clone()).unwrap();
    let place = |part: &str| {
        let offset = parsed.places.xml_offset(text.find(part).unwrap());
        (xml[offset..].split([' ', '>', '=']).next().unwrap(), position(xml.as_bytes(), offset).to_string())
    };
    assert_eq!(place("{"), ("<Patient", "line 1, column 1".to_owned()));
    assert_eq!(place("\"id\""), ("<id", "line 2, column 2".to_owned()));
    assert_eq!(place("\"name\""), ("<name", "line 2, column 17".to_owned()));
    assert_eq!(place("\"A\""), ("<given", "line 3, column 3".to_owned()));
    assert_eq!(place("\"B\""), ("<given", "line 3, column 21".to_owned()));
    assert_eq!(place("\"i\""), ("id", "line 3, column 38".to_owned()));
}

#[test]
fn a_fault_is_named_by_line_and_column_and_by_no_value() {
    let error = read(patient("\n  <id value='Smith&nbsp;'/>").as_bytes(), &limits()).unwrap_err();
    let issue = error.issue();
    assert_eq!((issue.code.id, issue.at.as_str()), (issue::XML_FORBIDDEN.id, ""));
    assert_eq!(issue.position, Some((2, 19)));
    assert!(issue.text.starts_with("No entities") && !issue.text.contains("Smith"), "{}", issue.text);
}

#[test]
fn the_writer_keeps_the_order_of_definitions() {
    let resource =
        json!({"birthDate": "2000", "_active": {"id": "a"}, "resourceType": "Patient", "active": true, "id": "p"});
    let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Patient xmlns=\"http://hl7.org/fhir\"><id value=\"p\"/>\
                    <active value=\"true\" id=\"a\"/><birthDate value=\"2000\"/></Patient>";
    assert_eq!(String::from_utf8(write(&resource).0).unwrap(), expected);
}

#[test]
fn what_xml_cannot_say_is_told() {
    for (members, at) in [
        (json!({"shoe": 1}), "Patient.shoe"),
        (json!({"a b": 1}), "Patient.?"),
        (json!({"id": "\u{0}"}), "Patient.id"),
        (json!({"active": "true"}), "Patient.active"),
        (json!({"name": []}), "Patient.name"),
        (json!({"name": {"family": "A"}}), "Patient.name"),
        (json!({"gender": ["male"]}), "Patient.gender"),
        (json!({"name": [{"id": 1}]}), "Patient.name[0].id"),
        (json!({"name": [{"given": ["A", null]}]}), "Patient.name[0].given[1]"),
        (json!({"contained": [{}]}), "Patient.contained[0]"),
        (json!({"_name": [{}]}), "Patient.name[0]"),
    ] {
        let mut resource = json!({"resourceType": "Patient"});
        members.as_object().unwrap().iter().for_each(|(name, value)| resource[name] = value.clone());
        let (xml, issues) = write(&resource);
        assert_eq!(issues.iter().next().map(|issue| issue.at.as_str()), Some(at), "{members}");
        assert!(read(&xml, &limits()).is_ok(), "{}", String::from_utf8_lossy(&xml));
    }
}

/// Values of the right shape for a type, so deep.
fn resource_of(name: &'static str, depth: u32) -> BoxedStrategy<Value> {
    let kind = r4().id(name).unwrap();
    object_of(kind, depth, Some(name)).boxed()
}

fn object_of(kind: crate::profile::facts::TypeId, depth: u32, resource: Option<&'static str>) -> BoxedStrategy<Value> {
    let fields: Vec<_> = r4().of(kind).fields().iter().map(|field| field.key.to_string()).collect();
    let picked = prop::sample::subsequence(fields.clone(), 0..=fields.len().min(4));
    let members = picked
        .prop_flat_map(move |names| names.into_iter().map(|name| member_of(kind, name, depth)).collect::<Vec<_>>());
    members
        .prop_map(move |members| {
            let mut object = serde_json::Map::new();
            if let Some(name) = resource {
                object.insert("resourceType".into(), json!(name));
            }
            object.extend(members.into_iter().flatten());
            Value::Object(object)
        })
        .boxed()
}

/// One member, or a primitive's two halves.
fn member_of(kind: crate::profile::facts::TypeId, name: String, depth: u32) -> BoxedStrategy<Vec<(String, Value)>> {
    let Some(element) = r4().element(kind, &name) else { return Just(Vec::new()).boxed() };
    let one = match element.content {
        _ if element.attribute => return text().prop_map(move |it| vec![(name.clone(), json!(it))]).boxed(),
        Content::Primitive(shape) => value_of(shape),
        Content::Narrative => Just(json!("<div xmlns=\"http://www.w3.org/1999/xhtml\">a<br/></div>")).boxed(),
        _ if depth == 0 => return Just(Vec::new()).boxed(),
        Content::Complex(inner) => object_of(inner, depth - 1, None),
        Content::Resource => resource_of("Organization", depth - 1),
    };
    let half = if matches!(element.content, Content::Primitive(_)) {
        text().prop_map(|id| json!({"id": id})).boxed()
    } else {
        Just(Value::Null).boxed()
    };
    let paired = prop::collection::vec((one, half, any::<bool>()), 1..=if element.many { 3 } else { 1 });
    paired
        .prop_map(move |items| {
            let halves = items.iter().any(|(_, half, own)| *own && !half.is_null());
            let half = |(_, half, own): &(Value, Value, bool)| if *own { half.clone() } else { Value::Null };
            let wrap = |items: Vec<Value>| if element.many { json!(items) } else { items[0].clone() };
            let mut members = vec![(name.clone(), wrap(items.iter().map(|(value, ..)| value.clone()).collect()))];
            if halves {
                members.push((format!("_{name}"), wrap(items.iter().map(half).collect())));
            }
            members
        })
        .boxed()
}

fn text() -> BoxedStrategy<String> {
    prop_oneof!["[a-z]{1,6}", "[ -~\t\n\r\u{85}\u{a0}é\u{2028}😀]{1,12}"].boxed()
}

fn value_of(shape: Shape) -> BoxedStrategy<Value> {
    let number = |pattern| {
        proptest::string::string_regex(pattern).unwrap().prop_map(|digits| parse(digits.as_bytes(), &limits()).unwrap())
    };
    match shape {
        Shape::Text => text().prop_map(Value::from).boxed(),
        Shape::Boolean => any::<bool>().prop_map(Value::from).boxed(),
        Shape::Integer => number("-?(0|[1-9][0-9]{0,8})").boxed(),
        Shape::Decimal => number("-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?").boxed(),
    }
}

/// Bits of XML, so that random rows of them get far into the reader.
fn soup() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "<Patient xmlns='http://hl7.org/fhir'>",
        "</Patient>",
        "<name>",
        "</name>",
        "<given value='a'/>",
        "<given",
        "/>",
        ">",
        "<text>",
        "</text>",
        "<div xmlns='http://www.w3.org/1999/xhtml'>",
        "</div>",
        "<h:p>",
        "</h:p>",
        " xmlns:h='http://www.w3.org/1999/xhtml'",
        "<contained>",
        "</contained>",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "&amp;",
        "&#6",
        ";",
        "\"",
        "'",
        "<?x",
        "?>",
        "é",
        "\u{feff}",
        " ",
        "\n",
        "<extension url='u'>",
        "</extension>",
        "<id value='1'/>",
        "<active value='true'/>",
        "<x:y/>",
        "<zz a='b'>",
        "</zz>",
        "<!DOCTYPE a>",
    ]);
    prop::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

/// Whatever is read is JSON within the same limits, and is stable from then on.
fn assert_sound(bytes: &[u8]) {
    let Ok(parsed) = read(bytes, &limits()) else { return };
    let value = parse(&parsed.json, &limits())
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&parsed.json)));
    assert!(
        parsed
            .places
            .pairs()
            .iter()
            .all(|(json, xml)| (*json as usize) < parsed.json.len() && (*xml as usize) < bytes.len())
    );
    let (written, told) = write(&value);
    let again =
        read(&written, &limits()).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&written)));
    // Of what was wrong in the XML already, the JSON may be mended: a narrative gets its namespace.
    if told.is_empty() && parsed.issues.is_empty() {
        assert!(again.issues.is_empty(), "{:?}", again.issues);
        assert_eq!(parse(&again.json, &limits()).unwrap(), value);
        assert_eq!(write(&value).0, write(&parse(&again.json, &limits()).unwrap()).0);
    }
}

proptest! {
    #[test]
    fn resources_come_back_as_they_were(resource in prop_oneof![
        resource_of("Patient", 3), resource_of("Bundle", 4), resource_of("Observation", 3), resource_of("Parameters", 4),
        resource_of("Questionnaire", 3), resource_of("StructureDefinition", 3),
    ]) {
        let (xml, told) = write(&resource);
        prop_assert!(told.is_empty(), "{:?}", told);
        let parsed = read(&xml, &limits()).unwrap();
        prop_assert!(parsed.issues.is_empty(), "{:?}", parsed.issues);
        prop_assert_eq!(parse(&parsed.json, &limits()).unwrap(), resource);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        assert_sound(&bytes);
    }

    #[test]
    fn no_row_of_markup_makes_it_panic(text in soup()) {
        assert_sound(text.as_bytes());
    }

    #[test]
    fn no_change_of_a_message_makes_it_panic(at in 0_usize..2000, piece in soup(), cut in 0_usize..40) {
        let xml = patient("<text><status value='empty'/><div xmlns='http://www.w3.org/1999/xhtml'><p>a</p></div></text>\
            <contained><Organization><id value='o'/></Organization></contained><active value='true'/>\
            <name id='n'><family value='A'><extension url='u'><valueDecimal value='1.0'/></extension></family><given value='B'/></name>");
        let start = xml.floor_char_boundary(at % xml.len());
        let end = xml.ceil_char_boundary((start + cut).min(xml.len()));
        assert_sound(format!("{}{piece}{}", &xml[..start], &xml[end..]).as_bytes());
    }
}

#[test]
fn findings_in_the_json_get_the_places_of_the_xml() {
    let xml = patient("\n <id value='é'/>\n <name>\n  <given value='A'/></name>");
    let parsed = parsed(&xml);
    let text = String::from_utf8(parsed.json.clone()).unwrap();
    let column = |part: &str| text[..text.find(part).unwrap()].chars().count() + 1;
    let mut found = Issues::default();
    for part in ["\"A\"", "\"id\"", "[{"] {
        found.push(Issue::new(&issue::VALUE_FORMAT, part).at_line(1, column(part)));
    }
    found.add(&issue::VALUE_FORMAT, "");
    let placed = parsed.places.in_xml(&parsed.json, xml.as_bytes(), found);
    let positions: Vec<_> = placed.iter().map(|issue| issue.position).collect();
    assert_eq!(positions, [Some((4, 3)), Some((2, 2)), Some((3, 2)), None]);
}

#[test]
fn whatever_character_is_missing_the_rest_is_sound() {
    let xml = patient("<text><status value='empty'/><div xmlns='http://www.w3.org/1999/xhtml'><p>a</p></div></text>");
    for at in 0..xml.len() {
        assert_sound(format!("{}{}", &xml[..at], &xml[at + 1..]).as_bytes());
    }
}
