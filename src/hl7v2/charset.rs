//! Character sets (2.15.9.18): the bytes of a message become UTF-8 before anything is divided, because some sets use
//! the bytes of the delimiters inside of their characters.
//!
//! Decoding is strict: what cannot be decoded is refused, and no name ever holds a replacement character.

use std::borrow::Cow;

use encoding_rs::{
    BIG5, EUC_JP, EUC_KR, Encoding, GB18030, ISO_2022_JP, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5, ISO_8859_6,
    ISO_8859_7, ISO_8859_8, ISO_8859_15, SHIFT_JIS, UTF_8, WINDOWS_1252, WINDOWS_1254,
};

use super::header::Header;

/// What a channel says where the message does not, or says it wrong.
#[derive(Clone, Copy, Debug)]
pub struct Fallback {
    /// Used whatever a message says; `None`: the message is asked first.
    pub always: Option<&'static Encoding>,
    /// Used where the message says nothing that is known and is not UTF-8.
    pub otherwise: &'static Encoding,
    /// Used also where the message is not in the set that it says it is; else it is refused.
    pub tolerant: bool,
}

impl Default for Fallback {
    fn default() -> Self {
        Self { always: None, otherwise: WINDOWS_1252, tolerant: false }
    }
}

/// A message in UTF-8.
#[derive(Clone, Debug)]
pub struct Decoded<'a> {
    /// The message.
    pub text: Cow<'a, str>,
    /// What it was in.
    pub encoding: &'static Encoding,
    /// What was remarkable.
    pub note: Option<Note>,
}

/// Something remarkable about a character set; the message was read all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// MSH-18 names a set that is not known here.
    Unknown,
    /// MSH-18 names a set that the bytes are not in.
    Differs,
}

/// Why a message cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CharsetError {
    /// The bytes are not in the set that MSH-18 or the channel says.
    #[error("the bytes are not in the character set that they are said to be in")]
    Undecodable,
    /// UTF-16 and UTF-32 have the bytes of a frame's edge inside of their characters.
    #[error("the character set cannot be sent over MLLP")]
    Unframeable,
}

/// What MSH-18 says (table 0211).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Nothing,
    Ascii,
    Known(&'static Encoding),
    Unknown,
    Unframeable,
}

/// The message in UTF-8. Order: byte order mark, the channel's own word, MSH-18, UTF-8 where the bytes are that, and
/// the channel's fallback.
pub fn decode<'a>(bytes: &'a [u8], fallback: &Fallback) -> Result<Decoded<'a>, CharsetError> {
    let said = said(Header::read(bytes).raw(18));
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return in_set(bytes, UTF_8).ok_or(CharsetError::Undecodable);
    }
    if let Some(always) = fallback.always {
        return in_set(bytes, always).ok_or(CharsetError::Undecodable);
    }
    match said {
        Said::Unframeable => Err(CharsetError::Unframeable),
        Said::Known(encoding) => match in_set(bytes, encoding) {
            Some(decoded) => Ok(decoded),
            None if fallback.tolerant => guessed(bytes, fallback, Some(Note::Differs)),
            None => Err(CharsetError::Undecodable),
        },
        Said::Ascii if bytes.is_ascii() => guessed(bytes, fallback, None),
        Said::Ascii => guessed(bytes, fallback, Some(Note::Differs)),
        Said::Unknown => guessed(bytes, fallback, Some(Note::Unknown)),
        Said::Nothing => guessed(bytes, fallback, None),
    }
}

fn guessed<'a>(bytes: &'a [u8], fallback: &Fallback, note: Option<Note>) -> Result<Decoded<'a>, CharsetError> {
    let decoded = in_set(bytes, UTF_8).or_else(|| in_set(bytes, fallback.otherwise));
    decoded.map(|decoded| Decoded { note, ..decoded }).ok_or(CharsetError::Undecodable)
}

fn in_set<'a>(bytes: &'a [u8], encoding: &'static Encoding) -> Option<Decoded<'a>> {
    let text = if encoding == UTF_8 {
        Cow::Borrowed(std::str::from_utf8(bytes).ok()?)
    } else {
        encoding.decode_without_bom_handling_and_without_replacement(bytes)?
    };
    Some(Decoded { text, encoding, note: None })
}

/// The first repetition counts: it is the set of the message as a whole.
fn said(field: &[u8]) -> Said {
    let name: String = field.iter().take_while(|byte| **byte != b'~').map(|byte| char::from(*byte)).collect();
    let name = name.trim().to_ascii_uppercase();
    match name.as_str() {
        "" | "\"\"" => Said::Nothing,
        "ASCII" | "ISO IR6" | "US-ASCII" => Said::Ascii,
        "UNICODE UTF-16" | "UNICODE UTF-32" | "UTF-16" | "UTF-32" => Said::Unframeable,
        _ => encoding(&name).map_or(Said::Unknown, Said::Known),
    }
}

/// A set by its name in table 0211, or by the name that everybody else calls it by.
pub fn encoding(name: &str) -> Option<&'static Encoding> {
    // Latin-1 has no letters where Windows has more of them, so its bytes mean the same here.
    let known = match name.trim().to_ascii_uppercase().as_str() {
        "UNICODE" | "UNICODE UTF-8" => UTF_8,
        "8859/1" => WINDOWS_1252,
        "8859/2" => ISO_8859_2,
        "8859/3" => ISO_8859_3,
        "8859/4" => ISO_8859_4,
        "8859/5" => ISO_8859_5,
        "8859/6" => ISO_8859_6,
        "8859/7" => ISO_8859_7,
        "8859/8" => ISO_8859_8,
        "8859/9" => WINDOWS_1254,
        "8859/15" => ISO_8859_15,
        "BIG-5" => BIG5,
        "GB 18030-2000" => GB18030,
        "KS X 1001" => EUC_KR,
        "ISO IR14" => SHIFT_JIS,
        "ISO IR87" => ISO_2022_JP,
        "ISO IR159" => EUC_JP,
        other => return Encoding::for_label_no_replacement(other.as_bytes()),
    };
    Some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(charset: &str, name: &[u8]) -> Vec<u8> {
        let head = format!("MSH|^~\\&|A|B|C|D|2026||ADT^A28|1|P|2.4|||||GBR|{charset}\rPID|1||1||");
        [head.as_bytes(), name].concat()
    }

    fn read(charset: &str, name: &[u8]) -> Result<(String, Option<Note>), CharsetError> {
        let bytes = message(charset, name);
        let decoded = decode(&bytes, &Fallback::default())?;
        let text = decoded.text.rsplit('|').next().unwrap_or_default().to_owned();
        Ok((text, decoded.note))
    }

    #[test]
    fn decodes_what_the_message_says_it_is_in() {
        for (charset, bytes, expected, note) in [
            ("UNICODE UTF-8", "Zoë".as_bytes(), "Zoë", None),
            ("UNICODE", "Zoë".as_bytes(), "Zoë", None),
            ("8859/1", b"Zo\xeb", "Zoë", None),
            ("8859/15", b"\xa4", "€", None),
            ("8859/1~ISO IR87", b"Zo\xeb", "Zoë", None),
            // The second byte of each of these is a delimiter's.
            ("BIG-5", b"\xb3\x5c\xa5\x5c", "許功", None),
            ("", b"O\x92Neil", "O\u{2019}Neil", None),
            ("", "Zoë".as_bytes(), "Zoë", None),
            ("ASCII", "Zoë".as_bytes(), "Zoë", Some(Note::Differs)),
            ("KLINGON", "Zoë".as_bytes(), "Zoë", Some(Note::Unknown)),
            ("ASCII", b"Zoe", "Zoe", None),
        ] {
            assert_eq!(read(charset, bytes), Ok((expected.to_owned(), note)), "{charset}");
        }
    }

    #[test]
    fn refuses_what_it_would_have_to_guess() {
        assert_eq!(read("UNICODE UTF-8", b"Zo\xeb"), Err(CharsetError::Undecodable));
        assert_eq!(read("BIG-5", b"\xff\xff"), Err(CharsetError::Undecodable));
        assert_eq!(read("UNICODE UTF-16", b"a"), Err(CharsetError::Unframeable));
    }

    #[test]
    fn a_channel_may_know_better() {
        let bytes = message("UNICODE UTF-8", b"Zo\xeb");
        let tolerant = Fallback { tolerant: true, ..Fallback::default() };
        let decoded = decode(&bytes, &tolerant).unwrap();
        assert_eq!((decoded.text.ends_with("Zoë"), decoded.note), (true, Some(Note::Differs)));
        let always = Fallback { always: Some(ISO_8859_2), ..Fallback::default() };
        assert!(decode(&message("8859/1", b"\xa3"), &always).unwrap().text.ends_with('Ł'));
    }
}
