//! Names as they are written, made comparable.

/// What stands before or behind a name and is not part of it.
const TITLES: &[&str] = &[
    "MR",
    "MRS",
    "MISS",
    "MS",
    "MX",
    "DR",
    "PROF",
    "PROFESSOR",
    "REV",
    "REVEREND",
    "SIR",
    "MASTER",
    "LADY",
    "LORD",
    "DAME",
    "HON",
    "CAPT",
    "MAJOR",
    "COL",
    "SGT",
    "FATHER",
    "SISTER",
];
const SUFFIXES: &[&str] = &["JR", "JNR", "JUNIOR", "SR", "SNR", "SENIOR", "II", "III", "ESQ"];
/// Words that stand for a name that is not known yet, or never will be.
const NO_NAME: &[&str] = &[
    "BABY",
    "TWIN",
    "TRIPLET",
    "INFANT",
    "NEWBORN",
    "NEONATE",
    "UNKNOWN",
    "UNIDENTIFIED",
    "UNNAMED",
    "ANONYMOUS",
    "NOTKNOWN",
    "NONAME",
    "UNK",
];
/// Words that stand beside those.
const BESIDE_NO_NAME: &[&str] =
    &["BOY", "GIRL", "MALE", "FEMALE", "OF", "NAME", "PERSON", "PATIENT", "CHILD", "B", "O", "NOT", "KNOWN"];
/// Words that in place of a surname say that nobody knows who it is.
const NOBODY: &[&str] =
    &["UNKNOWN", "UNIDENTIFIED", "MALE", "FEMALE", "ANONYMOUS", "NOTKNOWN", "UNK", "DUMMY", "ZZTEST", "TESTPATIENT"];

/// A given name as far as it tells one person from another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Given<'a> {
    /// The first name; empty: not known.
    pub first: &'a str,
    /// What follows it.
    pub middle: &'a str,
    /// It stands for a name that is not known (`Baby`, `Twin 2`).
    pub is_placeholder: bool,
    /// Which of several that are born together; 0: not said.
    pub ordinal: u8,
}

/// Appends a text as capital ASCII letters, digits and single blanks. Accents go, an apostrophe joins, everything else
/// that is no letter parts. `joins`: a character that joins too.
pub fn fold(text: &str, out: &mut String) {
    let start = out.len();
    let push = |out: &mut String, letter: char| match letter {
        'a'..='z' => out.push(letter.to_ascii_uppercase()),
        'A'..='Z' | '0'..='9' => out.push(letter),
        '\'' | '`' => {}
        _ => {
            if out.len() > start && !out.ends_with(' ') {
                out.push(' ');
            }
        }
    };
    for letter in text.chars() {
        match letter {
            '\u{2019}' | '\u{2018}' | '\u{02BC}' | '\u{00B4}' => {}
            letter if letter.is_ascii() => push(out, letter),
            letter => deunicode::deunicode_char(letter).unwrap_or_default().chars().for_each(|it| push(out, it)),
        }
    }
    if out.len() > start && out.ends_with(' ') {
        out.pop();
    }
}

/// A folded text without what is in the list at its ends.
fn without<'a>(mut text: &'a str, front: &[&str], back: &[&str]) -> &'a str {
    while let Some((first, rest)) = text.split_once(' ')
        && front.contains(&first)
    {
        text = rest;
    }
    while let Some((rest, last)) = text.rsplit_once(' ')
        && back.contains(&last)
    {
        text = rest;
    }
    text
}

/// Reads folded given names.
pub fn given(folded: &str) -> Given<'_> {
    let text = without(folded, TITLES, SUFFIXES);
    if let Some(placeholder) = placeholder(text) {
        return placeholder;
    }
    let (first, middle) = text.split_once(' ').unwrap_or((text, ""));
    Given { first, middle, ..Given::default() }
}

fn placeholder(text: &str) -> Option<Given<'_>> {
    let first = text.split(' ').next().unwrap_or_default();
    let (word, digits) = first.split_at(first.find(|it: char| it.is_ascii_digit()).unwrap_or(first.len()));
    if !NO_NAME.contains(&word) {
        return None;
    }
    let rest = || text.split(' ').skip(1).filter(|it| !BESIDE_NO_NAME[..9].contains(it));
    let number = ordinal(digits).or_else(|| rest().find_map(ordinal));
    // "Baby Olivia" has a name; "Baby One", "Twin B" and "Baby of Sarah" have none.
    let named = rest().find(|it| ordinal(it).is_none() && 2 < it.len());
    match named {
        Some(name) if word == "BABY" && !text.contains(" OF ") => Some(Given { first: name, ..Given::default() }),
        _ => Some(Given { is_placeholder: true, ordinal: number.unwrap_or(0), ..Given::default() }),
    }
}

/// The place in the order of birth that a word says.
fn ordinal(word: &str) -> Option<u8> {
    let places: [&[&str]; 4] = [
        &["1", "ONE", "A", "I", "FIRST"],
        &["2", "TWO", "B", "II", "SECOND"],
        &["3", "THREE", "C", "III", "THIRD"],
        &["4", "FOUR", "D", "IV", "FOURTH"],
    ];
    let at = places.iter().position(|words| words.contains(&word))?;
    Some(at as u8 + 1)
}

/// A folded surname without what is not part of it; empty: not known.
pub fn family(folded: &str) -> &str {
    let text = without(folded, TITLES, SUFFIXES);
    if NO_NAME.contains(&text) { "" } else { text }
}

/// Do these names say that nobody knows who it is?
pub fn is_nobody(folded_family: &str, given: &Given<'_>) -> bool {
    let unnamed = given.is_placeholder || given.first.is_empty();
    folded_family.split(' ').any(|word| NOBODY.contains(&word)) && unnamed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> String {
        let mut out = String::new();
        fold(text, &mut out);
        out
    }

    #[test]
    fn accents_case_and_punctuation_do_not_count() {
        for (text, expected) in [
            ("Zoë", "ZOE"),
            ("O'Brien", "OBRIEN"),
            ("O\u{2019}Brien", "OBRIEN"),
            ("Garcia-Lopez", "GARCIA LOPEZ"),
            ("  Łukasz   Żółć ", "LUKASZ ZOLC"),
            ("Müller", "MULLER"),
            ("---", ""),
        ] {
            assert_eq!(folded(text), expected);
        }
    }

    #[test]
    fn what_stands_for_a_name_is_none() {
        for (text, ordinal) in [
            ("BABY", 0),
            ("BABY GIRL", 0),
            ("TWIN ONE", 1),
            ("TWIN 2", 2),
            ("TWIN2", 2),
            ("BABY B", 2),
            ("UNKNOWN", 0),
            ("BABY OF SARAH", 0),
            ("TWIN I", 1),
            ("BABY BOY TWO", 2),
            ("INFANT", 0),
        ] {
            let given = given(text);
            assert!(given.is_placeholder && given.first.is_empty(), "{text}");
            assert_eq!(given.ordinal, ordinal, "{text}");
        }
        assert_eq!(given("BABY OLIVIA").first, "OLIVIA");
        assert_eq!(given("TWINKLE").first, "TWINKLE");
    }

    #[test]
    fn titles_go_and_middle_names_stay() {
        assert_eq!(given("DR ANDREW JAMES"), Given { first: "ANDREW", middle: "JAMES", ..Given::default() });
        assert_eq!(given("JOHN PETER P"), Given { first: "JOHN", middle: "PETER P", ..Given::default() });
        assert_eq!(family("SMITH JNR"), "SMITH");
        assert_eq!(family("UNKNOWN"), "");
        assert!(is_nobody("MALE", &given("UNKNOWN")));
        assert!(!is_nobody("SMITH", &given("BABY")));
    }
}
