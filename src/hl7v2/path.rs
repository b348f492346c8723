//! Where something stands in a message: `PID-3`, `PID-3[2].4.1`, `NTE[2]-3`.

use std::fmt;

/// A place. Everything is counted from 1; what is not said is the first, except that a path without
/// a component means the whole repetition.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path {
    /// Name of the segment.
    pub segment: [u8; 3],
    /// Which segment of that name.
    pub occurrence: u16,
    /// Field.
    pub field: u16,
    /// Repetition of the field.
    pub repetition: u16,
    /// Component; 0: all of the repetition.
    pub component: u16,
    /// Sub-component; 0: all of the component.
    pub subcomponent: u16,
}

/// A text that names no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an HL7 path looks like PID-3, PID-3[2].4.1 or NTE[2]-3")]
pub struct PathError;

impl Path {
    /// For paths in the source: `const CONTROL_ID: Path = Path::of("MSH-10");` is read by the compiler.
    ///
    /// # Panics
    /// When the text names no place; in a `const`, that is an error of compilation.
    pub const fn of(text: &str) -> Self {
        match Self::parse(text) {
            Ok(path) => path,
            Err(_) => panic!("not an HL7 path"),
        }
    }

    /// Reads a path.
    pub const fn parse(text: &str) -> Result<Self, PathError> {
        let bytes = text.as_bytes();
        if bytes.len() < 5 || !is_name(bytes) {
            return Err(PathError);
        }
        let mut path = Self::of_segment([bytes[0], bytes[1], bytes[2]]);
        let mut at = 3;
        (path.occurrence, at) = bracket(bytes, at);
        if path.occurrence == 0 || at >= bytes.len() || bytes[at] != b'-' {
            return Err(PathError);
        }
        (path.field, at) = number(bytes, at + 1);
        (path.repetition, at) = bracket(bytes, at);
        if at < bytes.len() && bytes[at] == b'.' {
            (path.component, at) = number(bytes, at + 1);
            if path.component != 0 && at < bytes.len() && bytes[at] == b'.' {
                (path.subcomponent, at) = number(bytes, at + 1);
                if path.subcomponent == 0 {
                    return Err(PathError);
                }
            }
            if path.component == 0 {
                return Err(PathError);
            }
        }
        if path.field == 0 || path.repetition == 0 || at != bytes.len() {
            return Err(PathError);
        }
        Ok(path)
    }

    const fn of_segment(segment: [u8; 3]) -> Self {
        Self { segment, occurrence: 1, field: 0, repetition: 1, component: 0, subcomponent: 0 }
    }
}

const fn is_name(bytes: &[u8]) -> bool {
    let (a, b, c) = (bytes[0], bytes[1], bytes[2]);
    let rest = (b.is_ascii_uppercase() || b.is_ascii_digit()) && (c.is_ascii_uppercase() || c.is_ascii_digit());
    a.is_ascii_uppercase() && rest
}

/// A number and where it ends; 0: there is none, or it is too large.
const fn number(bytes: &[u8], mut at: usize) -> (u16, usize) {
    let mut value = 0_u32;
    while at < bytes.len() && bytes[at].is_ascii_digit() {
        value = value * 10 + (bytes[at] - b'0') as u32;
        if value > u16::MAX as u32 {
            return (0, at);
        }
        at += 1;
    }
    (value as u16, at)
}

/// `[n]` and where it ends; 1 where there is no bracket, 0 where it is wrong.
const fn bracket(bytes: &[u8], at: usize) -> (u16, usize) {
    if at >= bytes.len() || bytes[at] != b'[' {
        return (1, at);
    }
    let (value, end) = number(bytes, at + 1);
    if end < bytes.len() && bytes[end] == b']' { (value, end + 1) } else { (0, end) }
}

impl std::str::FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let index = |f: &mut fmt::Formatter<'_>, n| if n == 1 { Ok(()) } else { write!(f, "[{n}]") };
        let part = |f: &mut fmt::Formatter<'_>, n| if n == 0 { Ok(()) } else { write!(f, ".{n}") };
        write!(f, "{}", self.segment.escape_ascii())?;
        index(f, self.occurrence)?;
        write!(f, "-{}", self.field)?;
        index(f, self.repetition)?;
        part(f, self.component)?;
        part(f, self.subcomponent)
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_paths() {
        for text in ["PID-3", "PID-3.1", "PID-3[2].4.1", "NTE[2]-3", "ZU1-13", "MSH-10", "OBX[300]-5[2]"] {
            assert_eq!(Path::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Path::of("PID[1]-3[1].2"), Path::of("PID-3.2"));
    }

    #[test]
    fn refuses_all_else() {
        for text in ["", "PID", "PID-", "PID-0", "PID-3.", "PID-3.0", "PID-3.1.", "PID-3.1.0", "PID-3.1.1.1", "pid-3"] {
            assert_eq!(Path::parse(text), Err(PathError), "{text}");
        }
        for text in ["PID[0]-3", "PID[-3", "PID[2-3", "PID-3[", "PID-3[]", "PID-3[2", "PID-99999", "PID 3", "PÏD-3"] {
            assert_eq!(Path::parse(text), Err(PathError), "{text}");
        }
    }
}
