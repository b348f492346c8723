//! Quantities: a number and a unit, of the calendar or of UCUM. Units that are simple multiples of one another
//! are converted; others are told apart.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use super::decimal::Decimal;

/// A number with a unit.
#[derive(Clone, Debug)]
pub struct Quantity<'a> {
    /// The number.
    pub value: Decimal,
    /// The unit: a code of UCUM, a word of the calendar such as `days`, or any other text.
    pub unit: Unit<'a>,
}

/// What a quantity counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit<'a> {
    /// A word of the calendar.
    Calendar(Period),
    /// A code of UCUM; `1` where there is none.
    Ucum(Cow<'a, str>),
    /// A unit of some other system.
    Other(Cow<'a, str>),
}

/// The calendar's units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are the calendar's")]
pub enum Period {
    Year,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
}

const PERIODS: [(Period, &str, &str); 8] = [
    (Period::Year, "year", "a"),
    (Period::Month, "month", "mo"),
    (Period::Week, "week", "wk"),
    (Period::Day, "day", "d"),
    (Period::Hour, "hour", "h"),
    (Period::Minute, "minute", "min"),
    (Period::Second, "second", "s"),
    (Period::Millisecond, "millisecond", "ms"),
];

impl Period {
    /// The unit of this word, singular or plural.
    pub fn of_word(word: &str) -> Option<Self> {
        let singular = word.strip_suffix('s').unwrap_or(word);
        PERIODS.iter().find(|(_, name, _)| *name == singular).map(|found| found.0)
    }

    /// The unit of this code of UCUM. Its year and month are averages, and so no years and months of the calendar.
    pub fn of_code(code: &str) -> Option<Self> {
        PERIODS[2..].iter().find(|(_, _, own)| *own == code).map(|found| found.0)
    }

    fn row(self) -> (&'static str, &'static str) {
        PERIODS.iter().find(|row| row.0 == self).map_or(("", ""), |row| (row.1, row.2))
    }

    /// How long it is; a year and a month have no fixed length.
    pub fn millis(self) -> Option<i64> {
        Some(match self {
            Self::Year | Self::Month => return None,
            Self::Week => 604_800_000,
            Self::Day => 86_400_000,
            Self::Hour => 3_600_000,
            Self::Minute => 60_000,
            Self::Second => 1_000,
            Self::Millisecond => 1,
        })
    }
}

/// A unit as a multiple of UCUM's base units.
#[derive(Clone, Copy, Debug)]
struct Scale {
    factor: Decimal,
    /// Powers of metre, second, gram, radian, kelvin, coulomb, candela; then mole, international unit, degree Celsius.
    powers: [i8; 10],
}

/// Code, factor and powers; prefixes go with those whose row says so.
const UNITS: &[(&str, &str, [i8; 10], bool)] = &[
    ("1", "1", [0; 10], false),
    ("%", "0.01", [0; 10], false),
    ("m", "1", power(0, 1), true),
    ("s", "1", power(1, 1), true),
    ("g", "1", power(2, 1), true),
    ("K", "1", power(4, 1), true),
    ("C", "1", power(5, 1), true),
    ("cd", "1", power(6, 1), true),
    ("mol", "1", power(7, 1), true),
    ("[iU]", "1", power(8, 1), true),
    ("[IU]", "1", power(8, 1), true),
    ("Cel", "1", power(9, 1), true),
    ("L", "0.001", power(0, 3), true),
    ("l", "0.001", power(0, 3), true),
    ("t", "1000000", power(2, 1), true),
    ("Hz", "1", power(1, -1), true),
    ("N", "1000", [1, -2, 1, 0, 0, 0, 0, 0, 0, 0], true),
    ("Pa", "1000", [-1, -2, 1, 0, 0, 0, 0, 0, 0, 0], true),
    ("bar", "100000000", [-1, -2, 1, 0, 0, 0, 0, 0, 0, 0], true),
    ("J", "1000", [2, -2, 1, 0, 0, 0, 0, 0, 0, 0], true),
    ("cal", "4184", [2, -2, 1, 0, 0, 0, 0, 0, 0, 0], true),
    ("W", "1000", [2, -3, 1, 0, 0, 0, 0, 0, 0, 0], true),
    ("A", "1", [0, -1, 0, 0, 0, 1, 0, 0, 0, 0], true),
    ("V", "1000", [2, -2, 1, 0, 0, -1, 0, 0, 0, 0], true),
    ("m[Hg]", "133322000", [-1, -2, 1, 0, 0, 0, 0, 0, 0, 0], true),
    ("min", "60", power(1, 1), false),
    ("h", "3600", power(1, 1), false),
    ("d", "86400", power(1, 1), false),
    ("wk", "604800", power(1, 1), false),
    ("mo", "2629800", power(1, 1), false),
    ("a", "31557600", power(1, 1), false),
    ("[in_i]", "0.0254", power(0, 1), false),
    ("[ft_i]", "0.3048", power(0, 1), false),
    ("[yd_i]", "0.9144", power(0, 1), false),
    ("[mi_i]", "1609.344", power(0, 1), false),
    ("[lb_av]", "453.59237", power(2, 1), false),
    ("[oz_av]", "28.349523125", power(2, 1), false),
    ("[stone_av]", "6350.29318", power(2, 1), false),
    ("[gr]", "0.06479891", power(2, 1), false),
    ("[pH]", "1", [0; 10], false),
];

const PREFIXES: &[(&str, &str)] = &[
    ("da", "10"),
    ("h", "100"),
    ("k", "1000"),
    ("M", "1000000"),
    ("G", "1000000000"),
    ("T", "1000000000000"),
    ("d", "0.1"),
    ("c", "0.01"),
    ("m", "0.001"),
    ("u", "0.000001"),
    ("n", "0.000000001"),
    ("p", "0.000000000001"),
    ("f", "0.000000000000001"),
];

const fn power(base: usize, power: i8) -> [i8; 10] {
    let mut powers = [0; 10];
    powers[base] = power;
    powers
}

impl Scale {
    /// What a code of UCUM stands for: terms joined by `.` and `/`, each with an exponent.
    fn of(code: &str) -> Option<Self> {
        let mut all = Self { factor: Decimal::from(1), powers: [0; 10] };
        let mut rest = code;
        let mut sign = 1;
        if let Some(below) = rest.strip_prefix('/') {
            (rest, sign) = (below, -1);
        }
        loop {
            let end = rest.find(['.', '/']).unwrap_or(rest.len());
            let term = Self::term(&rest[..end])?;
            all.factor = if sign == 1 { all.factor.times(term.factor)? } else { all.factor.over(term.factor)? };
            for (power, more) in all.powers.iter_mut().zip(term.powers) {
                *power = power.checked_add(more.checked_mul(sign)?)?;
            }
            match rest.as_bytes().get(end) {
                None => return Some(all),
                Some(mark) => sign = if *mark == b'/' { -1 } else { 1 },
            }
            rest = &rest[end + 1..];
        }
    }

    fn term(term: &str) -> Option<Self> {
        // What stands in braces is a remark.
        let term = match (term.find('{'), term.ends_with('}')) {
            (Some(0), true) => "1",
            (Some(at), true) => &term[..at],
            _ => term,
        };
        if let Some(found) = Self::atom(term) {
            return Some(found);
        }
        let at = term.rfind(|c: char| !c.is_ascii_digit())?;
        let at =
            if matches!(term.as_bytes()[at], b'-' | b'+') { at } else { at + term[at..].chars().next()?.len_utf8() };
        let exponent: i8 = term[at..].parse().ok().filter(|power: &i8| (1..=9).contains(&power.abs()))?;
        let base = Self::atom(&term[..at])?;
        let mut factor = Decimal::from(1);
        for _ in 0..exponent.abs() {
            factor = if exponent < 0 { factor.over(base.factor)? } else { factor.times(base.factor)? };
        }
        let mut powers = base.powers;
        for power in &mut powers {
            *power = power.checked_mul(exponent)?;
        }
        Some(Self { factor, powers })
    }

    /// A unit, with or without a prefix, or a power of ten.
    fn atom(code: &str) -> Option<Self> {
        let found = |code: &str| UNITS.iter().find(|unit| unit.0 == code);
        let scale = |factor: Decimal, powers| Some(Self { factor, powers });
        if let Some(unit) = found(code) {
            return scale(Decimal::parse(unit.1)?, unit.2);
        }
        if let Some(exponent) = code.strip_prefix("10*").or_else(|| code.strip_prefix("10^")) {
            return scale(Decimal::parse(&format!("1e{exponent}"))?, [0; 10]);
        }
        PREFIXES.iter().find_map(|(prefix, factor)| {
            let unit = found(code.strip_prefix(prefix)?).filter(|unit| unit.3)?;
            scale(Decimal::parse(factor)?.times(Decimal::parse(unit.1)?)?, unit.2)
        })
    }
}

impl<'a> Unit<'a> {
    /// The unit of what has none.
    pub const ONE: Self = Self::Ucum(Cow::Borrowed("1"));

    /// The code that it is known by.
    pub fn code(&self) -> &str {
        match self {
            Self::Calendar(period) => period.row().1,
            Self::Ucum(code) | Self::Other(code) => code,
        }
    }

    /// The unit of the calendar, also where it is written as a code of UCUM.
    pub fn period(&self) -> Option<Period> {
        match self {
            Self::Calendar(period) => Some(*period),
            Self::Ucum(code) => Period::of_code(code).or_else(|| Period::of_word(code)),
            Self::Other(_) => None,
        }
    }

    fn scale(&self) -> Option<Scale> {
        match self {
            Self::Other(_) => None,
            _ => Scale::of(self.code()),
        }
    }
}

impl Quantity<'_> {
    /// Both values in one unit; `None` where the units have nothing in common, and `Some(None)` where that is not
    /// known or, for years and months, not exact.
    fn values(&self, other: &Quantity<'_>) -> Option<Option<(Decimal, Decimal)>> {
        if self.unit == other.unit {
            return Some(Some((self.value, other.value)));
        }
        let inexact = |unit: &Unit<'_>| matches!(unit, Unit::Calendar(Period::Year | Period::Month));
        match (&self.unit, &other.unit) {
            (Unit::Calendar(Period::Year), Unit::Calendar(Period::Month)) => {
                return Some(self.value.times(Decimal::from(12)).map(|months| (months, other.value)));
            }
            (Unit::Calendar(Period::Month), Unit::Calendar(Period::Year)) => {
                return Some(other.value.times(Decimal::from(12)).map(|months| (self.value, months)));
            }
            _ => {}
        }
        let (Some(left), Some(right)) = (self.unit.scale(), other.unit.scale()) else {
            return if self.unit.code() == other.unit.code() { Some(Some((self.value, other.value))) } else { None };
        };
        if left.powers != right.powers {
            return None;
        }
        if inexact(&self.unit) || inexact(&other.unit) {
            return Some(None);
        }
        Some(self.value.times(left.factor).zip(other.value.times(right.factor)))
    }

    /// The sum, in the first one's unit; `None` where the units have nothing in common.
    pub fn plus<'b>(&self, other: &Quantity<'b>) -> Option<Quantity<'b>> {
        if self.unit == other.unit {
            return Some(Quantity { value: self.value.plus(other.value)?, unit: other.unit.clone() });
        }
        let (left, right) = self.values(other)??;
        let own = self.unit.scale()?.factor;
        Some(Quantity {
            value: left.plus(right)?.over(own)?,
            unit: Unit::Ucum(Cow::Owned(self.unit.code().to_owned())),
        })
    }

    /// Are they equal? `None` where that cannot be said.
    pub fn equals(&self, other: &Quantity<'_>) -> Option<bool> {
        match self.values(other) {
            None => Some(false),
            Some(values) => values.map(|(left, right)| left.compare(right) == Ordering::Equal),
        }
    }

    /// Are they equal as far as the less exact one says?
    pub fn is_equivalent(&self, other: &Quantity<'_>) -> bool {
        let Some((left, right)) = self.values(other).flatten() else { return false };
        if self.unit == other.unit {
            return is_equivalent(left, right);
        }
        // The less exact one decides in its own unit, into which the other is brought.
        let into = |value: Decimal, unit: &Unit<'_>| unit.scale().and_then(|scale| value.over(scale.factor));
        let in_own = into(right, &self.unit).is_some_and(|value| is_equivalent(self.value, value));
        in_own || into(left, &other.unit).is_some_and(|value| is_equivalent(value, other.value))
    }

    /// Which is greater; `None` where that cannot be said.
    pub fn compare(&self, other: &Quantity<'_>) -> Option<Ordering> {
        self.values(other).flatten().map(|(left, right)| left.compare(right))
    }

    /// Can the one be converted into the other?
    pub fn is_comparable(&self, other: &Quantity<'_>) -> bool {
        self.values(other).is_some()
    }

    /// The product or the quotient, in base units where the units differ.
    pub fn combined<'b>(&self, other: &Quantity<'_>, divide: bool) -> Option<Quantity<'b>> {
        let (left, right) = (self.unit.scale()?, other.unit.scale()?);
        let (first, second) = (self.value.times(left.factor)?, other.value.times(right.factor)?);
        let value = if divide { first.over(second)? } else { first.times(second)? };
        let sign = if divide { -1 } else { 1 };
        let mut code = String::new();
        for (base, (one, two)) in ["m", "s", "g", "rad", "K", "C", "cd", "mol", "[iU]", "Cel"]
            .iter()
            .zip(left.powers.iter().zip(right.powers))
        {
            let power = one.checked_add(two.checked_mul(sign)?)?;
            if power != 0 {
                let dot = if code.is_empty() { "" } else { "." };
                let exponent = if power == 1 { String::new() } else { power.to_string() };
                code = format!("{code}{dot}{base}{exponent}");
            }
        }
        let unit = if code.is_empty() { Unit::ONE } else { Unit::Ucum(Cow::Owned(code)) };
        Some(Quantity { value, unit })
    }
}

/// Are two numbers equal when both are rounded to the digits of the less exact one?
pub(super) fn is_equivalent(left: Decimal, right: Decimal) -> bool {
    let (left, right) = (left.normalised(), right.normalised());
    let digits = left.scale().min(right.scale());
    left.rounded(digits).compare(right.rounded(digits)) == Ordering::Equal
}

impl fmt::Display for Quantity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.unit {
            Unit::Calendar(period) => {
                let plural = if self.value.compare(Decimal::from(1)) == Ordering::Equal { "" } else { "s" };
                write!(f, "{} {}{plural}", self.value, period.row().0)
            }
            Unit::Ucum(code) | Unit::Other(code) => write!(f, "{} '{code}'", self.value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &str, code: &str) -> Quantity<'static> {
        let unit = Period::of_word(code).map_or_else(|| Unit::Ucum(code.to_owned().into()), Unit::Calendar);
        Quantity { value: Decimal::parse(value).unwrap(), unit }
    }

    #[test]
    fn units_of_one_kind_are_converted() {
        assert_eq!(of("4", "g").equals(&of("4000", "mg")), Some(true));
        assert_eq!(of("1", "[in_i]").equals(&of("2.54", "cm")), Some(true));
        assert_eq!(of("7", "days").equals(&of("1", "wk")), Some(true));
        assert_eq!(of("1", "year").equals(&of("12", "months")), Some(true));
        assert_eq!(of("1", "kg/m2").equals(&of("0.1", "g/cm2")), Some(true));
        assert_eq!(of("1", "10*3/uL").equals(&of("1", "10*9/L")), Some(true));
        assert_eq!(of("1", "mm[Hg]").equals(&of("133.322", "Pa")), Some(true));
        assert_eq!(of("1", "cm").compare(&of("1", "m")), Some(Ordering::Less));
    }

    #[test]
    fn units_that_differ_or_are_averages_are_not() {
        assert_eq!(of("1", "cm").equals(&of("1", "s")), Some(false));
        assert_eq!(of("1", "mo").equals(&of("1", "month")), None);
        assert_eq!(of("1", "nonsense").equals(&of("1", "cm")), Some(false));
        assert_eq!(of("1", "nonsense").equals(&of("1.0", "nonsense")), Some(true));
        assert_eq!(of("1", "cm").compare(&of("1", "s")), None);
        assert!(of("1", "cm").is_comparable(&of("1", "[in_i]")) && !of("1", "cm").is_comparable(&of("1", "[s]")));
    }

    #[test]
    fn products_have_the_product_of_the_units() {
        assert_eq!(of("2", "cm").combined(&of("2", "m"), false).unwrap().equals(&of("0.04", "m2")), Some(true));
        assert_eq!(of("4", "g").combined(&of("2", "m"), true).unwrap().equals(&of("2", "g/m")), Some(true));
        assert_eq!(of("1", "m").combined(&of("1", "m"), true).unwrap().to_string(), "1 '1'");
    }

    #[test]
    fn the_less_exact_one_says_how_exact() {
        assert!(of("4", "g").is_equivalent(&of("4040", "mg")) && !of("4", "g").is_equivalent(&of("4600", "mg")));
        assert!(!of("1", "mo").is_equivalent(&of("1", "month")));
        assert_eq!(of("2", "week").to_string(), "2 weeks");
    }
}
