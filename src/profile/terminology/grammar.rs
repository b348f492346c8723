//! Code systems that are grammars: nobody could list their codes.

use super::{Membership, Reason, ucum};

/// A code system whose codes are told by their form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grammar {
    /// Media types: `urn:ietf:bcp:13`.
    MediaType,
    /// Languages: `urn:ietf:bcp:47`.
    Language,
    /// Units of measure: `http://unitsofmeasure.org`.
    Ucum,
}

impl Grammar {
    /// The grammar of a code system.
    pub fn of(system: &str) -> Option<Self> {
        match system {
            "urn:ietf:bcp:13" => Some(Self::MediaType),
            "urn:ietf:bcp:47" => Some(Self::Language),
            "http://unitsofmeasure.org" => Some(Self::Ucum),
            _ => None,
        }
    }

    /// Does the code have the form?
    pub fn has(self, code: &str) -> Membership {
        let known = match self {
            Self::MediaType => Some(is_media_type(code)),
            Self::Language => Some(is_language(code)),
            Self::Ucum => ucum::is_unit(code),
        };
        match known {
            Some(true) => Membership::Member,
            Some(false) => Membership::NotMember,
            None => Membership::NotChecked(Reason::Grammar("http://unitsofmeasure.org".into())),
        }
    }
}

/// `type/subtype`, perhaps with parameters (RFC 6838, RFC 2045).
fn is_media_type(code: &str) -> bool {
    let mut parts = code.split(';');
    let names = parts.next().and_then(|names| names.trim_end().split_once('/'));
    let named = names.is_some_and(|(kind, subtype)| is_name(kind) && is_name(subtype));
    named && parts.all(|part| part.trim().split_once('=').is_some_and(|(name, value)| is_name(name) && is_value(value)))
}

fn is_name(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    first && text.len() <= 127 && text.bytes().all(|it| it.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&it))
}

fn is_value(text: &str) -> bool {
    let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let token = |it: u8| it.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&it);
    quoted.map_or(!text.is_empty() && text.bytes().all(token), |inner| !inner.contains('"'))
}

/// `language[-extlang][-script][-region][-variant…][-extension…][-x-private…]` (RFC 5646).
fn is_language(code: &str) -> bool {
    let mut subtags = code.split('-').peekable();
    let well_formed = |tag: &str| (1..=8).contains(&tag.len()) && tag.bytes().all(|it| it.is_ascii_alphanumeric());
    let alphabetic = |tag: &str| tag.bytes().all(|it| it.is_ascii_alphabetic());
    let Some(first) = subtags.next() else { return false };
    if !well_formed(first) || !alphabetic(first) {
        return false;
    }
    match first.len() {
        1 => return matches!(first, "x" | "X" | "i" | "I") && subtags.peek().is_some() && subtags.all(well_formed),
        2 | 3 => {
            let mut extended = 0;
            while extended < 3 && subtags.next_if(|tag| tag.len() == 3 && alphabetic(tag)).is_some() {
                extended += 1;
            }
        }
        _ => {}
    }
    subtags.next_if(|tag| tag.len() == 4 && alphabetic(tag));
    let is_region = |tag: &str| {
        tag.len() == 2 && alphabetic(tag) || tag.len() == 3 && tag.bytes().all(|it| it.is_ascii_digit())
    };
    subtags.next_if(|tag| is_region(tag));
    let is_variant = |tag: &str| {
        let long = (5..=8).contains(&tag.len());
        (long || tag.len() == 4 && tag.starts_with(|it: char| it.is_ascii_digit())) && well_formed(tag)
    };
    while subtags.next_if(|tag| is_variant(tag)).is_some() {}
    extensions(subtags.collect())
}

/// What is left of a language tag: groups that a single letter opens; behind `x` anything goes.
fn extensions(rest: Vec<&str>) -> bool {
    let well_formed = |tag: &str| (1..=8).contains(&tag.len()) && tag.bytes().all(|it| it.is_ascii_alphanumeric());
    let mut private = false;
    let mut open = None;
    for tag in rest {
        match (private, tag.len()) {
            _ if !well_formed(tag) => return false,
            (false, 1) if open == Some(0) => return false,
            (false, 1) => {
                private = tag.eq_ignore_ascii_case("x");
                open = Some(0);
            }
            _ => match open.as_mut() {
                Some(count) => *count += 1,
                None => return false,
            },
        }
    }
    open != Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_told_by_their_form() {
        for good in ["text/plain", "application/fhir+json", "text/html; charset=utf-8", "image/svg+xml;q=\"a b\""] {
            assert!(is_media_type(good), "{good}");
        }
        for bad in ["", "text", "text/", "/plain", "text/pl ain", "text/plain;", "text/plain; charset", "a/b/c"] {
            assert!(!is_media_type(bad), "{bad}");
        }
    }

    #[test]
    fn languages_are_told_by_their_form() {
        for good in [
            "en", "en-GB", "cy", "zh-Hans-CN", "zh-yue-HK", "de-1996", "sl-rozaj-biske", "es-419", "x-own", "i-klingon",
            "en-u-ca-gregory-x-a", "q-benq-xbsl", "bfi",
        ] {
            assert_eq!(is_language(good), good != "q-benq-xbsl", "{good}");
        }
        for bad in ["", "e", "en_GB", "en-", "-GB", "english language", "en-GB-GB", "en-a", "123", "en-abcdefghi"] {
            assert!(!is_language(bad), "{bad}");
        }
    }
}
