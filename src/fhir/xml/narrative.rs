//! XHTML, carried letter for letter.
//!
//! In JSON a narrative is a string that must stand on its own. In XML it may lean on declarations around it: a
//! prefix, or a default namespace. Then, and only then, it is changed: prefixes go, and the `div` gets its `xmlns`.

use std::borrow::Cow;

use super::namespace::{Namespaces, Space};
use super::tag::{self, Scan};
use super::tokens::{Token, Tokens};
use super::{Read, XHTML_NAMESPACE, XmlFault, fail};

/// Deeper than this no narrative is nested.
const DEPTH_MAX: usize = 512;

/// One change: what is cut out, and what is put there.
struct Edit {
    start: usize,
    end: usize,
    text: String,
}

struct Narrative<'n, 'x> {
    spaces: &'n mut Namespaces<'x>,
    /// Declarations before this one are outside of the narrative.
    own: usize,
    edits: Vec<Edit>,
    /// Of the open elements: where their declarations begin, and the length of a prefix that goes.
    open: Vec<(usize, usize)>,
    /// An element declares a default namespace that is not XHTML's.
    mixed: bool,
}

/// Reads an XHTML element whose start tag is the last token that was read.
pub(super) fn read<'x>(
    tokens: &mut Tokens<'x>,
    end: usize,
    empty: bool,
    spaces: &mut Namespaces<'x>,
) -> Read<Cow<'x, str>> {
    let (text, start, own) = (tokens.text, tokens.start, spaces.len());
    let mut narrative = Narrative { spaces, own, edits: Vec::new(), open: Vec::new(), mixed: false };
    narrative.open(text, start, end, empty)?;
    while !narrative.open.is_empty() {
        match tokens.next()? {
            Token::Open { end, empty } => narrative.open(text, tokens.start, end, empty)?,
            Token::Close => narrative.close(tokens.start),
            Token::Text { .. } | Token::Comment => {}
            Token::Declaration | Token::Instruction => return fail(XmlFault::Instruction, tokens.start),
            Token::End => return fail(XmlFault::Unfinished, start),
        }
    }
    if narrative.mixed && !narrative.edits.is_empty() {
        return fail(XmlFault::Namespace, start);
    }
    Ok(edited(&text[..tokens.at()], start, &narrative.edits))
}

/// A narrative as XML has it, of the string that JSON has: it must be one element of XHTML.
pub(super) fn embedded(text: &str) -> Read<Cow<'_, str>> {
    if let Some(offset) = tag::foreign_character(text) {
        return fail(XmlFault::Character, offset);
    }
    let mut tokens = Tokens::of(text);
    let mut spaces = Namespaces::within(Space::Xhtml);
    let mut found = None;
    loop {
        match tokens.next()? {
            Token::Open { end, empty } if found.is_none() => {
                found = Some(read(&mut tokens, end, empty, &mut spaces)?);
            }
            Token::Text { blank: true } => {}
            Token::End => return found.map_or_else(|| fail(XmlFault::Empty, 0), Ok),
            _ => return fail(XmlFault::Trailing, tokens.start),
        }
    }
}

impl<'x> Narrative<'_, 'x> {
    fn open(&mut self, text: &'x str, start: usize, end: usize, empty: bool) -> Read<()> {
        if self.open.len() == DEPTH_MAX {
            return fail(XmlFault::TooDeep, start);
        }
        let before = self.spaces.len();
        let mut scan = Scan::of(text, start + 1, end);
        let name = scan.name()?;
        let mut prefixes = Vec::new();
        let mut declares_default = false;
        while let Some(attribute) = scan.attribute()? {
            attribute.value()?;
            if self.spaces.declare(&attribute)? {
                declares_default |= attribute.name == "xmlns";
            } else if let (prefix, _) = tag::split(attribute.name)
                && !prefix.is_empty()
            {
                prefixes.push((prefix, attribute.offset));
            }
        }
        for (prefix, offset) in prefixes {
            self.own_prefix(prefix, offset)?;
        }
        self.mixed |= declares_default && self.spaces.of("", start)?.0 != Space::Xhtml;
        let cut = self.element(name, start, declares_default)?;
        self.open.push((before, cut));
        if empty {
            self.leave();
        }
        Ok(())
    }

    /// An attribute's prefix must be declared in the narrative: there is no way to keep it otherwise.
    fn own_prefix(&self, prefix: &str, offset: usize) -> Read<()> {
        match self.spaces.of(prefix, offset)? {
            (_, Some(index)) if index < self.own => fail(XmlFault::Namespace, offset),
            _ => Ok(()),
        }
    }

    /// Notes what must change in the start tag; answers how long a prefix goes from the end tag too.
    fn element(&mut self, name: &str, start: usize, declares_default: bool) -> Read<usize> {
        let (prefix, local) = tag::split(name);
        let (space, declared) = self.spaces.of(prefix, start)?;
        let outside = declared.is_none_or(|index| index < self.own);
        let is_root = self.open.is_empty();
        if space != Space::Xhtml {
            // An element of another kind within is kept as it is, if it can stand there alone.
            return if outside || is_root { fail(XmlFault::Namespace, start) } else { Ok(0) };
        }
        if prefix.is_empty() || (!outside && !self.prefixes_go()) {
            if is_root && outside {
                self.bind_root(start, name.len());
            }
            return Ok(0);
        }
        let cut = name.len() - local.len();
        self.edits.push(Edit { start: start + 1, end: start + 1 + cut, text: String::new() });
        if is_root && !declares_default {
            self.bind_root(start, name.len());
        }
        Ok(cut)
    }

    /// JSON's narrative begins with `<div`, so a prefix of the root goes, and with it those of the rest.
    fn prefixes_go(&self) -> bool {
        self.open.first().is_none_or(|(_, cut)| 0 < *cut)
    }

    fn bind_root(&mut self, start: usize, name: usize) {
        let at = start + 1 + name;
        self.edits.push(Edit { start: at, end: at, text: format!(" xmlns=\"{XHTML_NAMESPACE}\"") });
    }

    fn close(&mut self, start: usize) {
        if let Some((_, cut)) = self.open.last()
            && 0 < *cut
        {
            self.edits.push(Edit { start: start + 2, end: start + 2 + cut, text: String::new() });
        }
        self.leave();
    }

    fn leave(&mut self) {
        if let Some((declarations, _)) = self.open.pop() {
            self.spaces.leave(declarations);
        }
    }
}

fn edited<'x>(text: &'x str, start: usize, edits: &[Edit]) -> Cow<'x, str> {
    if edits.is_empty() {
        return Cow::Borrowed(&text[start..]);
    }
    let mut out = String::with_capacity(text.len() - start + 64);
    let mut copied = start;
    for edit in edits {
        out.push_str(&text[copied..edit.start]);
        out.push_str(&edit.text);
        copied = edit.end;
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}
