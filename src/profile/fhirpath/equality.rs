//! Equal, equivalent, ordered, distinct (FHIRPath N1, 6.1 and 6.2).

use std::cmp::Ordering;
use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::HashMap;
use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::decimal::Decimal;
use super::eval::Evaluator;
use super::item::{Item, Items};
use super::quantity::{Quantity, Unit, is_equivalent};
use super::{EvalError, MomentKind};
use crate::fhir::tape::{Kind, NodeId};

/// Fewer items than this are compared one by one.
const FEW: usize = 16;

/// Items of which no two are equal.
#[derive(Default)]
pub(super) struct Unique<'a> {
    items: Items<'a>,
    /// Of nobody's choice, so that nobody can choose values that are alike.
    hashes: RandomState,
    by_hash: HashMap<u64, SmallVec<[u32; 1]>>,
}

impl<'a> Unique<'a> {
    /// Takes an item in that is not there yet.
    pub(super) fn insert(&mut self, evaluator: &Evaluator<'_, 'a>, item: Item<'a>) -> Result<bool, EvalError> {
        evaluator.spend(1)?;
        if self.items.len() < FEW {
            if self.has_any(evaluator, &item, 0..self.items.len())? {
                return Ok(false);
            }
            self.items.push(item);
            return Ok(true);
        }
        if self.by_hash.is_empty() {
            for (index, item) in self.items.iter().enumerate() {
                self.by_hash.entry(evaluator.hash(item, &self.hashes)?).or_default().push(index as u32);
            }
        }
        let hash = evaluator.hash(&item, &self.hashes)?;
        if let Some(same) = self.by_hash.get(&hash)
            && self.has_any(evaluator, &item, same.iter().map(|index| *index as usize))?
        {
            return Ok(false);
        }
        self.by_hash.entry(hash).or_default().push(self.items.len() as u32);
        self.items.push(item);
        Ok(true)
    }

    /// Is an equal item there?
    pub(super) fn has(&self, evaluator: &Evaluator<'_, 'a>, item: &Item<'a>) -> Result<bool, EvalError> {
        evaluator.spend(1)?;
        if self.by_hash.is_empty() {
            return self.has_any(evaluator, item, 0..self.items.len());
        }
        let Some(same) = self.by_hash.get(&evaluator.hash(item, &self.hashes)?) else { return Ok(false) };
        self.has_any(evaluator, item, same.iter().map(|index| *index as usize))
    }

    fn has_any(
        &self,
        evaluator: &Evaluator<'_, 'a>,
        item: &Item<'a>,
        among: impl Iterator<Item = usize>,
    ) -> Result<bool, EvalError> {
        for index in among {
            evaluator.spend(1)?;
            if evaluator.equal(&self.items[index], item)? == Some(true) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn into_items(self) -> Items<'a> {
        self.items
    }
}

impl<'a> Evaluator<'_, 'a> {
    /// All items in their order; `None` where it cannot be said.
    pub(super) fn equal_collections(&self, left: &[Item<'a>], right: &[Item<'a>]) -> Result<Option<bool>, EvalError> {
        if left.is_empty() || right.is_empty() {
            return Ok(None);
        }
        if left.len() != right.len() {
            return Ok(Some(false));
        }
        let mut all = Some(true);
        for (left, right) in left.iter().zip(right) {
            match self.equal(left, right)? {
                Some(true) => {}
                Some(false) => return Ok(Some(false)),
                None => all = None,
            }
        }
        Ok(all)
    }

    /// Are two items equal? `None` where what they leave open would decide.
    pub(super) fn equal(&self, left: &Item<'a>, right: &Item<'a>) -> Result<Option<bool>, EvalError> {
        if let (Item::Node(left), Item::Node(right)) = (left, right) {
            if left == right {
                return Ok(Some(true));
            }
            let tape = self.document.tape;
            if let (Kind::Plain, Kind::Plain) = (tape.kind(*left), tape.kind(*right))
                && tape.raw(*left) == tape.raw(*right)
            {
                return Ok(Some(true));
            }
        }
        match (left, right) {
            (Item::String(left), Item::String(right)) => return Ok(Some(left == right)),
            (Item::Boolean(left), Item::Boolean(right)) => return Ok(Some(left == right)),
            (Item::Integer(left), Item::Integer(right)) => return Ok(Some(left == right)),
            _ => {}
        }
        match (self.system(left), self.system(right)) {
            (Some(left), Some(right)) => Ok(equal_values(&left, &right)),
            (None, None) => match (left, right) {
                (Item::Node(left), Item::Node(right)) => self.same(*left, *right, false).map(Some),
                (
                    Item::Type { is_system: left_system, name: left },
                    Item::Type { is_system: right_system, name: right },
                ) => Ok(Some(left_system == right_system && left == right)),
                _ => Ok(Some(false)),
            },
            _ => Ok(Some(false)),
        }
    }

    /// Objects with the same members, arrays with the same items. Equivalent ones in any order.
    fn same(&self, left: NodeId, right: NodeId, is_loose: bool) -> Result<bool, EvalError> {
        self.spend(1)?;
        let tape = self.document.tape;
        match (tape.kind(left), tape.kind(right)) {
            (Kind::Object, Kind::Object) => {
                let mut count = 0;
                for child in tape.children(left) {
                    let name = tape.name(child);
                    let other = if name.is_known() {
                        tape.member(right, name)
                    } else {
                        tape.member_named(right, &tape.key(child))
                    };
                    count += 1;
                    self.spend(count)?;
                    let Some(other) = other else { return Ok(false) };
                    if !self.same(child, other, is_loose)? {
                        return Ok(false);
                    }
                }
                Ok(count == tape.children(right).count())
            }
            (Kind::Array, Kind::Array) => {
                let (left, right): (Items<'a>, Items<'a>) =
                    (tape.children(left).map(Item::Node).collect(), tape.children(right).map(Item::Node).collect());
                if is_loose {
                    return self.equivalent_collections(&left, &right);
                }
                Ok(left.is_empty() && right.is_empty() || self.equal_collections(&left, &right)? == Some(true))
            }
            (Kind::Null, Kind::Null) => Ok(true),
            (Kind::Object | Kind::Array | Kind::Null, _) | (_, Kind::Object | Kind::Array | Kind::Null) => Ok(false),
            _ if is_loose => self.equivalent(&Item::Node(left), &Item::Node(right)),
            _ => Ok(self.equal(&Item::Node(left), &Item::Node(right))? == Some(true)),
        }
    }

    /// The same items in any order.
    pub(super) fn equivalent_collections(&self, left: &[Item<'a>], right: &[Item<'a>]) -> Result<bool, EvalError> {
        if left.len() != right.len() {
            return Ok(false);
        }
        let mut taken = vec![false; right.len()];
        for item in left {
            let mut found = false;
            for (other, taken) in right.iter().zip(&mut taken) {
                self.spend(1)?;
                if !*taken && self.equivalent(item, other)? {
                    (*taken, found) = (true, true);
                    break;
                }
            }
            if !found {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn equivalent(&self, left: &Item<'a>, right: &Item<'a>) -> Result<bool, EvalError> {
        match (self.system(left), self.system(right)) {
            (Some(left), Some(right)) => Ok(equivalent_values(&left, &right)),
            (None, None) => match (left, right) {
                (Item::Node(left), Item::Node(right)) => {
                    if left == right {
                        return Ok(true);
                    }
                    let are_objects = [left, right].map(|node| self.document.tape.kind(*node)) == [Kind::Object; 2];
                    Ok(are_objects && self.same(*left, *right, true)?)
                }
                _ => self.equal(left, right).map(|equal| equal == Some(true)),
            },
            _ => Ok(false),
        }
    }

    /// Which is greater; `None` where what they leave open would decide. Of different types it is an error to ask.
    pub(super) fn compare(&self, left: &Item<'a>, right: &Item<'a>) -> Result<Option<Ordering>, EvalError> {
        let (Some(left), Some(right)) = (self.system(left), self.system(right)) else {
            // An element without a value has nothing to compare.
            let is_without = |item: &Item<'a>| matches!(item, Item::Node(node) if self.document.is_primitive(*node));
            return if is_without(left) || is_without(right) { Ok(None) } else { Err(EvalError::Type) };
        };
        match (&left, &right) {
            (Item::String(left), Item::String(right)) => Ok(Some(left.cmp(right))),
            (Item::Integer(left), Item::Integer(right)) => Ok(Some(left.cmp(right))),
            (Item::Moment(left), Item::Moment(right)) => {
                if (left.kind == MomentKind::Time) != (right.kind == MomentKind::Time) {
                    return Err(EvalError::Type);
                }
                Ok(left.compare(*right))
            }
            _ => {
                if let Some((left, right)) = decimal(&left).zip(decimal(&right)) {
                    return Ok(Some(left.compare(right)));
                }
                let (Some(left), Some(right)) = (quantity(&left), quantity(&right)) else {
                    return Err(EvalError::Type);
                };
                Ok(left.compare(&right))
            }
        }
    }

    /// Equal items have the same.
    fn hash(&self, item: &Item<'a>, hashes: &RandomState) -> Result<u64, EvalError> {
        let mut hasher = hashes.build_hasher();
        match (self.system(item), item) {
            (Some(value), _) => hash_value(&value, &mut hasher),
            (None, Item::Node(node)) => return self.hash_node(*node, hashes),
            _ => {}
        }
        Ok(hasher.finish())
    }

    fn hash_node(&self, node: NodeId, hashes: &RandomState) -> Result<u64, EvalError> {
        self.spend(1)?;
        let tape = self.document.tape;
        let mut hasher = hashes.build_hasher();
        match tape.kind(node) {
            Kind::Object => {
                // The order of members does not matter.
                let mut sum = 0_u64;
                for child in tape.children(node) {
                    let mut own = hashes.build_hasher();
                    tape.name(child).hash(&mut own);
                    self.hash_node(child, hashes)?.hash(&mut own);
                    sum = sum.wrapping_add(own.finish());
                }
                sum.hash(&mut hasher);
            }
            Kind::Array => {
                for child in tape.children(node) {
                    self.hash_node(child, hashes)?.hash(&mut hasher);
                }
            }
            Kind::Null => {}
            _ => {
                if let Some(value) = self.document.system(node) {
                    hash_value(&value, &mut hasher);
                }
            }
        }
        Ok(hasher.finish())
    }
}

fn hash_value(value: &Item<'_>, hasher: &mut impl Hasher) {
    match value {
        Item::String(text) => text.hash(hasher),
        Item::Boolean(value) => value.hash(hasher),
        Item::Moment(moment) => (moment.has_offset(), moment.instant()).hash(hasher),
        Item::Integer(_) | Item::Decimal(_) => {
            if let Some(number) = decimal(value) {
                number.normalised().to_string().hash(hasher);
            }
        }
        // Units that can be converted make any two quantities perhaps equal.
        Item::Quantity(_) | Item::Node(_) | Item::Type { .. } => {}
    }
}

fn equal_values(left: &Item<'_>, right: &Item<'_>) -> Option<bool> {
    match (left, right) {
        (Item::String(left), Item::String(right)) => Some(left == right),
        (Item::Boolean(left), Item::Boolean(right)) => Some(left == right),
        (Item::Integer(left), Item::Integer(right)) => Some(left == right),
        (Item::Moment(left), Item::Moment(right)) => {
            if (left.kind == MomentKind::Time) != (right.kind == MomentKind::Time) {
                return Some(false);
            }
            left.compare(*right).map(Ordering::is_eq)
        }
        _ => {
            if let Some((left, right)) = decimal(left).zip(decimal(right)) {
                return Some(left.compare(right).is_eq());
            }
            match (quantity(left), quantity(right)) {
                (Some(left), Some(right)) => left.equals(&right),
                _ => Some(false),
            }
        }
    }
}

fn equivalent_values(left: &Item<'_>, right: &Item<'_>) -> bool {
    match (left, right) {
        (Item::String(left), Item::String(right)) => {
            let words = |text: &str| text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>();
            words(left) == words(right)
        }
        _ => {
            if let Some((left, right)) = decimal(left).zip(decimal(right)) {
                return is_equivalent(left, right);
            }
            match (quantity(left), quantity(right)) {
                (Some(left), Some(right)) => left.is_equivalent(&right),
                _ => equal_values(left, right) == Some(true),
            }
        }
    }
}

/// A number of either kind.
pub(super) fn decimal(item: &Item<'_>) -> Option<Decimal> {
    match item {
        Item::Integer(number) => Some(Decimal::from(*number)),
        Item::Decimal(number) => Some(*number),
        _ => None,
    }
}

/// A quantity, or a number as one without a unit.
pub(super) fn quantity<'q>(item: &Item<'q>) -> Option<Quantity<'q>> {
    match item {
        Item::Quantity(quantity) => Some((**quantity).clone()),
        item => Some(Quantity { value: decimal(item)?, unit: Unit::ONE }),
    }
}
