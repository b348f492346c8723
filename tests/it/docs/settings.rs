//! The reference of all settings, from the documentation of their fields and from the defaults themselves.

use std::fmt::Write as _;

use onward::config::{Config, Destination, Mllp, System};
use toml::{Table, Value};

use super::{heading, read, row};

/// A section: its heading, the file and the struct that it is read into, and its defaults where it has any.
struct Section {
    title: &'static str,
    file: &'static str,
    name: &'static str,
    defaults: Option<Table>,
}

fn table(value: impl serde::Serialize) -> Option<Table> {
    Some(Table::try_from(value).unwrap())
}

fn sections() -> Vec<Section> {
    let config = Config::default();
    let section = |title, file, name, defaults| Section { title, file, name, defaults };
    vec![
        section("`[store]`: the database", "sections.rs", "Store", table(&config.store)),
        section("`[https]`: the API", "https.rs", "Https", table(&config.https)),
        section("`[status]`: the status page", "sections.rs", "Status", table(&config.status)),
        section("`[log]`: log lines", "sections.rs", "Log", table(&config.log)),
        section("`[retention]`: how long things are kept", "sections.rs", "Retention", table(&config.retention)),
        section("`[validation]`: what messages are held to", "validation.rs", "Validation", table(&config.validation)),
        section("`[index]`: the index of patients", "sections.rs", "Index", table(&config.index)),
        section("`[[system]]`: systems that may call", "system.rs", "System", table(System::default())),
        section("`[[organisation]]`: organisations", "directory.rs", "OrganisationEntry", None),
        section("`[[service]]`: services", "directory.rs", "ServiceEntry", None),
        section("`[[destination]]`: systems to deliver to", "destination.rs", "Destination", {
            table(Destination::default())
        }),
        section("`[destination.tls]`", "destination.rs", "ClientTls", Some(Table::new())),
        section("`[[mllp]]`: listeners for HL7 v2", "mllp.rs", "Mllp", table(Mllp::default())),
        section("`[mllp.tls]`", "mllp.rs", "ServerTls", Some(Table::new())),
    ]
}

/// A field of a struct: name, type, documentation, and whether it may be left out by an attribute.
struct Field {
    name: String,
    kind: String,
    meaning: String,
    optional: bool,
}

fn fields(source: &str, name: &str) -> Vec<Field> {
    let begin = source.find(&format!("pub struct {name} {{")).unwrap_or_else(|| panic!("no struct {name}"));
    let (mut fields, mut meaning, mut optional) = (Vec::new(), Vec::new(), false);
    for line in source[begin..].lines().skip(1).map(str::trim).take_while(|line| *line != "}") {
        if let Some(text) = line.strip_prefix("///") {
            meaning.push(text.trim());
        } else if line.starts_with("#[serde(default") {
            optional = true;
        } else if let Some((name, kind)) = line.strip_prefix("pub ").and_then(|it| it.split_once(": ")) {
            let meaning = std::mem::take(&mut meaning).join(" ");
            assert!(!meaning.is_empty(), "{name} is not documented");
            let kind = kind.trim_end_matches(',').to_owned();
            fields.push(Field { name: name.to_owned(), kind, meaning, optional: std::mem::take(&mut optional) });
        }
    }
    fields
}

fn default_of(field: &Field, defaults: Option<&Table>) -> String {
    let is_optional = field.kind.starts_with("Option<");
    match defaults.map(|defaults| defaults.get(&field.name)) {
        Some(Some(Value::String(text))) if text.is_empty() => "none".into(),
        Some(Some(Value::Array(items))) if items.is_empty() => "none".into(),
        Some(Some(value)) => format!("`{value}`"),
        _ if is_optional => "not set".into(),
        Some(None) if field.kind == "toml::Table" => "empty".into(),
        None if field.optional && field.kind == "bool" => "`false`".into(),
        None if field.optional => "none".into(),
        _ => "must be set".into(),
    }
}

/// All settings, section by section.
pub(super) fn reference() -> String {
    let mut text = String::from("### Top level\n\n");
    text += &heading(&["Setting", "Default", "Meaning"]);
    let environment = &fields(&read("src/config/mod.rs"), "Config")[0];
    text += &row(&["`environment`", "`\"sandbox\"`", &environment.meaning]);
    for section in sections() {
        let source = read(format!("src/config/{}", section.file));
        let _ = write!(text, "\n### {}\n\n{}", section.title, heading(&["Setting", "Default", "Meaning"]));
        for field in fields(&source, section.name) {
            let default = default_of(&field, section.defaults.as_ref());
            text += &row(&[&format!("`{}`", field.name), &default, &field.meaning.replace('|', "\\|")]);
        }
    }
    assert_complete(&text);
    text
}

/// Whatever can be shown of a configuration is in the reference.
fn assert_complete(text: &str) {
    let config = Config { mllp: vec![Mllp::default()], destination: vec![Destination::default()], ..Config::default() };
    let mut keys = Vec::new();
    collect(&Table::try_from(config).unwrap(), &mut keys);
    assert!(50 < keys.len(), "{keys:?}");
    for key in keys {
        assert!(text.contains(&format!("`{key}`")) || text.contains(&format!("[{key}]")), "{key} is not explained");
    }
}

fn collect(table: &Table, keys: &mut Vec<String>) {
    for (key, value) in table {
        keys.push(key.clone());
        match value {
            Value::Table(inner) => collect(inner, keys),
            Value::Array(items) => items.iter().filter_map(Value::as_table).for_each(|inner| collect(inner, keys)),
            _ => {}
        }
    }
}

/// `[destination.channel]`: its defaults are those of the code, as written there.
pub(super) fn channel() -> String {
    let source = read("src/pas/channel.rs");
    let begin = source.find("impl Default for Channel").unwrap();
    let mut text = heading(&["Setting", "Default", "Meaning"]);
    for field in fields(&source, "Channel") {
        let start = source[begin..].find(&format!("{}: ", field.name)).unwrap() + begin + field.name.len() + 2;
        let value = source[start..].lines().next().unwrap().trim_end_matches(',');
        let meaning = field.meaning.replace("[`Channel::sending_facility`]", "`sending_facility`");
        text += &row(&[&format!("`{}`", field.name), &written(value), &meaning]);
    }
    text
}

/// `[mllp.channel]`: what is not set there is as in the dialect.
pub(super) fn dialect() -> String {
    let source = read("src/pas/inbound/dialect/mod.rs");
    let line = |field: Field| row(&[&format!("`{}`", field.name), &field.meaning.replace('|', "\\|")]);
    heading(&["Setting", "Meaning"]) + &fields(&source, "Dialect").into_iter().map(line).collect::<String>()
}

/// A default as it would stand in the file.
fn written(value: &str) -> String {
    match value {
        "String::new()" => "none".into(),
        "Version::V2_4" => "`\"2.4\"`".into(),
        "ProcessingId::Training" => "`\"T\"`".into(),
        "Zone::default()" => "`\"Europe/London\"`".into(),
        "true" | "false" => format!("`{value}`"),
        text => format!("`{}`", text.strip_suffix(".to_owned()").unwrap_or_else(|| panic!("no form for {text}"))),
    }
}
