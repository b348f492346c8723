//! The words of an expression (FHIRPath N1, section 12 "Formal Specifications").

use super::CompileError;
use super::decimal::Decimal;
use super::moment::Moment;

/// One word, with the offset of its first byte.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) word: Word,
    pub(super) at: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Word {
    /// A name or a keyword.
    Name(String),
    /// A name in backticks, which is never a keyword.
    Quoted(String),
    Text(String),
    Integer(i64),
    Decimal(Decimal),
    Moment(Moment),
    /// `$this` without the mark.
    Dollar(String),
    /// `%resource` without the mark.
    Percent(String),
    /// Punctuation and operators that are no names.
    Mark(&'static str),
    End,
}

impl PartialEq for Word {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(left), Self::Name(right)) => left == right,
            (Self::Mark(left), Self::Mark(right)) => left == right,
            (Self::End, Self::End) => true,
            _ => false,
        }
    }
}

/// The longer ones first.
const MARKS: &[&str] =
    &["<=", ">=", "!=", "!~", "(", ")", "[", "]", "{", "}", ".", ",", "+", "-", "*", "/", "&", "|", "<", ">", "=", "~"];

/// More words than this are no invariant.
const WORDS_MAX: usize = 20_000;

/// The words of a text; the last is [`Word::End`].
pub(super) fn words(text: &str) -> Result<Vec<Token>, CompileError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut found = Vec::new();
    loop {
        lexer.skip_blanks()?;
        let at = lexer.at;
        let word = lexer.word()?;
        let is_end = word == Word::End;
        found.push(Token { word, at });
        if is_end {
            return Ok(found);
        }
        if found.len() == WORDS_MAX {
            return Err(CompileError::TooLarge);
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn fail<T>(&self, expected: &'static str) -> Result<T, CompileError> {
        Err(CompileError::Syntax { at: self.at, expected })
    }

    fn skip_blanks(&mut self) -> Result<(), CompileError> {
        loop {
            let rest = self.rest().trim_start();
            self.at = self.text.len() - rest.len();
            if rest.starts_with("//") {
                self.at += rest.find(['\n', '\r']).unwrap_or(rest.len());
            } else if let Some(comment) = rest.strip_prefix("/*") {
                let Some(end) = comment.find("*/") else { return self.fail("the end of the comment") };
                self.at += end + 4;
            } else {
                return Ok(());
            }
        }
    }

    /// Takes so many bytes.
    fn take(&mut self, length: usize) -> &'t str {
        let taken = &self.rest()[..length];
        self.at += length;
        taken
    }

    fn take_while(&mut self, accepted: impl Fn(char) -> bool) -> &'t str {
        let length = self.rest().find(|c| !accepted(c)).unwrap_or(self.rest().len());
        self.take(length)
    }

    fn word(&mut self) -> Result<Word, CompileError> {
        let Some(first) = self.rest().chars().next() else { return Ok(Word::End) };
        match first {
            'a'..='z' | 'A'..='Z' | '_' => Ok(Word::Name(self.name().to_owned())),
            '0'..='9' => self.number(),
            '\'' | '"' => Ok(Word::Text(self.quoted(first)?)),
            '`' => Ok(Word::Quoted(self.quoted('`')?)),
            '@' => self.moment(),
            '$' => {
                self.at += 1;
                Ok(Word::Dollar(self.name().to_owned()))
            }
            '%' => {
                self.at += 1;
                match self.rest().chars().next() {
                    Some(quote @ ('`' | '\'' | '"')) => Ok(Word::Percent(self.quoted(quote)?)),
                    _ => Ok(Word::Percent(self.name().to_owned())),
                }
            }
            _ => match MARKS.iter().find(|mark| self.rest().starts_with(**mark)) {
                Some(mark) => {
                    self.at += mark.len();
                    Ok(Word::Mark(mark))
                }
                None => self.fail("a word of FHIRPath"),
            },
        }
    }

    fn name(&mut self) -> &'t str {
        self.take_while(|c| c.is_ascii_alphanumeric() || c == '_')
    }

    fn number(&mut self) -> Result<Word, CompileError> {
        let start = self.at;
        self.take_while(|c| c.is_ascii_digit());
        let mut point = self.rest().chars();
        if point.next() == Some('.') && point.next().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
            self.take_while(|c| c.is_ascii_digit());
        }
        let text = &self.text[start..self.at];
        if let Ok(number) = text.parse::<i64>() {
            return Ok(Word::Integer(number));
        }
        match Decimal::parse(text) {
            Some(number) => Ok(Word::Decimal(number)),
            None => self.fail("a number with fewer digits"),
        }
    }

    /// `@2024-05`, `@2024-05-17T10:30Z`, `@T10:30`.
    fn moment(&mut self) -> Result<Word, CompileError> {
        self.at += 1;
        let is_digit = |c: char| c.is_ascii_digit();
        let start = self.at;
        self.take_while(|c| is_digit(c) || c == '-');
        let date = &self.text[start..self.at];
        let mut found = Moment::date(date);
        if self.rest().starts_with('T') {
            self.at += 1;
            let clock = self.at;
            self.take_while(|c| is_digit(c) || c == ':');
            if self.rest().starts_with('.') && self.rest()[1..].starts_with(is_digit) {
                self.at += 1;
                self.take_while(is_digit);
            }
            if date.is_empty() {
                found = Moment::time(&self.text[clock..self.at]).filter(|_| !self.rest().starts_with(['Z', '+']));
            } else {
                if self.rest().starts_with('Z') {
                    self.at += 1;
                } else if self.at != clock && self.rest().starts_with(['+', '-']) {
                    let offset = self.rest()[1..].find(|c| !(is_digit(c) || c == ':')).unwrap_or(self.rest().len() - 1);
                    // A sign without digits is an operator.
                    self.at += if offset == 5 { 6 } else { 0 };
                }
                found = Moment::date_time(&self.text[start..self.at]);
            }
        }
        match found {
            Some(moment) => Ok(Word::Moment(moment)),
            None => self.fail("a date or time"),
        }
    }

    /// A text between quotes, with its escapes resolved.
    fn quoted(&mut self, quote: char) -> Result<String, CompileError> {
        self.at += 1;
        let mut found = String::new();
        loop {
            let plain = self.take_while(|c| c != quote && c != '\\');
            found.push_str(plain);
            match self.rest().chars().next() {
                None => return self.fail("the closing quote"),
                Some('\\') => found.push(self.escape()?),
                Some(_) => {
                    self.at += 1;
                    return Ok(found);
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, CompileError> {
        self.at += 1;
        let Some(mark) = self.rest().chars().next() else { return self.fail("an escape") };
        self.at += mark.len_utf8();
        Ok(match mark {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'f' => '\u{c}',
            '/' | '\\' | '\'' | '"' | '`' => mark,
            'u' => {
                let code = self.rest().get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
                let Some(found) = code.and_then(char::from_u32) else { return self.fail("four hexadecimal digits") };
                self.at += 4;
                found
            }
            // Published invariants have escapes that FHIRPath does not know, such as `\.` in a pattern.
            other => {
                self.at -= other.len_utf8();
                '\\'
            }
        })
    }
}
