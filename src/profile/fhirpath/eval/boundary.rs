//! What a number or moment may stand for at its least and its most, and how exact it is.

use super::super::EvalError;
use super::super::decimal::Decimal;
use super::super::equality::{decimal, quantity};
use super::super::functions::Function;
use super::super::item::{Item, Items, some};
use super::super::moment::MomentKind;
use super::super::program::Call;
use super::super::quantity::Quantity;
use super::{At, Evaluator, Found};

/// Digits after the point where nothing is said.
const DIGITS: i64 = 8;

impl<'a> Evaluator<'_, 'a> {
    pub(super) fn boundary(&self, call: &'a Call, item: &Item<'a>, at: At<'_, 'a>) -> Found<'a> {
        let value = self.system(item).ok_or(EvalError::Type)?;
        let given = match call.given.first() {
            Some(op) => self.single(op, at)?,
            None => None,
        };
        match call.function {
            Function::Precision => precision(&value).map(|digits| some(Item::Integer(digits))),
            Function::Comparable => {
                let Some(other) = given else { return Ok(Items::new()) };
                let other = self.system(&other).ok_or(EvalError::Type)?;
                let (Some(left), Some(right)) = (quantity(&value), quantity(&other)) else {
                    return Err(EvalError::Type);
                };
                Ok(some(Item::Boolean(left.is_comparable(&right))))
            }
            function => {
                let digits = match &given {
                    Some(item) => Some(self.integer(item).ok_or(EvalError::Type)?),
                    None => None,
                };
                bound(&value, digits, function == Function::HighBoundary).map(some)
            }
        }
    }
}

fn precision(value: &Item<'_>) -> Result<i64, EvalError> {
    match value {
        Item::Moment(moment) => Ok(moment.precision()),
        value => Ok(i64::from(decimal(value).ok_or(EvalError::Type)?.scale())),
    }
}

fn bound<'b>(value: &Item<'b>, digits: Option<i64>, is_high: bool) -> Result<Option<Item<'b>>, EvalError> {
    if let Item::Moment(moment) = value {
        let most = match moment.kind {
            MomentKind::Date => 8,
            MomentKind::DateTime => 17,
            MomentKind::Time => 9,
        };
        return Ok(moment.boundary(digits.unwrap_or(most), is_high).map(Item::Moment));
    }
    let bounded = |number: Decimal| bound_number(number, digits.unwrap_or(DIGITS), is_high);
    match value {
        Item::Quantity(quantity) => {
            Ok(bounded(quantity.value).map(|value| Item::quantity(Quantity { value, unit: quantity.unit.clone() })))
        }
        value => Ok(bounded(decimal(value).ok_or(EvalError::Type)?).map(Item::Decimal)),
    }
}

/// Half a step of the last digit away, shown with so many digits.
fn bound_number(number: Decimal, digits: i64, is_high: bool) -> Option<Decimal> {
    let digits = u8::try_from(digits).ok().filter(|digits| *digits <= 28)?;
    if number.truncated(digits).is_zero() && digits < number.scale() {
        return Some(Decimal::new(0, digits));
    }
    let step = number.half_step();
    let bound = if is_high { number.plus(step)? } else { number.minus(step)? };
    let cut = if is_high { bound.ceiling(digits) } else { bound.floor(digits) };
    if cut.scale() < digits { cut.with_scale(digits) } else { Some(cut) }
}
