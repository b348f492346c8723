//! Dates of birth: what is known of one, and how two differ.

/// A date of birth as far as it is known, in 32 bits: year (from bit 9), month (bits 5 to 8), day (bits 0 to 4).
/// A part that is not known is 0; nothing known is 0 as a whole.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Birth(u32);

/// How two dates of birth compare. The order is that of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum BirthLevel {
    /// Not known on one side, or a date that stands for "not known".
    Missing,
    /// Too far apart for a slip.
    Different,
    /// Two of year, month and day agree.
    TwoParts,
    /// As far as both are known they agree, but that is the year, or year and month, or the first of January.
    Partial,
    /// One digit differs, or two neighbours are exchanged.
    OneDigit,
    /// Day and month exchanged.
    Swapped,
    /// The same day.
    Same,
}

impl Birth {
    /// From its parts; parts that no calendar has are not known.
    pub fn new(year: u32, month: u32, day: u32) -> Self {
        // Dates that programs fill in where none is known.
        let filled_in = (year == 1900 && month <= 1 && day <= 1) || (1..1200).contains(&year) || 2200 < year;
        if year == 0 || filled_in {
            return Self(0);
        }
        let month = if month <= 12 { month } else { 0 };
        let longest = match month {
            2 => 29,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let day = if month != 0 && day <= longest { day } else { 0 };
        Self(year << 9 | month << 5 | day)
    }

    /// Reads `YYYY-MM-DD`, `YYYYMMDD`, `YYYY-MM`, `YYYY`, and `DD/MM/YYYY`, each with `-`, `/`, `.` or a blank between
    /// the parts; a time behind it is left out. `None`: it is not a date. An empty text is a date that is not known.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.split_once('T').map_or(text, |(date, _)| date);
        if text.is_empty() {
            return Some(Self(0));
        }
        let mut parts = [(0, 0); 3];
        for (at, part) in text.split(['-', '/', '.', ' ']).enumerate() {
            let digits = !part.is_empty() && part.len() <= 8 && part.bytes().all(|it| it.is_ascii_digit());
            *parts.get_mut(at).filter(|_| digits)? = (part.parse().ok()?, part.len());
        }
        let (year, month, day) = match parts {
            [(date, 8), (_, 0), _] => (date / 10_000, date / 100 % 100, date % 100),
            [(date, 6), (_, 0), _] => (date / 100, date % 100, 0),
            [(year, 4), (month, 0..=2), (day, 0..=2)] => (year, month, day),
            [(day, 1..=2), (month, 1..=2), (year, 4)] => (year, month, day),
            _ => return None,
        };
        let real = month <= 12 && day <= 31 && (day == 0 || month != 0);
        real.then(|| Self::new(year, month, day))
    }

    /// The year; 0: not known.
    pub fn year(self) -> u32 {
        self.0 >> 9
    }

    /// The month; 0: not known.
    pub fn month(self) -> u32 {
        self.0 >> 5 & 15
    }

    /// The day of the month; 0: not known.
    pub fn day(self) -> u32 {
        self.0 & 31
    }

    /// Is nothing known?
    pub fn is_missing(self) -> bool {
        self.0 == 0
    }

    /// Are year, month and day known?
    pub fn is_whole(self) -> bool {
        self.day() != 0
    }

    /// The first of January, which many systems fill in where only the year is known.
    pub fn is_new_year(self) -> bool {
        self.month() == 1 && self.day() == 1
    }

    /// All bits, for keys.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// `YYYY-MM-DD`, as far as it is known.
    pub fn text(self) -> String {
        match (self.year(), self.month(), self.day()) {
            (0, ..) => String::new(),
            (year, 0, _) => format!("{year:04}"),
            (year, month, 0) => format!("{year:04}-{month:02}"),
            (year, month, day) => format!("{year:04}-{month:02}-{day:02}"),
        }
    }

    fn digits(self) -> [u8; 8] {
        let number = self.year() * 10_000 + self.month() * 100 + self.day();
        let mut digits = [0; 8];
        let mut rest = number;
        for digit in digits.iter_mut().rev() {
            *digit = (rest % 10) as u8;
            rest /= 10;
        }
        digits
    }

    /// How this date and another one compare.
    pub fn compare(self, other: Self) -> BirthLevel {
        if self.is_missing() || other.is_missing() {
            return BirthLevel::Missing;
        }
        if self == other {
            let vague = !self.is_whole() || self.is_new_year();
            return if vague { BirthLevel::Partial } else { BirthLevel::Same };
        }
        if self.year() == other.year() {
            return self.within_the_year(other);
        }
        if self.is_whole() && other.is_whole() { self.across_years(other) } else { BirthLevel::Different }
    }

    fn within_the_year(self, other: Self) -> BirthLevel {
        let vague = |it: Self| it.month() == 0 || it.is_new_year();
        let same_month = self.month() == other.month();
        if vague(self) || vague(other) || same_month && (self.day() == 0 || other.day() == 0) {
            return BirthLevel::Partial;
        }
        if self.month() == other.day() && self.day() == other.month() {
            return BirthLevel::Swapped;
        }
        // The first of the right month is filled in as the first of January is.
        if same_month && (self.day() == 1 || other.day() == 1) {
            return BirthLevel::Partial;
        }
        self.across_years(other)
    }

    fn across_years(self, other: Self) -> BirthLevel {
        let (a, b) = (self.digits(), other.digits());
        let differs = |at: &usize| a[*at] != b[*at];
        let slip = match ((0..8).find(differs), (0..8).rev().find(differs)) {
            (Some(p), Some(q)) if p == q => true,
            (Some(p), Some(q)) => p + 1 == q && a[p] == b[q] && a[q] == b[p],
            _ => false,
        };
        let parts = [self.year() == other.year(), self.month() == other.month(), self.day() == other.day()];
        match (slip, parts.iter().filter(|same| **same).count()) {
            (true, _) => BirthLevel::OneDigit,
            (_, 2) => BirthLevel::TwoParts,
            _ => BirthLevel::Different,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn birth(text: &str) -> Birth {
        Birth::parse(text).unwrap()
    }

    #[test]
    fn forms_of_one_date_are_one() {
        for text in ["1985-03-12", "19850312", "12/03/1985", "12.3.1985", " 1985/3/12 ", "1985-03-12T00:00:00Z"] {
            assert_eq!(birth(text).text(), "1985-03-12", "{text}");
        }
        assert_eq!(birth("1985-03").text(), "1985-03");
        assert_eq!(birth("1985").text(), "1985");
    }

    #[test]
    fn what_is_no_date_is_told_and_what_is_filled_in_is_missing() {
        for text in ["x", "1985-13-01", "1985-02-3x", "12-1985", "1-2-3-4", "32/01/1985", "--", "99999999999"] {
            assert!(Birth::parse(text).is_none(), "{text}");
        }
        for text in ["", "1900-01-01", "0001-01-01", "1900"] {
            assert!(birth(text).is_missing(), "{text}");
        }
    }

    #[test]
    fn slips_are_told_from_other_days() {
        use BirthLevel::*;
        for (a, b, level) in [
            ("1979-04-09", "1979-04-09", Same),
            ("1979-04-09", "1979-09-04", Swapped),
            ("1973-10-16", "1973-10-18", OneDigit),
            ("1954-09-09", "1964-09-09", OneDigit),
            ("1954-09-09", "1945-09-09", OneDigit),
            ("1958-02-20", "1985-07-13", Different),
            ("1985-03", "1985-03-12", Partial),
            ("1980-01-01", "1980-01-01", Partial),
            ("1980-01-01", "1980-07-03", Partial),
            ("2020-01-10", "2020-12-15", Different),
            ("1979-04-09", "1979-04-23", TwoParts),
            ("1900-01-01", "1979-04-23", Missing),
        ] {
            assert_eq!(birth(a).compare(birth(b)), level, "{a} {b}");
            assert_eq!(birth(b).compare(birth(a)), level, "{b} {a}");
        }
    }
}
