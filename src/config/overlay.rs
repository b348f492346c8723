//! `ONWARD__HTTPS__LISTEN=0.0.0.0:8443` sets `https.listen`, `ONWARD__SERVICE__0__NAME=Fracture clinic` the
//! name of the first service of the file.
//!
//! A value is read as TOML (`5000`, `true`, `"2000072489"`, `["RH8", "RA4"]`); what is not TOML is text.

use std::collections::BTreeMap;

use toml::Value;

use super::ConfigError;

const PREFIX: &str = "ONWARD__";

/// Puts the variables on top of the file; answers which variable set which setting.
pub(super) fn apply(
    root: &mut Value,
    vars: impl IntoIterator<Item = (String, String)>,
) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut origins = BTreeMap::new();
    let sorted: BTreeMap<_, _> = vars.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    for (name, text) in sorted {
        let keys: Vec<String> = name[PREFIX.len()..].split("__").map(str::to_lowercase).collect();
        let place = place(root, &keys).ok_or_else(|| misplaced(&name, &keys))?;
        *place = parse(&text);
        origins.insert(setting(&keys), name);
    }
    dates_to_text(root);
    Ok(origins)
}

/// The value at this path, made where it is missing; `None` where the path goes through something else.
fn place<'a>(root: &'a mut Value, keys: &[String]) -> Option<&'a mut Value> {
    keys.iter().try_fold(root, |value, key| match value {
        _ if key.is_empty() => None,
        Value::Table(table) => Some(table.entry(key.as_str()).or_insert_with(|| Value::Table(toml::Table::new()))),
        Value::Array(items) => items.get_mut(key.parse::<usize>().ok()?),
        _ => None,
    })
}

fn misplaced(name: &str, keys: &[String]) -> ConfigError {
    let text = "there is no such place in the configuration".into();
    ConfigError::Setting { origin: name.into(), setting: setting(keys), text }
}

/// The path as errors of deserialising name it: `service[0].name`.
fn setting(keys: &[String]) -> String {
    keys.iter().fold(String::new(), |path, key| match key.parse::<usize>() {
        Ok(index) => format!("{path}[{index}]"),
        Err(_) if path.is_empty() => key.clone(),
        Err(_) => format!("{path}.{key}"),
    })
}

fn parse(text: &str) -> Value {
    format!("value = {text}")
        .parse::<toml::Table>()
        .ok()
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.into()))
}

/// A TOML date is as good as the same date in quotation marks.
fn dates_to_text(value: &mut Value) {
    match value {
        Value::Datetime(date) => *value = Value::String(date.to_string()),
        Value::Array(items) => items.iter_mut().for_each(dates_to_text),
        Value::Table(table) => table.iter_mut().for_each(|(_, value)| dates_to_text(value)),
        _ => {}
    }
}
