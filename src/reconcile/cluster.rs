//! Persons: what certain links join. A link that would join two who are known to be different is not made.

use super::normal::Record;

/// Which records are one person.
pub struct Persons {
    parent: Vec<u32>,
    /// The valid NHS number of a person, at the root; 0: none.
    numbers: Vec<u64>,
    /// The records of a person: a ring through all of them.
    next: Vec<u32>,
    sizes: Vec<u32>,
}

impl Persons {
    /// Every record is a person of its own.
    pub fn new(records: &[Record]) -> Self {
        let all = 0..records.len() as u32;
        let number = |record: &Record| if record.number.is_valid() { record.number.value() } else { 0 };
        Self {
            parent: all.clone().collect(),
            numbers: records.iter().map(number).collect(),
            next: all.collect(),
            sizes: vec![1; records.len()],
        }
    }

    /// The record that stands for a record's person.
    pub fn of(&mut self, record: u32) -> u32 {
        let mut at = record;
        while self.parent[at as usize] != at {
            let up = self.parent[self.parent[at as usize] as usize];
            self.parent[at as usize] = up;
            at = up;
        }
        at
    }

    /// The records of a person.
    pub fn records(&self, record: u32) -> Vec<u32> {
        let mut found = vec![record];
        let mut at = self.next[record as usize];
        while at != record {
            found.push(at);
            at = self.next[at as usize];
        }
        found
    }

    /// Makes one person of two; `false`: they have different valid numbers, or `are_two` knows them apart.
    pub fn join(&mut self, a: u32, b: u32, are_two: impl Fn(u32, u32) -> bool) -> bool {
        let (a, b) = (self.of(a), self.of(b));
        if a == b {
            return true;
        }
        let (x, y) = (self.numbers[a as usize], self.numbers[b as usize]);
        if x != 0 && y != 0 && x != y {
            return false;
        }
        let (large, small) = if self.sizes[a as usize] < self.sizes[b as usize] { (b, a) } else { (a, b) };
        let (few, many) = (self.records(small), self.records(large));
        if few.iter().any(|x| many.iter().take(RECORDS_MAX).any(|y| are_two(*x, *y))) {
            return false;
        }
        self.parent[small as usize] = large;
        self.numbers[large as usize] = x.max(y);
        self.sizes[large as usize] += self.sizes[small as usize];
        self.next.swap(small as usize, large as usize);
        true
    }

    /// How many persons there are.
    pub fn count(&self) -> usize {
        self.parent.iter().zip(0..).filter(|(parent, at)| *parent == at).count()
    }
}

/// So many records of one person are asked whether a further one is somebody else.
const RECORDS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::number::Number;
    use super::*;

    fn records(numbers: &[&str]) -> Vec<Record> {
        let record = |text: &&str| Record { number: Number::parse(text, "01"), ..Record::default() };
        numbers.iter().map(record).collect()
    }

    #[test]
    fn a_record_between_two_people_joins_one_of_them_at_most() {
        let mut persons = Persons::new(&records(&["9434765919", "", "9876543210"]));
        assert!(persons.join(0, 1, |_, _| false));
        assert!(!persons.join(1, 2, |_, _| false));
        assert_eq!((persons.of(0), persons.count()), (persons.of(1), 2));
    }

    #[test]
    fn who_is_known_apart_is_not_joined_through_others() {
        let mut persons = Persons::new(&records(&["", "", "", ""]));
        assert!(persons.join(0, 1, |_, _| false) && persons.join(2, 3, |_, _| false));
        let twins = |a: u32, b: u32| a.min(b) == 0 && a.max(b) == 3;
        assert!(!persons.join(1, 2, twins));
        assert!(persons.join(1, 2, |_, _| false));
        let mut all = persons.records(2);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3]);
    }
}
