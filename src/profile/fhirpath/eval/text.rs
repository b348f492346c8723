//! Functions of texts. Positions count characters.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::super::EvalError;
use super::super::compile::pattern;
use super::super::document::ON;
use super::super::functions::Function;
use super::super::item::{Item, Items, some};
use super::super::program::{Call, Op};
use super::{At, Evaluator, Found};

impl<'a> Evaluator<'_, 'a> {
    /// An item as a value of FHIRPath's own types.
    pub(in super::super) fn system(&self, item: &Item<'a>) -> Option<Item<'a>> {
        match item {
            Item::Node(node) => self.document.system(*node),
            Item::Type { .. } => None,
            item => Some(item.clone()),
        }
    }

    /// The text of a primitive value.
    pub(in super::super) fn string(&self, item: &Item<'a>) -> Option<Cow<'a, str>> {
        if let Item::Node(node) = item {
            return match self.document.tape.string(*node) {
                Some(text) => Some(text),
                None if self.document.has_value(*node) => Some(Cow::Borrowed(self.document.tape.raw(*node))),
                None => None,
            };
        }
        self.system(item).map(|item| match item {
            Item::String(text) => text,
            Item::Boolean(value) => Cow::Borrowed(if value { "true" } else { "false" }),
            Item::Integer(number) => number.to_string().into(),
            Item::Decimal(number) => number.to_string().into(),
            Item::Moment(moment) => moment.to_string().into(),
            Item::Quantity(quantity) => quantity.to_string().into(),
            Item::Node(_) | Item::Type { .. } => Cow::Borrowed(""),
        })
    }

    pub(super) fn integer(&self, item: &Item<'a>) -> Option<i64> {
        match self.system(item) {
            Some(Item::Integer(number)) => Some(number),
            _ => None,
        }
    }

    /// Functions of one item, which is there.
    pub(super) fn of_one(&self, call: &'a Call, item: &Item<'a>, at: At<'_, 'a>) -> Found<'a> {
        use Function as F;
        match call.function {
            F::IndexOf
            | F::LastIndexOf
            | F::StartsWith
            | F::EndsWith
            | F::Contains
            | F::Matches
            | F::MatchesFull
            | F::Replace
            | F::ReplaceMatches
            | F::Encode
            | F::Decode
            | F::Escape
            | F::Unescape => self.text_with(call, item, at),
            F::Substring => self.substring(call, item, at),
            F::Upper | F::Lower | F::Length | F::Trim => {
                let text = self.text_of(item)?;
                self.spend(text.len() / 16)?;
                Ok(some(match call.function {
                    F::Upper => Item::text(text.to_uppercase()),
                    F::Lower => Item::text(text.to_lowercase()),
                    F::Length => Item::Integer(text.chars().count() as i64),
                    _ => Item::text(text.trim().to_owned()),
                }))
            }
            F::LowBoundary | F::HighBoundary | F::Precision | F::Comparable => self.boundary(call, item, at),
            F::Abs | F::Ceiling | F::Exp | F::Floor | F::Ln | F::Log | F::Power | F::Round | F::Sqrt | F::Truncate => {
                self.number(call, item, at)
            }
            _ => self.conversion(call.function, item),
        }
    }

    /// The text that a function works on. An element without a value, or one that is no primitive, has none.
    fn text_of(&self, item: &Item<'a>) -> Result<Cow<'a, str>, EvalError> {
        self.string(item).ok_or(EvalError::Type)
    }

    /// What a function is given, as a text.
    fn given(&self, call: &'a Call, index: usize, at: At<'_, 'a>) -> Result<Option<Cow<'a, str>>, EvalError> {
        let Some(op) = call.given.get(index) else { return Ok(None) };
        match self.single(op, at)? {
            Some(item) => self.text_of(&item).map(Some),
            None => Ok(None),
        }
    }

    fn text_with(&self, call: &'a Call, item: &Item<'a>, at: At<'_, 'a>) -> Found<'a> {
        use Function as F;
        let text = self.text_of(item)?;
        self.spend(text.len() / 16)?;
        if matches!(call.function, F::Matches | F::MatchesFull | F::ReplaceMatches) {
            return self.matching(call, &text, at);
        }
        let Some(given) = self.given(call, 0, at)? else { return Ok(Items::new()) };
        let position = |found: Option<usize>| Item::Integer(found.map_or(-1, |at| text[..at].chars().count() as i64));
        Ok(some(match call.function {
            F::StartsWith => Item::Boolean(text.starts_with(&*given)),
            F::EndsWith => Item::Boolean(text.ends_with(&*given)),
            F::Contains => Item::Boolean(text.contains(&*given)),
            F::IndexOf => position(text.find(&*given)),
            F::LastIndexOf => position(text.rfind(&*given)),
            F::Replace => {
                let Some(by) = self.given(call, 1, at)? else { return Ok(Items::new()) };
                self.spend((text.len() + 1) * (by.len() + 1) / 16)?;
                Item::text(text.replace(&*given, &by))
            }
            F::Encode => return encoded(&text, &given).map(|text| some(Item::text(text))),
            F::Decode => return decoded(&text, &given).map(|text| some(text.map(Item::text))),
            F::Escape => return escaped(&text, &given).map(|text| some(Item::text(text))),
            _ => return unescaped(&text, &given).map(|text| some(Item::text(text))),
        }))
    }

    fn matching(&self, call: &'a Call, text: &str, at: At<'_, 'a>) -> Found<'a> {
        let made;
        let found = match &call.pattern {
            Some(found) => found,
            None => {
                let Some(given) = self.given(call, 0, at)? else { return Ok(Items::new()) };
                // Making a pattern costs far more than using it.
                self.spend(1000 + given.len() * 100)?;
                made = pattern(&given, call.function == Function::MatchesFull).ok_or(EvalError::Pattern)?;
                &made
            }
        };
        if call.function != Function::ReplaceMatches {
            return Ok(some(Item::Boolean(found.is_match(text))));
        }
        let Some(by) = self.given(call, 1, at)? else { return Ok(Items::new()) };
        if found.as_str().is_empty() {
            return Ok(some(Item::text(text.to_owned())));
        }
        self.spend((text.len() + 1) * (by.len() + 1) / 16)?;
        Ok(some(Item::text(found.replace_all(text, replacement(&by)).into_owned())))
    }

    fn substring(&self, call: &'a Call, item: &Item<'a>, at: At<'_, 'a>) -> Found<'a> {
        let text = self.text_of(item)?;
        let mut numbers = [None, Some(i64::MAX)];
        for (op, number) in call.given.iter().zip(&mut numbers) {
            *number = match self.single(op, at)? {
                Some(item) => Some(self.integer(&item).ok_or(EvalError::Type)?),
                None => None,
            };
        }
        let [Some(start), length] = numbers else { return Ok(Items::new()) };
        // A length that is not there is none that limits.
        let length = usize::try_from(length.unwrap_or(i64::MAX)).unwrap_or(0);
        self.spend(text.len() / 16)?;
        let Ok(start) = usize::try_from(start) else { return Ok(Items::new()) };
        let Some((from, _)) = text.char_indices().nth(start) else { return Ok(Items::new()) };
        let to = text[from..].char_indices().nth(length).map_or(text.len(), |(at, _)| from + at);
        Ok(some(Item::String(match text {
            Cow::Borrowed(text) => Cow::Borrowed(&text[from..to]),
            Cow::Owned(text) => Cow::Owned(text[from..to].to_owned()),
        })))
    }

    /// `split`, `toChars` and `join`.
    pub(super) fn pieces(&self, call: &'a Call, given: &'a Op, at: At<'_, 'a>) -> Found<'a> {
        let separator = match self.single(given, at)? {
            Some(item) => self.text_of(&item)?,
            None if call.function == Function::Split => return Ok(Items::new()),
            None => Cow::Borrowed(""),
        };
        if call.function == Function::Join {
            let mut joined: Option<String> = None;
            self.each(&call.input, at, &mut |item| {
                let text = self.text_of(&item)?;
                self.spend(1 + (text.len() + separator.len()) / 16)?;
                match &mut joined {
                    Some(joined) => {
                        joined.push_str(&separator);
                        joined.push_str(&text);
                    }
                    None => joined = Some(text.into_owned()),
                }
                ON
            })?;
            return Ok(some(joined.map(Item::text)));
        }
        let Some(item) = self.single(&call.input, at)? else { return Ok(Items::new()) };
        let text = self.text_of(&item)?;
        self.spend(text.len())?;
        if call.function == Function::Split && !separator.is_empty() {
            return Ok(text.split(&*separator).map(|piece| Item::text(piece.to_owned())).collect());
        }
        Ok(text.chars().map(|c| Item::text(c.to_string())).collect())
    }
}

/// `$1` is a group by its number, also before a letter.
fn replacement(text: &str) -> String {
    let mut found = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        found.push_str(&rest[..=at]);
        rest = &rest[at + 1..];
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        if 0 < digits {
            found.push_str(&format!("{{{}}}", &rest[..digits]));
            rest = &rest[digits..];
        }
    }
    found + rest
}

fn encoded(text: &str, format: &str) -> Result<String, EvalError> {
    match format {
        "base64" => Ok(STANDARD.encode(text)),
        "urlbase64" => Ok(URL_SAFE.encode(text)),
        "hex" => Ok(text.bytes().map(|byte| format!("{byte:02x}")).collect()),
        _ => Err(EvalError::Type),
    }
}

fn decoded(text: &str, format: &str) -> Result<Option<String>, EvalError> {
    let bytes = match format {
        "base64" => STANDARD.decode(text).ok(),
        "urlbase64" => URL_SAFE.decode(text).ok(),
        "hex" if text.is_ascii() && text.len().is_multiple_of(2) => {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
        }
        "hex" => None,
        _ => return Err(EvalError::Type),
    };
    Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()))
}

const HTML: [(char, &str); 5] = [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;"), ('\'', "&#39;")];

fn escaped(text: &str, target: &str) -> Result<String, EvalError> {
    match target {
        "html" => Ok(text.chars().fold(String::new(), |mut all, c| {
            match HTML.iter().find(|row| row.0 == c) {
                Some((_, escape)) => all.push_str(escape),
                None => all.push(c),
            }
            all
        })),
        "json" => {
            let quoted = serde_json::Value::from(text).to_string();
            Ok(quoted[1..quoted.len() - 1].to_owned())
        }
        _ => Err(EvalError::Type),
    }
}

fn unescaped(text: &str, target: &str) -> Result<String, EvalError> {
    match target {
        // The ampersand last, so that nothing is resolved twice.
        "html" => Ok(HTML.iter().rev().fold(text.to_owned(), |text, (c, escape)| text.replace(escape, &c.to_string()))),
        // A text whose escapes were already resolved when the expression was read is what it is.
        "json" => Ok(serde_json::from_str(&format!("\"{text}\"")).unwrap_or_else(|_| text.to_owned())),
        _ => Err(EvalError::Type),
    }
}
