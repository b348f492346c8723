//! From a property's name to its field, by four of its bytes.

/// An open-addressing table of indexes; the names themselves stay with their owner.
#[derive(Debug, Default)]
pub struct NameTable {
    slots: Box<[u16]>,
}

const FREE: u16 = u16::MAX;

impl NameTable {
    /// The table of these names, by their position.
    pub fn of<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> Self {
        let size = (names.len() * 4).next_power_of_two();
        let mut slots = vec![FREE; size].into_boxed_slice();
        for (index, name) in names.enumerate() {
            let mut slot = spread(name) & (size - 1);
            while slots[slot] != FREE {
                slot = (slot + 1) & (size - 1);
            }
            // A type has some hundreds of properties at most.
            slots[slot] = index as u16;
        }
        Self { slots }
    }

    /// The position of `name`; `name_of` gives the name at a position.
    #[inline]
    pub fn find<'a>(&self, name: &str, name_of: impl Fn(usize) -> &'a str) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut slot = spread(name) & mask;
        // At most a quarter of the slots is taken, so a free one ends the search.
        loop {
            match self.slots[slot] {
                FREE => return None,
                index if name_of(usize::from(index)) == name => return Some(usize::from(index)),
                _ => slot = (slot + 1) & mask,
            }
        }
    }
}

/// Length, first, middle and last byte tell nearly all properties of a type apart.
#[inline]
fn spread(name: &str) -> usize {
    let bytes = name.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return 0 };
    let middle = bytes[bytes.len() / 2];
    let word = u32::from_le_bytes([*first, middle, *last, bytes.len() as u8]);
    (word.wrapping_mul(0x9E37_79B1) >> 16) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_others_are_not() {
        let names = ["valueUri", "valueUrl", "id", "x", "valueUuid", ""];
        let table = NameTable::of(names.into_iter());
        for (index, name) in names.iter().enumerate() {
            assert_eq!(table.find(name, |at| names[at]), Some(index));
        }
        assert_eq!(table.find("valueUrx", |at| names[at]), None);
        assert_eq!(NameTable::default().find("id", |at| names[at]), None);
        assert_eq!(NameTable::of([].into_iter()).find("id", |at| names[at]), None);
    }
}
