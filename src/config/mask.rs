//! Nothing in the configuration is meant to be a secret, but a passed-through table or a URL may come to hold one.

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
        toml::Value::String(text) => {
            if let Some(masked) = without_password(text) {
                *text = masked;
            }
        }
        _ => {}
    }
}

/// `scheme://user:password@host`.
fn without_password(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let (user, place) = rest.rsplit_once('@')?;
    let (user, _) = user.split_once(':')?;
    Some(format!("{scheme}://{user}:***@{place}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_password_in_a_url_is_masked() {
        let mut table: toml::Table = "url = 'postgres://onward:hunter2@db/onward'\nhost = 'a:b@c'".parse().unwrap();
        super::mask(&mut table);
        assert_eq!(table["url"].as_str(), Some("postgres://onward:***@db/onward"));
        assert_eq!(table["host"].as_str(), Some("a:b@c"));
    }
}
