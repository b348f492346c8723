//! `toInteger` and its kind. What does not convert is nothing.

use std::borrow::Cow;

use super::super::decimal::Decimal;
use super::super::equality::decimal;
use super::super::functions::Function;
use super::super::item::{Item, Items, some};
use super::super::moment::Moment;
use super::super::quantity::{Period, Quantity, Unit};
use super::super::{EvalError, MomentKind};
use super::{Evaluator, Found};

impl<'a> Evaluator<'_, 'a> {
    pub(super) fn conversion(&self, function: Function, item: &Item<'a>) -> Found<'a> {
        use Function as F;
        let value = self.system(item);
        if value.is_none() && matches!(item, Item::Node(node) if self.document.is_primitive(*node)) {
            return Ok(Items::new());
        }
        let convert = |to: fn(Item<'a>) -> Option<Item<'a>>| value.clone().and_then(to);
        let (found, asked) = match function {
            F::ToBoolean => (convert(to_boolean), false),
            F::ConvertsToBoolean => (convert(to_boolean), true),
            F::ToInteger => (convert(to_integer), false),
            F::ConvertsToInteger => (convert(to_integer), true),
            F::ToDecimal => (convert(to_decimal), false),
            F::ConvertsToDecimal => (convert(to_decimal), true),
            F::ToDate => (convert(to_date), false),
            F::ConvertsToDate => (convert(to_date), true),
            F::ToDateTime => (convert(to_date_time), false),
            F::ConvertsToDateTime => (convert(to_date_time), true),
            F::ToTime => (convert(to_time), false),
            F::ConvertsToTime => (convert(to_time), true),
            F::ToQuantity => (convert(to_quantity), false),
            F::ConvertsToQuantity => (convert(to_quantity), true),
            F::ToString => (self.string(item).map(Item::String), false),
            F::ConvertsToString => (self.string(item).map(Item::String), true),
            _ => return Err(EvalError::Type),
        };
        Ok(some(if asked { Some(Item::Boolean(found.is_some())) } else { found }))
    }
}

fn to_boolean(item: Item<'_>) -> Option<Item<'_>> {
    const YES: [&str; 6] = ["true", "t", "yes", "y", "1", "1.0"];
    const NO: [&str; 6] = ["false", "f", "no", "n", "0", "0.0"];
    let value = match &item {
        Item::Boolean(value) => Some(*value),
        Item::String(text) => {
            let text = text.to_lowercase();
            YES.contains(&text.as_str()).then_some(true).or(NO.contains(&text.as_str()).then_some(false))
        }
        item => match decimal(item)?.to_i64()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
    };
    value.map(Item::Boolean)
}

fn to_integer(item: Item<'_>) -> Option<Item<'_>> {
    match item {
        Item::Integer(_) => Some(item),
        Item::Boolean(value) => Some(Item::Integer(i64::from(value))),
        Item::String(text) => text.parse().ok().map(Item::Integer),
        _ => None,
    }
}

fn to_decimal(item: Item<'_>) -> Option<Item<'_>> {
    match &item {
        Item::Boolean(value) => Some(Item::Decimal(Decimal::from(i64::from(*value)))),
        Item::String(text) => Decimal::parse(text).map(Item::Decimal),
        item => decimal(item).map(Item::Decimal),
    }
}

fn to_date(item: Item<'_>) -> Option<Item<'_>> {
    match item {
        Item::Moment(moment) if moment.kind != MomentKind::Time => Some(Item::Moment(moment.to_date())),
        Item::String(text) => Moment::date_time(&text).map(|moment| Item::Moment(moment.to_date())),
        _ => None,
    }
}

fn to_date_time(item: Item<'_>) -> Option<Item<'_>> {
    match item {
        Item::Moment(moment) if moment.kind != MomentKind::Time => Some(Item::Moment(moment.to_date_time())),
        Item::String(text) => Moment::date_time(&text).map(Item::Moment),
        _ => None,
    }
}

fn to_time(item: Item<'_>) -> Option<Item<'_>> {
    match item {
        Item::Moment(moment) if moment.kind == MomentKind::Time => Some(item),
        Item::String(text) => Moment::time(&text).map(Item::Moment),
        _ => None,
    }
}

fn to_quantity(item: Item<'_>) -> Option<Item<'_>> {
    let of = |value: Decimal| Item::quantity(Quantity { value, unit: Unit::ONE });
    match item {
        Item::Quantity(_) => Some(item),
        Item::Boolean(value) => Some(of(Decimal::from(i64::from(value)))),
        Item::String(text) => read_quantity(&text).map(Item::quantity),
        item => decimal(&item).map(of),
    }
}

/// `4`, `4 'mg'`, `4 days`
fn read_quantity(text: &str) -> Option<Quantity<'static>> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))).unwrap_or(text.len());
    let value = Decimal::parse(&text[..end])?;
    let rest = &text[end..];
    let unit = match (rest.trim(), rest.trim().strip_prefix('\'').and_then(|code| code.strip_suffix('\''))) {
        ("", _) => Unit::ONE,
        (_, Some(code)) if !code.is_empty() => Unit::Ucum(Cow::Owned(code.to_owned())),
        (word, _) if rest.starts_with(char::is_whitespace) => Unit::Calendar(Period::of_word(word)?),
        _ => return None,
    };
    Some(Quantity { value, unit })
}
