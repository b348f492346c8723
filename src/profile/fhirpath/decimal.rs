//! Decimal numbers that are exact: the digits as written and the place of the point (R4 2.24.0.1: the precision
//! of a decimal is significant).

use std::cmp::Ordering;
use std::fmt;

/// Most digits after the point; FHIRPath asks for eight at least.
const SCALE_MAX: u8 = 28;

/// Digits of a quotient beyond those of its operands.
const QUOTIENT_DIGITS: u8 = 16;

/// `mantissa × 10^-scale`.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    // An i128 in two words, so that an item of a collection needs no 16-byte alignment.
    high: i64,
    low: u64,
    scale: u8,
}

fn power_of_ten(exponent: u8) -> Option<i128> {
    10_i128.checked_pow(u32::from(exponent))
}

/// The quotient, rounded half away from zero.
fn divided_rounding(number: i128, divisor: i128) -> i128 {
    let (quotient, rest) = (number / divisor, (number % divisor).unsigned_abs());
    let up = divisor.unsigned_abs() - rest <= rest;
    quotient + if up { number.signum() * divisor.signum() } else { 0 }
}

impl Decimal {
    /// `mantissa × 10^-scale`.
    pub fn new(mantissa: i128, scale: u8) -> Self {
        Self { high: (mantissa >> 64) as i64, low: mantissa as u64, scale }
    }

    fn mantissa(self) -> i128 {
        i128::from(self.high) << 64 | i128::from(self.low)
    }

    /// How many digits stand after the point.
    pub fn scale(self) -> u8 {
        self.scale
    }

    /// How many digits it is written with, leading zeros apart.
    pub fn digits(self) -> usize {
        self.mantissa().unsigned_abs().to_string().len().max(usize::from(self.scale))
    }

    /// Reads a number in JSON's form, and with a sign of either kind. `None` also where it has more digits than
    /// are kept.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (number, exponent) = match rest.find(['e', 'E']) {
            Some(at) => (&rest[..at], rest[at + 1..].parse::<i32>().ok()?),
            None => (rest, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let fraction = if number.contains('.') { fraction } else { "" };
        let mut mantissa = 0_i128;
        for byte in whole.bytes().chain(fraction.bytes()) {
            mantissa = mantissa.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
        }
        let mantissa = if negative { -mantissa } else { mantissa };
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        match u8::try_from(scale) {
            Ok(scale) if scale <= SCALE_MAX => Some(Self::new(mantissa, scale)),
            Ok(_) => None,
            Err(_) if mantissa == 0 => Some(Self::new(0, 0)),
            Err(_) => {
                let zeros = u8::try_from(scale.checked_neg()?).ok()?;
                Some(Self::new(mantissa.checked_mul(power_of_ten(zeros)?)?, 0))
            }
        }
    }

    /// The number that a binary fraction is shown as.
    pub fn from_f64(number: f64) -> Option<Self> {
        if !number.is_finite() || 1e20 < number.abs() {
            return None;
        }
        let text = format!("{number:.15}");
        Self::parse(text.trim_end_matches('0').trim_end_matches('.')).or_else(|| Self::parse(&text))
    }

    /// As a binary fraction, for functions that have no exact result.
    pub fn to_f64(self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// The whole number, if it is one.
    pub fn to_i64(self) -> Option<i64> {
        let shortest = self.normalised();
        if shortest.scale == 0 { i64::try_from(shortest.mantissa()).ok() } else { None }
    }

    /// Is it zero?
    pub fn is_zero(self) -> bool {
        self.mantissa() == 0
    }

    /// Is it below zero?
    pub fn is_negative(self) -> bool {
        self.high < 0
    }

    /// Without zeros at the end of the fraction.
    pub fn normalised(self) -> Self {
        let (mut mantissa, mut scale) = (self.mantissa(), self.scale);
        while 0 < scale && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        Self::new(mantissa, scale)
    }

    /// Both numbers' mantissas at one scale.
    fn aligned(self, other: Self) -> Option<(i128, i128, u8)> {
        let scale = self.scale.max(other.scale);
        let at = |number: Self| number.mantissa().checked_mul(power_of_ten(scale - number.scale)?);
        Some((at(self)?, at(other)?, scale))
    }

    /// The sum.
    pub fn plus(self, other: Self) -> Option<Self> {
        let (left, right, scale) = self.aligned(other)?;
        Some(Self::new(left.checked_add(right)?, scale))
    }

    /// The difference.
    pub fn minus(self, other: Self) -> Option<Self> {
        self.plus(other.negated())
    }

    /// The same on the other side of zero.
    pub fn negated(self) -> Self {
        Self::new(self.mantissa().saturating_neg(), self.scale)
    }

    /// The product.
    pub fn times(self, other: Self) -> Option<Self> {
        let product = |left: Self, right: Self| {
            let scale = left.scale.checked_add(right.scale).filter(|scale| *scale <= SCALE_MAX)?;
            Some(Self::new(left.mantissa().checked_mul(right.mantissa())?, scale))
        };
        product(self, other).or_else(|| product(self.normalised(), other.normalised()))
    }

    /// The quotient, to sixteen digits after the point; `None` for a divisor of zero.
    pub fn over(self, other: Self) -> Option<Self> {
        if other.is_zero() {
            return None;
        }
        let (left, right) = (self.normalised(), other.normalised());
        let scale = left.scale.saturating_sub(right.scale).saturating_add(QUOTIENT_DIGITS).min(SCALE_MAX);
        // left·10^-a ÷ right·10^-b = left·10^(scale-a+b) ÷ right · 10^-scale
        let shift = (scale + right.scale).checked_sub(left.scale)?;
        let raised = left.mantissa().checked_mul(power_of_ten(shift)?)?;
        Some(Self::new(divided_rounding(raised, right.mantissa()), scale).normalised())
    }

    /// The quotient without its fraction; `None` for a divisor of zero.
    pub fn whole_over(self, other: Self) -> Option<i64> {
        let (left, right, _) = self.aligned(other)?;
        i64::try_from(left.checked_div(right)?).ok()
    }

    /// What is left after dividing into wholes; `None` for a divisor of zero.
    pub fn remainder(self, other: Self) -> Option<Self> {
        let (left, right, scale) = self.aligned(other)?;
        Some(Self::new(left.checked_rem(right)?, scale))
    }

    /// Rounded to so many digits after the point, half away from zero.
    pub fn rounded(self, digits: u8) -> Self {
        self.cut(digits, divided_rounding)
    }

    /// The fraction beyond so many digits left away.
    pub fn truncated(self, digits: u8) -> Self {
        self.cut(digits, |number, divisor| number / divisor)
    }

    /// The nearest below with so many digits.
    pub fn floor(self, digits: u8) -> Self {
        self.cut(digits, i128::div_euclid)
    }

    /// The nearest above with so many digits.
    pub fn ceiling(self, digits: u8) -> Self {
        self.negated().floor(digits).negated()
    }

    fn cut(self, digits: u8, divide: impl Fn(i128, i128) -> i128) -> Self {
        let Some(excess) = self.scale.checked_sub(digits).filter(|excess| 0 < *excess) else { return self };
        // The scale is 28 at most, so the divisor is a number.
        let divisor = power_of_ten(excess).unwrap_or(i128::MAX);
        Self::new(divide(self.mantissa(), divisor), digits)
    }

    /// The same number with so many digits after the point, none lost.
    pub fn with_scale(self, scale: u8) -> Option<Self> {
        let more = scale.checked_sub(self.scale)?;
        Some(Self::new(self.mantissa().checked_mul(power_of_ten(more)?)?, scale))
    }

    /// Half of the last digit's worth: how far the number that was meant may be from the one that was written.
    pub fn half_step(self) -> Self {
        Self::new(5, self.scale + 1)
    }

    /// Which is greater.
    pub fn compare(self, other: Self) -> Ordering {
        if let Some((left, right, _)) = self.aligned(other) {
            return left.cmp(&right);
        }
        let parts = |number: Self| {
            let one = power_of_ten(number.scale).unwrap_or(i128::MAX);
            let rest = number.mantissa().rem_euclid(one);
            // Below 10^28 whatever the scale.
            let rest = rest.saturating_mul(power_of_ten(SCALE_MAX.saturating_sub(number.scale)).unwrap_or(1));
            (number.mantissa().div_euclid(one), rest)
        };
        parts(self).cmp(&parts(other))
    }
}

impl From<i64> for Decimal {
    fn from(number: i64) -> Self {
        Self::new(i128::from(number), 0)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mantissa, scale) = (self.mantissa(), usize::from(self.scale));
        let sign = if mantissa < 0 { "-" } else { "" };
        let digits = format!("{:0>width$}", mantissa.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let point = if scale == 0 { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn digits_are_kept_as_written() {
        for (text, shown) in [("1.50", "1.50"), ("-0.05", "-0.05"), ("0", "0"), ("1.5e1", "15"), ("15E-3", "0.015")] {
            assert_eq!(of(text).to_string(), shown);
        }
        for text in ["", "-", ".5", "1.", "1e", "a", "1e400", &"9".repeat(40)] {
            assert!(Decimal::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn arithmetic_is_exact() {
        assert_eq!(of("1.2").plus(of("1.8")).unwrap().compare(of("3")), Ordering::Equal);
        assert_eq!(of("1.8").minus(of("1.2")).unwrap().to_string(), "0.6");
        assert_eq!(of("1.2").times(of("1.8")).unwrap().to_string(), "2.16");
        assert_eq!(of("1.2").over(of("1.8")).unwrap().to_string(), "0.6666666666666667");
        assert_eq!(of("1").over(of("2")).unwrap().to_string(), "0.5");
        assert_eq!(of("2.2").remainder(of("1.8")).unwrap().to_string(), "0.4");
        assert_eq!(of("2.2").whole_over(of("1.8")), Some(1));
        assert!(of("1").over(of("0.0")).is_none() && of("1").remainder(of("0")).is_none());
        assert!(of(&"9".repeat(38)).times(of(&"9".repeat(38))).is_none());
    }

    #[test]
    fn rounding_goes_where_it_says() {
        assert_eq!(of("2.5").rounded(0).to_string(), "3");
        assert_eq!(of("-2.5").rounded(0).to_string(), "-3");
        assert_eq!(of("2.4").rounded(0).to_string(), "2");
        assert_eq!(of("-1.1").ceiling(0).to_string(), "-1");
        assert_eq!(of("-2.1").floor(0).to_string(), "-3");
        assert_eq!(of("-1.56").truncated(0).to_string(), "-1");
        assert_eq!(of("3.14159").rounded(3).to_string(), "3.142");
    }

    #[test]
    fn numbers_of_any_size_are_compared() {
        let (large, small) = (of(&format!("1{}", "0".repeat(36))), of(&format!("0.{}1", "0".repeat(26))));
        assert_eq!(large.compare(small), Ordering::Greater);
        assert_eq!(large.negated().compare(small), Ordering::Less);
        assert_eq!(of("1.10").compare(of("1.1")), Ordering::Equal);
        assert_eq!(of("1.10").normalised().to_string(), "1.1");
    }
}
