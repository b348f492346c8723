//! The characters that divide a message, as its own first segment declares them (2.5.4).

/// The delimiters of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delimiters {
    /// MSH-1, between fields.
    pub field: u8,
    /// Between components.
    pub component: u8,
    /// Between repetitions of a field.
    pub repetition: u8,
    /// Around escape sequences.
    pub escape: u8,
    /// Between sub-components; old systems have none.
    pub subcomponent: Option<u8>,
    /// Marks a truncated value (2.7 and later).
    pub truncation: Option<u8>,
}

impl Delimiters {
    /// The recommended ones, and the only ones that this gateway chooses by itself.
    pub const STANDARD: Self = Self {
        field: b'|',
        component: b'^',
        repetition: b'~',
        escape: b'\\',
        subcomponent: Some(b'&'),
        truncation: None,
    };

    /// Reads them from the start of a header segment (`MSH|^~\&|…`). `None`: they cannot be told apart.
    pub fn read(header: &[u8]) -> Option<Self> {
        let field = *header.get(3)?;
        let rest = header.get(4..)?;
        let length = rest.iter().position(|byte| *byte == field || byte.is_ascii_control()).unwrap_or(rest.len());
        Self::from_encoding(field, &rest[..length]).filter(Self::distinct)
    }

    /// MSH-2 without its tolerated variants: three characters (no sub-components), five (2.7),
    /// or a backslash that an over-eager sender escaped.
    fn from_encoding(field: u8, encoding: &[u8]) -> Option<Self> {
        let (component, repetition, escape, subcomponent, truncation) = match *encoding {
            [c, r, e, again, s] if e == again => (c, r, e, Some(s), None),
            [c, r, e] => (c, r, e, None, None),
            [c, r, e, s] => (c, r, e, Some(s), None),
            [c, r, e, s, t] => (c, r, e, Some(s), Some(t)),
            _ => return None,
        };
        Some(Self { field, component, repetition, escape, subcomponent, truncation })
    }

    /// Printable, no letters or digits, no two alike.
    fn distinct(&self) -> bool {
        let all = self.all();
        let printable = all.iter().flatten().all(u8::is_ascii_punctuation);
        let twice = |(at, byte): (usize, &Option<u8>)| byte.is_some() && all[..at].contains(byte);
        printable && !all.iter().enumerate().any(twice)
    }

    /// All of them, in the order of MSH-1 and MSH-2.
    pub fn all(&self) -> [Option<u8>; 6] {
        let Self { field, component, repetition, escape, subcomponent, truncation } = *self;
        [Some(field), Some(component), Some(repetition), Some(escape), subcomponent, truncation]
    }

    /// MSH-2.
    pub fn encoding(&self) -> impl Iterator<Item = u8> {
        self.all().into_iter().skip(1).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_usual_and_the_unusual() {
        assert_eq!(Delimiters::read(br"MSH|^~\&|A"), Some(Delimiters::STANDARD));
        assert_eq!(Delimiters::read(br"MSH|^~\\&|A"), Some(Delimiters::STANDARD));
        assert_eq!(Delimiters::read(br"MSH|^~\&"), Some(Delimiters::STANDARD));
        assert_eq!(Delimiters::read(b"MSH|^~\\&\rPID|"), Some(Delimiters::STANDARD));
        assert_eq!(Delimiters::read(br"MSH|^~\|A").unwrap().subcomponent, None);
        assert_eq!(Delimiters::read(br"MSH|^~\&#|A").unwrap().truncation, Some(b'#'));
        let odd = Delimiters::read(b"MSH$%*!@$A").unwrap();
        assert_eq!((odd.field, odd.component, odd.escape), (b'$', b'%', b'!'));
    }

    #[test]
    fn refuses_what_cannot_be_told_apart() {
        for header in
            [&b"MSH"[..], b"MSH|", b"MSH||", b"MSH|^^\\&|", b"MSH|^~|", b"MSH|a~\\&|", b"MSH|||||", b"MSH \t~\\&|"]
        {
            assert_eq!(Delimiters::read(header), None, "{}", header.escape_ascii());
        }
    }
}
