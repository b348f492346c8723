//! Reckoning (FHIRPath N1, 5.7 and 6.6). What has no result, such as a division by zero, is nothing.

use std::borrow::Cow;

use super::super::EvalError;
use super::super::decimal::Decimal;
use super::super::equality::{decimal, quantity};
use super::super::functions::Function;
use super::super::item::{Item, Items, some};
use super::super::moment::{Moment, MomentKind, Part};
use super::super::program::{Call, Reckoning};
use super::super::quantity::{Period, Quantity};
use super::{At, Evaluator, Found};

impl<'a> Evaluator<'_, 'a> {
    pub(super) fn negated(&self, item: &Item<'a>) -> Result<Item<'a>, EvalError> {
        match self.system(item) {
            Some(Item::Integer(number)) => Ok(Item::Integer(number.saturating_neg())),
            Some(Item::Decimal(number)) => Ok(Item::Decimal(number.negated())),
            Some(Item::Quantity(mut quantity)) => {
                quantity.value = quantity.value.negated();
                Ok(Item::Quantity(quantity))
            }
            _ => Err(EvalError::Type),
        }
    }

    pub(super) fn reckon(&self, reckoning: Reckoning, left: Option<Item<'a>>, right: Option<Item<'a>>) -> Found<'a> {
        self.spend(1)?;
        if matches!(reckoning, Reckoning::Concat) {
            let text = |item: Option<Item<'a>>| match item {
                Some(item) => self.string(&item).ok_or(EvalError::Type),
                None => Ok(Cow::Borrowed("")),
            };
            return self.joined(text(left)?, text(right)?);
        }
        let Some((left, right)) = left.zip(right) else { return Ok(Items::new()) };
        let (Some(left), Some(right)) = (self.system(&left), self.system(&right)) else { return Err(EvalError::Type) };
        match (&left, &right) {
            (Item::String(left), Item::String(right)) if matches!(reckoning, Reckoning::Plus) => {
                self.joined(left.clone(), right.clone())
            }
            (Item::Moment(moment), Item::Quantity(by)) => {
                let moved = match reckoning {
                    Reckoning::Plus => moved(*moment, by, 1)?,
                    Reckoning::Minus => moved(*moment, by, -1)?,
                    _ => return Err(EvalError::Type),
                };
                Ok(some(moved.map(Item::Moment)))
            }
            (Item::Integer(left), Item::Integer(right)) if !matches!(reckoning, Reckoning::Over) => {
                let found = match reckoning {
                    Reckoning::Plus => left.checked_add(*right),
                    Reckoning::Minus => left.checked_sub(*right),
                    Reckoning::Times => left.checked_mul(*right),
                    Reckoning::Div => left.checked_div(*right),
                    _ => left.checked_rem(*right),
                };
                Ok(some(found.map(Item::Integer)))
            }
            _ => match decimal(&left).zip(decimal(&right)) {
                Some((left, right)) => Ok(some(reckoned(reckoning, left, right))),
                None => measured(reckoning, &left, &right),
            },
        }
    }

    fn joined(&self, left: Cow<'a, str>, right: Cow<'a, str>) -> Found<'a> {
        self.spend((left.len() + right.len()) / 16)?;
        Ok(some(Item::String(match (left.is_empty(), right.is_empty()) {
            (_, true) => left,
            (true, _) => right,
            _ => Cow::Owned(left.into_owned() + &right),
        })))
    }

    pub(super) fn number(&self, call: &'a Call, item: &Item<'a>, at: At<'_, 'a>) -> Found<'a> {
        use Function as F;
        let value = self.system(item).ok_or(EvalError::Type)?;
        if let (F::Abs, Item::Quantity(quantity)) = (call.function, &value) {
            let size = if quantity.value.is_negative() { quantity.value.negated() } else { quantity.value };
            return Ok(some(Item::quantity(Quantity { value: size, unit: quantity.unit.clone() })));
        }
        let number = decimal(&value).ok_or(EvalError::Type)?;
        let given = match call.given.first() {
            None => None,
            Some(op) => match self.single(op, at)? {
                Some(item) => Some(self.system(&item).and_then(|item| decimal(&item)).ok_or(EvalError::Type)?),
                None => return Ok(Items::new()),
            },
        };
        let whole = |number: Decimal| number.to_i64().map(Item::Integer);
        let real = |number: f64| Decimal::from_f64(number).map(Item::Decimal);
        let is_whole = matches!(value, Item::Integer(_));
        Ok(some(match (call.function, given) {
            (F::Abs, _) => {
                let size = if number.is_negative() { number.negated() } else { number };
                if is_whole { whole(size) } else { Some(Item::Decimal(size)) }
            }
            (F::Ceiling, _) => whole(number.ceiling(0)),
            (F::Floor, _) => whole(number.floor(0)),
            (F::Truncate, _) => whole(number.truncated(0)),
            (F::Round, digits) => {
                let digits = digits.map_or(Some(0), Decimal::to_i64).and_then(|digits| u8::try_from(digits).ok());
                let digits = digits.ok_or(EvalError::Type)?;
                let rounded = number.rounded(digits);
                if is_whole { whole(rounded) } else { Some(Item::Decimal(rounded)) }
            }
            (F::Sqrt, _) => real(number.to_f64().sqrt()),
            (F::Exp, _) => real(number.to_f64().exp()),
            (F::Ln, _) => real(number.to_f64().ln()),
            (F::Log, Some(base)) => real(number.to_f64().log(base.to_f64())),
            (F::Power, Some(exponent)) => match power(number, exponent) {
                Some(found) if is_whole && found.scale() == 0 => whole(found),
                Some(found) => Some(Item::Decimal(found)),
                None => real(number.to_f64().powf(exponent.to_f64())),
            },
            _ => None,
        }))
    }
}

/// Exact, for small whole exponents.
fn power(base: Decimal, exponent: Decimal) -> Option<Decimal> {
    let exponent = exponent.to_i64().filter(|exponent| (0..=64).contains(exponent))?;
    (0..exponent).try_fold(Decimal::from(1), |product, _| product.times(base))
}

fn reckoned<'b>(reckoning: Reckoning, left: Decimal, right: Decimal) -> Option<Item<'b>> {
    match reckoning {
        Reckoning::Plus => left.plus(right).map(Item::Decimal),
        Reckoning::Minus => left.minus(right).map(Item::Decimal),
        Reckoning::Times => left.times(right).map(Item::Decimal),
        Reckoning::Over => left.over(right).map(Item::Decimal),
        Reckoning::Div => left.whole_over(right).map(Item::Integer),
        _ => left.remainder(right).map(Item::Decimal),
    }
}

fn measured<'b>(reckoning: Reckoning, left: &Item<'_>, right: &Item<'b>) -> Found<'b> {
    let (Some(left), Some(right)) = (quantity(left), quantity(right)) else { return Err(EvalError::Type) };
    let found = match reckoning {
        Reckoning::Times => left.combined(&right, false),
        Reckoning::Over => left.combined(&right, true),
        Reckoning::Plus => left.plus(&right),
        Reckoning::Minus => left.plus(&Quantity { value: right.value.negated(), unit: right.unit.clone() }),
        _ => return Err(EvalError::Type),
    };
    Ok(some(found.map(Item::quantity)))
}

/// A moment later or earlier by a whole number of calendar units (FHIRPath N1, 6.6.7 "Date/Time Arithmetic").
fn moved(moment: Moment, by: &Quantity<'_>, sign: i64) -> Result<Option<Moment>, EvalError> {
    // A year or month of UCUM is an average, and so is none of the calendar.
    let period = by.unit.period().ok_or(EvalError::Type)?;
    let Some(count) = by.value.truncated(0).to_i64().and_then(|count| count.checked_mul(sign)) else {
        return Ok(None);
    };
    if moment.kind == MomentKind::Time && period < Period::Hour {
        return Err(EvalError::Type);
    }
    // What is finer than the moment itself is counted in its own parts: 24 months are two years.
    let months = match (period, moment.last) {
        (Period::Year, _) => count.checked_mul(12),
        (Period::Month, Part::Year) => Some(count / 12 * 12),
        (Period::Month, _) => Some(count),
        (period, Part::Year | Part::Month) => {
            let days = count.checked_mul(period.millis().unwrap_or(0)).map(|millis| millis / 86_400_000);
            let of_year = moment.last == Part::Year;
            days.map(|days| if of_year { days / 365 * 12 } else { days / 30 })
        }
        _ => None,
    };
    if let Some(months) = months {
        return Ok(moment.plus_months(months));
    }
    let unit = match moment.last {
        Part::Day => 86_400_000,
        Part::Hour => 3_600_000,
        Part::Minute => 60_000,
        _ => 1,
    };
    let millis = period.millis().and_then(|length| count.checked_mul(length));
    Ok(millis.and_then(|millis| moment.plus_millis(millis / unit * unit)))
}
