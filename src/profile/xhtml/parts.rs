//! What the parts of a narrative say of themselves: where they are from, in which language they are.

use super::attributes;

/// Classes that say where a text is from.
const SOURCES: [&str; 5] = ["additional", "boilerplate", "generated", "maintained", "original"];

/// What a narrative that is sound consists of.
enum Part<'t> {
    /// A tag without its brackets, and whether it closes itself.
    Open(&'t str, bool),
    Close,
    Text(&'t str),
}

/// Has every text of a sound narrative a class that says where it is from, by itself or by what it is in?
pub fn says_its_sources(narrative: &str) -> bool {
    let mut said = vec![false];
    for part in (Parts { rest: narrative }) {
        let outer = said.last().copied().unwrap_or_default();
        match part {
            Part::Open(tag, false) => said.push(outer || has_source(tag)),
            Part::Open(..) => {}
            Part::Close => drop(said.pop()),
            Part::Text(text) if outer || text.trim().is_empty() => {}
            Part::Text(_) => return false,
        }
    }
    true
}

fn has_source(tag: &str) -> bool {
    attributes(tag, "class").flat_map(str::split_whitespace).any(|class| SOURCES.contains(&class))
}

/// The languages of the sections that a sound narrative is cut into: a `div` each, right below its root.
pub fn languages(narrative: &str) -> Vec<&str> {
    let mut depth = 0;
    let mut found = Vec::new();
    for part in (Parts { rest: narrative }) {
        match part {
            Part::Open(tag, closes) => {
                if depth == 1 && tag.split_whitespace().next() == Some("div") {
                    found.extend(attributes(tag, "xml:lang").chain(attributes(tag, "lang")).next());
                }
                depth += usize::from(!closes);
            }
            Part::Close => depth -= 1,
            Part::Text(_) => {}
        }
    }
    found
}

struct Parts<'t> {
    rest: &'t str,
}

impl<'t> Parts<'t> {
    fn take(&mut self, length: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }
}

impl<'t> Iterator for Parts<'t> {
    type Item = Part<'t>;

    fn next(&mut self) -> Option<Part<'t>> {
        while self.rest.starts_with("<!--") {
            let end = self.rest.find("-->").map_or(self.rest.len(), |at| at + 3);
            self.take(end);
        }
        if self.rest.is_empty() {
            return None;
        }
        if !self.rest.starts_with('<') {
            let end = self.rest.find('<').unwrap_or(self.rest.len());
            return Some(Part::Text(self.take(end)));
        }
        let end = tag_end(self.rest);
        let tag = self.take(end).trim_start_matches('<').trim_end_matches('>');
        Some(match tag.strip_suffix('/') {
            _ if tag.starts_with('/') => Part::Close,
            Some(tag) => Part::Open(tag, true),
            None => Part::Open(tag, false),
        })
    }
}

/// Behind the bracket that closes a tag; those in its values do not count.
fn tag_end(text: &str) -> usize {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '>') => return at + 1,
            (None, '"' | '\'') => quote = Some(c),
            (Some(own), c) if own == c => quote = None,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrative(inner: &str) -> String {
        format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{inner}</div>")
    }

    #[test]
    fn a_text_says_its_source_by_itself_or_by_what_it_is_in() {
        let says = |inner: &str| says_its_sources(&narrative(inner));
        assert!(says(
            "<p class=\"generated\">a</p> <!-- b --><div class='x original'><p title=\"1 > 0\">c</p><br/></div>"
        ));
        assert!(!says("<p class=\"generated\">a</p>b"));
        assert!(!says("<p class=\"red\">a</p>"));
        assert!(!says("<p><b class=\"generated\">a</b>b</p>"));
    }

    #[test]
    fn sections_tell_their_language() {
        let of = |inner: &str| languages(&narrative(inner)).join(" ");
        assert_eq!(of("<div xml:lang=\"en\" lang=\"en\">a</div><div lang='de'>b<div lang='fr'>c</div></div>"), "en de");
        assert_eq!(of("<p lang=\"en\">a</p><div>b</div>"), "");
    }
}
