//! Property names as numbers, so that a message is compared with the definitions without comparing text.

use std::fmt;

/// A property name that is known, with or without the underscore that marks what goes with a primitive value
/// (R4 2.6.2.3: `birthDate` and `_birthDate`); or any name that is not known.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameId(u16);

const UNDERSCORE: u16 = 1 << 15;
const FREE: u16 = u16::MAX;

impl NameId {
    /// A name that is in no definition, and the name of what has none: an array's item.
    pub const UNKNOWN: Self = Self(u16::MAX);

    /// Is it in the table?
    #[inline]
    pub fn is_known(self) -> bool {
        self != Self::UNKNOWN
    }

    /// Does it start with an underscore?
    #[inline]
    pub fn is_sibling(self) -> bool {
        self.is_known() && self.0 & UNDERSCORE != 0
    }

    /// The name without the underscore.
    #[inline]
    pub fn plain(self) -> Self {
        if self.is_known() { Self(self.0 & !UNDERSCORE) } else { self }
    }

    /// The name with the underscore.
    #[inline]
    pub fn sibling(self) -> Self {
        Self(self.0 | UNDERSCORE)
    }

    /// Position of the name without the underscore in the table.
    #[inline]
    pub fn index(self) -> usize {
        usize::from(self.0 & !UNDERSCORE)
    }
}

impl Default for NameId {
    fn default() -> Self {
        Self::UNKNOWN
    }
}

impl fmt::Debug for NameId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_known() { write!(f, "NameId({})", self.0) } else { f.write_str("NameId(unknown)") }
    }
}

/// The names that are known.
#[derive(Debug, Default)]
pub struct Names {
    slots: Box<[u16]>,
    ends: Vec<Ends>,
    names: Vec<Box<str>>,
}

/// A name's first and last bytes and its length: all of it, up to [`Ends::WHOLE`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ends {
    head: u64,
    tail: u64,
    length: usize,
}

impl Names {
    /// The table of these names; a name may be given more than once, and none starts with an underscore.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut sorted: Vec<&str> = names.into_iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        // The two highest numbers mean "unknown"; FHIR R4 has some two thousand names.
        sorted.truncate(usize::from(UNDERSCORE) - 2);
        let size = (sorted.len() * 4).next_power_of_two();
        let mut slots = vec![FREE; size].into_boxed_slice();
        for (index, name) in sorted.iter().enumerate() {
            let mut slot = Ends::of(name.as_bytes()).spread() & (size - 1);
            while slots[slot] != FREE {
                slot = (slot + 1) & (size - 1);
            }
            slots[slot] = index as u16;
        }
        let ends = sorted.iter().map(|name| Ends::of(name.as_bytes())).collect();
        Self { slots, ends, names: sorted.into_iter().map(Box::from).collect() }
    }

    /// The number of a name, which may start with an underscore.
    #[inline]
    pub fn find(&self, name: &str) -> NameId {
        match name.as_bytes() {
            [b'_', ..] => {
                let found = self.find_plain(&name[1..]);
                if found.is_known() { found.sibling() } else { found }
            }
            _ => self.find_plain(name),
        }
    }

    #[inline]
    fn find_plain(&self, name: &str) -> NameId {
        let Some(mask) = self.slots.len().checked_sub(1) else { return NameId::UNKNOWN };
        let ends = Ends::of(name.as_bytes());
        let mut slot = ends.spread() & mask;
        // At most a quarter of the slots is taken, so a free one ends the search.
        loop {
            let index = self.slots[slot];
            if index == FREE {
                return NameId::UNKNOWN;
            }
            let found = usize::from(index);
            if self.ends[found] == ends && (name.len() <= Ends::WHOLE || *self.names[found] == *name) {
                return NameId(index);
            }
            slot = (slot + 1) & mask;
        }
    }

    /// The name of a number, without an underscore; empty where it is not known.
    pub fn name(&self, id: NameId) -> &str {
        if id.is_known() { self.names.get(id.index()).map_or("", |name| name) } else { "" }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

impl Ends {
    /// Names up to this length are told by their ends alone.
    const WHOLE: usize = 16;

    #[inline]
    fn of(name: &[u8]) -> Self {
        let length = name.len();
        let (head, tail) = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
            (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
            _ => match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
                (Some(head), Some(tail)) => (u32::from_le_bytes(*head).into(), u32::from_le_bytes(*tail).into()),
                _ => (name.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0),
            },
        };
        Self { head, tail, length }
    }

    #[inline]
    fn spread(self) -> usize {
        const MIX: u64 = 0x9E37_79B9_7F4A_7C15;
        let mixed = (self.head ^ self.length as u64).wrapping_mul(MIX) ^ self.tail.rotate_left(23).wrapping_mul(MIX);
        (mixed ^ mixed >> 32) as usize
    }
}

/// A number that tells nearly all names apart.
#[inline]
pub(super) fn spread(name: &[u8]) -> usize {
    Ends::of(name).spread()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_others_are_not() {
        let all = ["valueUri", "valueUrl", "id", "di", "x", "abcd", "abcde", "abdcde", "valueReference"];
        let long = ["aaaaaaaabccccccccc", "aaaaaaaadccccccccc", "aaaaaaaaccccccccc"];
        let all: Vec<&str> = all.into_iter().chain(long).collect();
        let names = Names::of(all.iter().copied().chain(["id"]));
        assert_eq!(names.len(), all.len());
        for name in all {
            let id = names.find(name);
            assert!(id.is_known() && !id.is_sibling());
            assert_eq!(names.name(id), name);
            let sibling = names.find(&format!("_{name}"));
            assert_eq!((sibling.plain(), sibling.is_sibling()), (id, true));
        }
        for name in ["", "_", "__id", "valueUrx", "valueReferenc"] {
            assert_eq!(names.find(name), NameId::UNKNOWN);
        }
        assert_eq!(Names::default().find("id"), NameId::UNKNOWN);
    }

    #[test]
    fn the_unknown_name_has_no_sibling_of_its_own() {
        assert!(!NameId::UNKNOWN.is_sibling());
        assert_eq!(NameId::UNKNOWN.plain(), NameId::UNKNOWN);
    }
}
