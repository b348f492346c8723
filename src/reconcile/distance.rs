//! How alike two words are. Bytes, not characters: the texts are folded to ASCII before.

/// Longest text that is compared letter by letter; what follows is left out.
const LETTERS_MAX: usize = 64;

fn cut(text: &str) -> &[u8] {
    &text.as_bytes()[..text.len().min(LETTERS_MAX)]
}

/// Is one the other with one letter added, left out or replaced, or two neighbours exchanged?
/// (An optimal string alignment distance of at most one.)
pub fn is_one_edit(a: &str, b: &str) -> bool {
    is_one_slip(cut(a), cut(b))
}

/// As [`is_one_edit`], for bytes.
pub fn is_one_slip(a: &[u8], b: &[u8]) -> bool {
    let (a, b) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if b.len() - a.len() > 1 {
        return false;
    }
    let start = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[start..], &b[start..]);
    let end = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    match (&a[..a.len() - end], &b[..b.len() - end]) {
        ([], [] | [_]) | ([_], [_]) => true,
        ([p, q], [r, s]) => p == s && q == r,
        _ => false,
    }
}

/// Jaro–Winkler similarity, 0 to 1.
pub fn jaro_winkler(a: &str, b: &str) -> f32 {
    let (a, b) = (cut(a), cut(b));
    let jaro = jaro(a, b);
    let prefix = a.iter().zip(b).take(4).take_while(|(x, y)| x == y).count();
    jaro + 0.1 * prefix as f32 * (1.0 - jaro)
}

fn jaro(a: &[u8], b: &[u8]) -> f32 {
    if a.is_empty() || b.is_empty() {
        return 0.0;
    }
    let window = (a.len().max(b.len()) / 2).saturating_sub(1);
    // One bit per letter: which letters of each side found their partner.
    let (mut in_a, mut in_b) = (0u64, 0u64);
    for (i, letter) in a.iter().enumerate() {
        let range = i.saturating_sub(window)..(i + window + 1).min(b.len());
        let free = range.clone().find(|j| in_b >> j & 1 == 0 && b[*j] == *letter);
        if let Some(j) = free {
            in_a |= 1 << i;
            in_b |= 1 << j;
        }
    }
    let common = in_a.count_ones() as f32;
    if common == 0.0 {
        return 0.0;
    }
    let matched = |text: &[u8], bits: u64| (0..text.len()).filter(move |at| bits >> at & 1 == 1);
    let exchanged = matched(a, in_a).zip(matched(b, in_b)).filter(|(i, j)| a[*i] != b[*j]).count() as f32;
    (common / a.len() as f32 + common / b.len() as f32 + (common - exchanged / 2.0) / common) / 3.0
}

/// How a word sounds, roughly: consonants in classes, doubled ones once, vowels left out but at the beginning.
/// Made for spellings of one name in another alphabet (Yusuf, Youssef) as much as for slips (Smith, Smyth).
pub fn sound(text: &str) -> u32 {
    let mut code: u32 = 0;
    let mut last = 0;
    let letters: Vec<u8> = text.bytes().filter(u8::is_ascii_uppercase).take(24).collect();
    let mut classes = 0;
    for (at, letter) in letters.iter().enumerate() {
        let class = class(*letter, letters.get(at + 1).copied(), at == 0);
        if class != 0 && class != last && classes < 6 {
            code = code << 5 | u32::from(class);
            classes += 1;
        }
        // A vowel between two of a class does not make them two: SASA is not SA here, but MM is M.
        last = if class == 0 { last } else { class };
    }
    code
}

/// The class of a consonant; 0: not heard.
fn class(letter: u8, next: Option<u8>, first: bool) -> u8 {
    match letter {
        b'P' if next == Some(b'H') => 2,
        b'B' | b'P' => 1,
        b'F' | b'V' => 2,
        b'C' if matches!(next, Some(b'E' | b'I' | b'Y')) => 4,
        b'C' | b'K' | b'Q' => 3,
        b'G' if next == Some(b'H') && !first => 0,
        b'G' => 5,
        b'J' => 6,
        b'S' | b'Z' | b'X' => 4,
        b'D' | b'T' => 7,
        b'L' => 8,
        b'M' => 9,
        b'N' => 10,
        b'R' => 11,
        b'Y' | b'I' | b'E' if first => 12,
        b'A' | b'O' | b'U' if first => 13,
        b'W' if first => 14,
        b'H' if first => 15,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_edit_is_one_edit() {
        for (a, b) in [("JAYDEN", "HAYDEN"), ("SMITH", "SMIHT"), ("ANN", "ANNE"), ("ALI", "ALI"), ("ABC", "BC")] {
            assert!(is_one_edit(a, b) && is_one_edit(b, a), "{a} {b}");
        }
        for (a, b) in [("ABCD", "BADC"), ("ANN", "ANNIE"), ("OLU", "ULO"), ("ABC", "CAB"), ("", "AB")] {
            assert!(!is_one_edit(a, b) && !is_one_edit(b, a), "{a} {b}");
        }
    }

    #[test]
    fn jaro_winkler_has_its_published_values() {
        // Winkler 1990, and as in every textbook since.
        for (a, b, similarity) in
            [("MARTHA", "MARHTA", 0.9611), ("DWAYNE", "DUANE", 0.84), ("DIXON", "DICKSONX", 0.8133)]
        {
            assert!((jaro_winkler(a, b) - similarity).abs() < 1e-3, "{a} {b} {}", jaro_winkler(a, b));
        }
    }

    #[test]
    fn spellings_of_one_name_sound_alike() {
        for (a, b) in [
            ("YOUSSEF", "YUSUF"),
            ("SMITH", "SMYTH"),
            ("MOHAMMED", "MUHAMMAD"),
            ("KATHRYN", "KATHERINE"),
            ("ZIEGLER", "SIEGLER"),
        ] {
            assert_eq!(sound(a), sound(b), "{a} {b}");
        }
        assert_ne!(sound("KHAN"), sound("KIM"));
    }

    proptest! {
        #[test]
        fn alike_is_alike_both_ways(a in "[A-D]{0,9}", b in "[A-D]{0,9}") {
            prop_assert_eq!(is_one_edit(&a, &b), is_one_edit(&b, &a));
            let there = jaro_winkler(&a, &b);
            prop_assert!((0.0..=1.0001).contains(&there));
            // Jaro itself pairs letters greedily; the two directions differ only in what is exchanged.
            prop_assert!((there - jaro_winkler(&b, &a)).abs() < 0.2);
        }

        #[test]
        fn an_edit_is_found(a in "[A-Z]{1,12}", at in 0usize..12, letter in b'A'..=b'Z') {
            let mut edited = a.clone().into_bytes();
            let at = at % edited.len();
            edited[at] = letter;
            prop_assert!(is_one_edit(&a, std::str::from_utf8(&edited).unwrap()));
            edited.remove(at);
            prop_assert!(is_one_edit(&a, std::str::from_utf8(&edited).unwrap()));
        }
    }
}
