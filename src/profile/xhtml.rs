//! The narrative's XHTML: is it well formed, has it only what R4 allows, does it say anything (txt-1, txt-2 and
//! R4 2.11.1)? One pass over the text, without a tree.

use std::fmt;

mod parts;

pub use self::parts::{languages, says_its_sources};

/// What is wrong with a narrative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Not well-formed XML: what is expected instead.
    Form(&'static str),
    /// The outermost element is no `div`, or not in XHTML's namespace.
    Root,
    /// An element that narratives may not have.
    Element,
    /// An attribute that narratives may not have.
    Attribute,
    /// A comment is harmless; a document type, a processing instruction or CDATA is not allowed.
    Markup,
    /// Neither text nor an image.
    Empty,
}

/// A fault and the offset in the narrative where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it is.
    pub kind: FaultKind,
    /// Byte offset.
    pub at: usize,
}

impl Fault {
    /// The invariant of R4 that is broken; `None` where it is not even XHTML.
    pub fn invariant(self) -> Option<&'static str> {
        match self.kind {
            FaultKind::Element | FaultKind::Attribute => Some("txt-1"),
            FaultKind::Empty => Some("txt-2"),
            FaultKind::Form(_) | FaultKind::Root | FaultKind::Markup => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FaultKind::Form(expected) => write!(f, "The narrative must be well-formed XML: {expected}."),
            FaultKind::Root => {
                f.write_str("The narrative must be one <div> element in the namespace http://www.w3.org/1999/xhtml.")
            }
            FaultKind::Element => f.write_str("The narrative has an element that R4 does not allow there."),
            FaultKind::Attribute => f.write_str("The narrative has an attribute that R4 does not allow there."),
            FaultKind::Markup => {
                f.write_str("The narrative must have no document type, processing instruction or CDATA section.")
            }
            FaultKind::Empty => f.write_str("The narrative must have some text or an image."),
        }
    }
}

/// HTML 4.0, chapters 7 to 11 and 15, sorted.
const ELEMENTS: &[&str] = &[
    "a",
    "abbr",
    "acronym",
    "address",
    "b",
    "bdo",
    "big",
    "blockquote",
    "br",
    "caption",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "del",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "ins",
    "kbd",
    "li",
    "ol",
    "p",
    "pre",
    "q",
    "samp",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "tt",
    "ul",
    "var",
];

const ATTRIBUTES: &[&str] = &[
    "abbr",
    "accesskey",
    "align",
    "alt",
    "axis",
    "bgcolor",
    "border",
    "cellhalign",
    "cellpadding",
    "cellspacing",
    "cellvalign",
    "char",
    "charoff",
    "charset",
    "cite",
    "class",
    "colspan",
    "compact",
    "coords",
    "dir",
    "frame",
    "headers",
    "height",
    "href",
    "hreflang",
    "hspace",
    "id",
    "lang",
    "longdesc",
    "name",
    "nowrap",
    "rel",
    "rev",
    "rowspan",
    "rules",
    "scope",
    "shape",
    "span",
    "src",
    "start",
    "style",
    "summary",
    "tabindex",
    "title",
    "type",
    "valign",
    "value",
    "vspace",
    "width",
    "xml:id",
    "xml:lang",
    "xml:space",
    "xmlns",
];

const NAMESPACE: &str = "http://www.w3.org/1999/xhtml";

/// Nested deeper than this is no narrative.
const DEPTH_MAX: usize = 256;

/// The first fault of a narrative.
pub fn check(text: &str) -> Option<Fault> {
    Reader { text, at: 0, open: Vec::new(), says_something: false, is_done: false }.document().err()
}

/// Is it the name of an element of HTML, of those too that no narrative may have?
pub fn is_html(name: &str) -> bool {
    const OTHERS: [&str; 18] = [
        "applet", "audio", "base", "body", "button", "embed", "form", "head", "html", "iframe", "input", "link",
        "math", "meta", "object", "script", "svg", "video",
    ];
    ELEMENTS.contains(&name) || OTHERS.contains(&name)
}

/// The values of an attribute, of a narrative that is sound.
pub fn attributes<'t>(text: &'t str, name: &'static str) -> impl Iterator<Item = &'t str> {
    text.match_indices(name).filter_map(move |(at, _)| {
        let begins = text[..at].ends_with(|before: char| before.is_ascii_whitespace());
        let rest = text[at + name.len()..].trim_start().strip_prefix('=').filter(|_| begins)?.trim_start();
        let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        rest[1..].split(quote).next()
    })
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    open: Vec<&'t str>,
    says_something: bool,
    is_done: bool,
}

type Read<T> = Result<T, Fault>;

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, ':' | '_' | '-' | '.')
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn fault<T>(&self, kind: FaultKind) -> Read<T> {
        Err(Fault { kind, at: self.at })
    }

    fn form<T>(&self, expected: &'static str) -> Read<T> {
        self.fault(FaultKind::Form(expected))
    }

    fn document(&mut self) -> Read<()> {
        while self.at < self.text.len() {
            let rest = self.rest();
            if rest.starts_with("<!--") {
                self.comment()?;
            } else if rest.starts_with("</") {
                self.close()?;
            } else if rest.starts_with("<!") || rest.starts_with("<?") {
                return self.fault(FaultKind::Markup);
            } else if rest.starts_with('<') {
                self.open()?;
            } else {
                self.content()?;
            }
        }
        match (self.open.is_empty(), self.is_done, self.says_something) {
            (false, ..) => self.form("an element is not closed"),
            (_, false, _) => self.fault(FaultKind::Root),
            (_, _, false) => Err(Fault { kind: FaultKind::Empty, at: 0 }),
            _ => Ok(()),
        }
    }

    fn comment(&mut self) -> Read<()> {
        match self.rest()[4..].find("--") {
            Some(end) if self.rest()[4 + end..].starts_with("-->") => {
                self.at += end + 7;
                Ok(())
            }
            Some(_) => self.form("two hyphens end a comment"),
            None => self.form("a comment is not closed"),
        }
    }

    fn content(&mut self) -> Read<()> {
        let length = self.rest().find('<').unwrap_or(self.rest().len());
        let content = &self.rest()[..length];
        if self.open.is_empty() && !content.trim().is_empty() {
            return self.fault(FaultKind::Root);
        }
        // A no-break space is white space that only looks like content.
        self.says_something |= !content.trim().is_empty();
        self.references(content)?;
        self.at += length;
        Ok(())
    }

    /// References to characters are complete, and entities are those of XML: "there is no support for HTML entities like
    /// &nbsp;" (R4 2.11.1).
    fn references(&self, content: &str) -> Read<()> {
        if let Some(at) = content.find(|c: char| c < ' ' && !matches!(c, '\t' | '\n' | '\r')) {
            return Err(Fault { kind: FaultKind::Form("control characters are not allowed"), at: self.at + at });
        }
        for (at, _) in content.match_indices('&') {
            let fault = Fault { kind: FaultKind::Form("an ampersand is written &amp;"), at: self.at + at };
            let rest = &content[at + 1..];
            let name = rest.find(';').map(|end| &rest[..end]).ok_or(fault)?;
            let digits =
                |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32).is_some();
            let is_right = match (name.strip_prefix("#x"), name.strip_prefix('#')) {
                (Some(hex), _) => digits(hex, 16),
                (_, Some(decimal)) => digits(decimal, 10),
                _ if ["amp", "lt", "gt", "quot", "apos"].contains(&name) => true,
                _ if name.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                    let kind = FaultKind::Form("entities of HTML are written as the characters themselves");
                    return Err(Fault { kind, ..fault });
                }
                _ => false,
            };
            if !is_right {
                return Err(fault);
            }
        }
        Ok(())
    }

    fn name(&mut self) -> Read<&'t str> {
        let length = self.rest().find(|c| !is_name(c)).unwrap_or(self.rest().len());
        if length == 0 || self.rest().starts_with(|c: char| c.is_numeric() || matches!(c, '-' | '.')) {
            return self.form("a name is expected; a less-than sign in text is written &lt;");
        }
        let name = &self.rest()[..length];
        self.at += length;
        Ok(name)
    }

    fn skip_blanks(&mut self) -> bool {
        let before = self.at;
        self.at = self.text.len() - self.rest().trim_start().len();
        before < self.at
    }

    fn open(&mut self) -> Read<()> {
        let begin = self.at;
        self.at += 1;
        let name = self.name()?;
        if self.is_done || (self.open.is_empty() && name != "div") {
            return Err(Fault { kind: FaultKind::Root, at: begin });
        }
        if ELEMENTS.binary_search(&name).is_err() || !self.takes(name) {
            return Err(Fault { kind: FaultKind::Element, at: begin });
        }
        let has_source = self.attributes(begin)?;
        self.says_something |= name == "img" && has_source;
        if self.rest().starts_with("/>") {
            self.at += 2;
            self.is_done = self.open.is_empty();
        } else {
            self.at += 1;
            self.open.push(name);
            if DEPTH_MAX < self.open.len() {
                return self.form("elements are nested too deep");
            }
        }
        Ok(())
    }

    /// May the element that is open hold this one? Lists have items, and paragraphs no blocks (XHTML 1.0 Strict).
    fn takes(&self, name: &str) -> bool {
        const BLOCKS: [&str; 6] = ["blockquote", "div", "ol", "p", "table", "ul"];
        match self.open.last() {
            Some(&("ol" | "ul")) => name == "li",
            _ => !BLOCKS.contains(&name) || !self.open.contains(&"p"),
        }
    }

    /// Up to the end of the tag. Tells whether there is a `src`.
    fn attributes(&mut self, begin: usize) -> Read<bool> {
        let mut seen: Vec<&str> = Vec::new();
        let mut namespace = None;
        loop {
            let is_apart = self.skip_blanks();
            if self.rest().starts_with('>') || self.rest().starts_with("/>") {
                break;
            }
            if !is_apart {
                return self.form("a tag ends with a greater-than sign");
            }
            let at = self.at;
            let name = self.name()?;
            let value = self.value()?;
            if seen.contains(&name) {
                return Err(Fault { kind: FaultKind::Form("an attribute occurs only once"), at });
            }
            if ATTRIBUTES.binary_search(&name).is_err() {
                return Err(Fault { kind: FaultKind::Attribute, at });
            }
            if name == "xmlns" {
                namespace = Some(value);
            }
            seen.push(name);
        }
        let is_right = match namespace {
            Some(namespace) => namespace == NAMESPACE,
            None => !self.open.is_empty(),
        };
        if is_right { Ok(seen.contains(&"src")) } else { Err(Fault { kind: FaultKind::Root, at: begin }) }
    }

    fn value(&mut self) -> Read<&'t str> {
        self.skip_blanks();
        if !self.rest().starts_with('=') {
            return self.form("an attribute has a value");
        }
        self.at += 1;
        self.skip_blanks();
        let Some(quote) = self.rest().chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            return self.form("an attribute's value stands in quotes");
        };
        self.at += 1;
        let Some(length) = self.rest().find(quote) else { return self.form("a quote is not closed") };
        let value = &self.rest()[..length];
        if value.contains('<') {
            return self.form("a less-than sign is written &lt;");
        }
        self.references(value)?;
        self.at += length + 1;
        Ok(value)
    }

    fn close(&mut self) -> Read<()> {
        let begin = self.at;
        self.at += 2;
        let name = self.name()?;
        self.skip_blanks();
        if !self.rest().starts_with('>') {
            return self.form("a tag ends with a greater-than sign");
        }
        if self.open.pop() != Some(name) {
            return Err(Fault {
                kind: FaultKind::Form("elements are closed in the order they were opened"),
                at: begin,
            });
        }
        self.at += 1;
        self.is_done = self.open.is_empty();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(inner: &str) -> Option<FaultKind> {
        check(&format!("<div xmlns=\"{NAMESPACE}\">{inner}</div>")).map(|fault| fault.kind)
    }

    #[test]
    fn what_narratives_may_have_is_taken() {
        for inner in [
            "text",
            "<p class='a' title=\"b\">&lt;&#160;&#xA0;&amp;é</p><br/><hr />",
            "<!-- remark --><table><tbody><tr><td colspan = \"2\">1</td></tr></tbody></table >",
            "<img src=\"#a\" alt=\"\"/>",
            "<div xmlns=\"http://www.w3.org/1999/xhtml\">a</div>",
        ] {
            assert_eq!(kind(inner), None, "{inner}");
        }
        assert_eq!(check(&format!(" <div xmlns='{NAMESPACE}'>a</div>\n")), None);
    }

    #[test]
    fn what_they_may_not_have_is_told() {
        for inner in ["<script>a</script>", "<form>a</form>", "<Div>a</Div>", "<iframe src='a'/>", "<h:p>a</h:p>"] {
            assert_eq!(kind(inner), Some(FaultKind::Element), "{inner}");
        }
        for inner in ["<ul><p>a</p></ul>", "<ol><li>a</li><b>b</b></ol>", "<p>a<p>b</p></p>", "<p><b><ul/></b>a</p>"] {
            assert_eq!(kind(inner), Some(FaultKind::Element), "{inner}");
        }
        for inner in ["<p onclick=\"a\">a</p>", "<a href='b' target='_blank'>a</a>"] {
            assert_eq!(kind(inner), Some(FaultKind::Attribute), "{inner}");
        }
        for inner in ["<!DOCTYPE a>", "<?xml version='1.0'?>", "<![CDATA[a]]>"] {
            assert_eq!(kind(inner), Some(FaultKind::Markup), "{inner}");
        }
        for inner in ["", " \n ", "<p/>", "<img alt='a'/>", "<!-- a -->", "\u{a0}"] {
            assert_eq!(kind(inner), Some(FaultKind::Empty), "{inner}");
        }
    }

    #[test]
    fn what_is_not_well_formed_is_told() {
        for inner in [
            "<p>a",
            "a</p>",
            "<p>a</b></p>",
            "a & b",
            "a &x",
            "&#xD800;",
            "&#x;",
            "1 < 2",
            "<p a>b</p>",
            "<p id=a>b</p>",
            "<p id='a>b</p>",
            "<p id='a' id='b'>c</p>",
            "<p id='a'class='b'>c</p>",
            "<!-- a -- b -->",
            "<!-- a",
            "<p",
            "<p id",
            "</",
            "\u{1}",
            "<p title='<'>a</p>",
            "a&nbsp;b",
            "<p title='&copy;'>a</p>",
        ] {
            assert!(matches!(kind(inner), Some(FaultKind::Form(_))), "{inner}: {:?}", kind(inner));
        }
        for text in ["", "a", "<p>a</p>", "<div>a</div>", "<div xmlns='x'>a</div>", "a<div/>"] {
            assert_eq!(check(text).map(|fault| fault.kind), Some(FaultKind::Root), "{text}");
        }
        let two = format!("<div xmlns='{NAMESPACE}'>a</div>").repeat(2);
        assert_eq!(check(&two).map(|fault| fault.kind), Some(FaultKind::Root));
        assert!(matches!(kind(&"<b>".repeat(1000)), Some(FaultKind::Form(_))));
    }

    #[test]
    fn the_lists_are_sorted() {
        assert!(ELEMENTS.is_sorted() && ATTRIBUTES.is_sorted());
    }
}
