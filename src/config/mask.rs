//! Nothing in the configuration is meant to be a secret, but a passed-through table may come to hold one.

const SECRET_WORDS: [&str; 5] = ["password", "passphrase", "secret", "token", "api_key"];

/// Replaces every value whose name says that it is a secret.
pub(super) fn mask(table: &mut toml::Table) {
    for (name, value) in table.iter_mut() {
        if SECRET_WORDS.iter().any(|word| name.contains(word)) {
            *value = "***".into();
        } else {
            mask_value(value);
        }
    }
}

fn mask_value(value: &mut toml::Value) {
    match value {
        toml::Value::Table(table) => mask(table),
        toml::Value::Array(items) => items.iter_mut().for_each(mask_value),
        _ => {}
    }
}
