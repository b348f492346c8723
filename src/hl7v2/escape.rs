//! Escape sequences (2.7): how a delimiter, a line break or a control character stands in text.

use std::borrow::Cow;

use encoding_rs::Encoding;
use memchr::memchr;

use super::delimiters::Delimiters;

/// What becomes of line breaks on the way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Plain text (ST, CE …): `\X0D\`.
    Plain,
    /// Formatted text (FT): `\.br\`.
    Formatted,
}

/// Most line breaks that one `\.sp<n>\` is worth: a number from outside must not decide how much is allocated.
const BREAKS_MAX: usize = 99;

/// Writes text so that nothing in it can be taken for structure.
pub fn escape_into(out: &mut Vec<u8>, text: &str, delimiters: &Delimiters, style: Style) {
    if text == "\"\"" {
        // As it stands, this would order the receiver to delete what it holds.
        return [b'"', b'"'].into_iter().for_each(|quote| hexadecimal(out, quote, delimiters));
    }
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if !special(byte, delimiters) {
            continue;
        }
        out.extend_from_slice(&bytes[copied..at]);
        copied = at + 1;
        match (style, byte) {
            (Style::Formatted, b'\r') if bytes.get(at + 1) == Some(&b'\n') => {}
            (Style::Formatted, b'\r' | b'\n') => sequence(out, b".br", delimiters),
            _ => match name_of(byte, delimiters) {
                Some(name) => sequence(out, &[name], delimiters),
                None => hexadecimal(out, byte, delimiters),
            },
        }
    }
    out.extend_from_slice(&bytes[copied..]);
}

fn special(byte: u8, delimiters: &Delimiters) -> bool {
    byte < b' ' || delimiters.all().contains(&Some(byte))
}

/// The letter by which a delimiter is called.
fn name_of(byte: u8, delimiters: &Delimiters) -> Option<u8> {
    let place = delimiters.all().iter().position(|delimiter| *delimiter == Some(byte))?;
    Some(b"FSRETP"[place])
}

fn byte_of(name: u8, delimiters: &Delimiters) -> Option<u8> {
    let place = b"FSRETP".iter().position(|known| *known == name)?;
    delimiters.all()[place]
}

fn sequence(out: &mut Vec<u8>, name: &[u8], delimiters: &Delimiters) {
    out.push(delimiters.escape);
    out.extend_from_slice(name);
    out.push(delimiters.escape);
}

fn hexadecimal(out: &mut Vec<u8>, byte: u8, delimiters: &Delimiters) {
    let digit = |value: u8| b"0123456789ABCDEF"[usize::from(value)];
    sequence(out, &[b'X', digit(byte >> 4), digit(byte & 15)], delimiters);
}

/// Reads text. What is unknown, unterminated or a change of character set stays as it stands: a receiver that
/// guesses loses more than one that shows a backslash. `encoding`: the one of `\X..\`, where the text was decoded from it.
pub fn unescape<'a>(raw: &'a [u8], delimiters: &Delimiters, encoding: Option<&'static Encoding>) -> Cow<'a, [u8]> {
    let Some(first) = memchr(delimiters.escape, raw) else { return Cow::Borrowed(raw) };
    let mut out = raw[..first].to_vec();
    let mut rest = &raw[first..];
    while let Some((_, after)) = rest.split_first() {
        let Some(length) = memchr(delimiters.escape, after) else { break };
        if decode(&after[..length], delimiters, encoding, &mut out) {
            rest = &after[length + 1..];
        } else {
            // The second escape character may open the sequence that the first one did not.
            out.extend_from_slice(&rest[..=length]);
            rest = &after[length..];
            continue;
        }
        let next = memchr(delimiters.escape, rest).unwrap_or(rest.len());
        out.extend_from_slice(&rest[..next]);
        rest = &rest[next..];
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

/// Decodes what stands between two escape characters; `false`: it is not a sequence that is understood.
fn decode(name: &[u8], delimiters: &Delimiters, encoding: Option<&'static Encoding>, out: &mut Vec<u8>) -> bool {
    match name {
        [b'H' | b'N'] => true,
        [name] => byte_of(*name, delimiters).map(|byte| out.push(byte)).is_some(),
        [b'X', digits @ ..] => decode_hexadecimal(digits, encoding, out),
        [b'.', command @ ..] => decode_format(command, out),
        _ => false,
    }
}

fn decode_hexadecimal(digits: &[u8], encoding: Option<&'static Encoding>, out: &mut Vec<u8>) -> bool {
    let value = |digit: u8| char::from(digit).to_digit(16);
    let valid = !digits.is_empty() && digits.len().is_multiple_of(2) && digits.iter().all(u8::is_ascii_hexdigit);
    if !valid {
        return false;
    }
    let bytes = digits.chunks_exact(2).filter_map(|pair| Some((value(pair[0])? << 4 | value(pair[1])?) as u8));
    let Some(encoding) = encoding else {
        out.extend(bytes);
        return true;
    };
    let bytes: Vec<u8> = bytes.collect();
    let text = encoding.decode_without_bom_handling_and_without_replacement(&bytes);
    text.map(|text| out.extend_from_slice(text.as_bytes())).is_some()
}

/// Formatting commands of FT: those that end a line become line breaks, those that only look nice vanish.
fn decode_format(command: &[u8], out: &mut Vec<u8>) -> bool {
    let (name, number) = command.split_at(command.len().min(2));
    let signed = number.strip_prefix(b"+").or(number.strip_prefix(b"-")).unwrap_or(number);
    let numeric = signed.iter().all(u8::is_ascii_digit);
    match name {
        b"br" | b"ce" if number.is_empty() => out.push(b'\n'),
        b"sp" if numeric => out.extend(std::iter::repeat_n(b'\n', breaks(signed))),
        b"fi" | b"nf" if number.is_empty() => {}
        b"in" | b"ti" | b"sk" if numeric => {}
        _ => return false,
    }
    true
}

fn breaks(number: &[u8]) -> usize {
    let number = std::str::from_utf8(number).ok().filter(|number| !number.is_empty());
    number.map_or(1, |number| number.parse().unwrap_or(BREAKS_MAX)).min(BREAKS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str, style: Style) -> String {
        let mut out = Vec::new();
        escape_into(&mut out, text, &Delimiters::STANDARD, style);
        String::from_utf8(out).unwrap()
    }

    fn unescaped(raw: &str) -> String {
        String::from_utf8(unescape(raw.as_bytes(), &Delimiters::STANDARD, None).into_owned()).unwrap()
    }

    #[test]
    fn escapes_every_delimiter_and_every_control_character() {
        assert_eq!(escaped(r"a|b^c~d\e&f", Style::Plain), r"a\F\b\S\c\R\d\E\e\T\f");
        assert_eq!(escaped("a\rb\nc\td\u{b}", Style::Plain), r"a\X0D\b\X0A\c\X09\d\X0B\");
        assert_eq!(escaped("a\r\nb\nc\rd", Style::Formatted), r"a\.br\b\.br\c\.br\d");
        assert_eq!(escaped("Zoë £5", Style::Plain), "Zoë £5");
    }

    #[test]
    fn two_quotation_marks_are_text_and_never_an_order_to_delete() {
        assert_eq!(escaped("\"\"", Style::Plain), r"\X22\\X22\");
        assert_eq!(unescaped(r"\X22\\X22\"), "\"\"");
    }

    #[test]
    fn unescapes_what_it_knows() {
        assert_eq!(unescaped(r"a\F\b\S\c\R\d\E\e\T\f"), r"a|b^c~d\e&f");
        assert_eq!(unescaped(r"\H\bold\N\ \XC3AB\ one\.br\two\.sp2\three\.in+4\\.fi\"), "bold ë one\ntwo\n\nthree");
        assert_eq!(unescaped(r"\.sp99999999999999999999\").len(), BREAKS_MAX);
    }

    #[test]
    fn leaves_what_it_does_not_know() {
        for raw in
            [r"\Z12\", r"\C2842\", r"\M123456\", r"\", r"a\b", r"\\", r"\Xf\", r"\XZZ\", r"\P\", r"\.brx\", r"\.\"]
        {
            assert_eq!(unescaped(raw), raw, "{raw}");
        }
        assert_eq!(unescaped(r"\Q\F\"), r"\Q|");
        assert_eq!(unescaped(r"C:\dir\F\x"), r"C:\dir|x");
    }

    #[test]
    fn text_survives_the_round_trip() {
        for text in ["", "a", "\u{0}\u{1f}", r"\F\", r"\\\", "|^~\\&", "line\nline", "\"\"", "😀\u{85}"] {
            assert_eq!(unescaped(&escaped(text, Style::Plain)), text, "{text:?}");
        }
    }

    #[test]
    fn is_linear_in_escape_characters() {
        let raw = vec![b'\\'; 1 << 20];
        assert_eq!(unescape(&raw, &Delimiters::STANDARD, None).len(), raw.len());
    }

    proptest::proptest! {
        #[test]
        fn any_text_survives_in_any_delimiters(text in ".*", five in 0..3_usize) {
            let delimiters = Delimiters::read([&br"MSH|^~\&|"[..], br"MSH$%*!@#$", br"MSH,:;+,"][five]);
            let delimiters = delimiters.unwrap_or(Delimiters::STANDARD);
            let mut raw = Vec::new();
            escape_into(&mut raw, &text, &delimiters, Style::Plain);
            let structure = delimiters.all().into_iter().flatten().filter(|it| *it != delimiters.escape);
            structure.for_each(|delimiter| assert!(!raw.contains(&delimiter)));
            assert!(raw.iter().all(|byte| *byte >= b' ') && raw != b"\"\"");
            assert_eq!(unescape(&raw, &delimiters, None), text.as_bytes());
        }
    }
}
