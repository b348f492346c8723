//! What a test says of an element of which some members are absent, whatever else there is: most invariants speak of what
//! is rarely there, and then need not be run.

use super::functions::Function;
use super::item::Item;
use super::program::{Constant, Member, Op, Order, Test};

/// The fewest members without which it says `value`; `None` where something else decides as well.
pub(super) fn decides(op: &Op, value: bool) -> Option<Vec<&Member>> {
    let Op::Test(test) = op else { return None };
    match (&**test, value) {
        (Test::Empty(on) | Test::All(on, _) | Test::IsDistinct(on), true)
        | (Test::Exists(on) | Test::ExistsWhere(on, _) | Test::HasValue(on), false) => first(on),
        (Test::Not(on), _) => decides(on, !value),
        (Test::Or(parts), true) | (Test::And(parts), false) => {
            parts.iter().filter_map(|part| decides(part, value)).min_by_key(Vec::len)
        }
        (Test::Or(parts), false) | (Test::And(parts), true) => {
            let all: Option<Vec<_>> = parts.iter().map(|part| decides(part, value)).collect();
            all.map(|all| all.concat())
        }
        (Test::Implies(left, right), true) => {
            [decides(left, false), decides(right, true)].into_iter().flatten().min_by_key(Vec::len)
        }
        (Test::Order(order, left, right), _) => {
            let of_none = 0.cmp(&whole(right)?);
            let holds = match order {
                Order::Less => of_none.is_lt(),
                Order::LessOrEqual => of_none.is_le(),
                Order::Greater => of_none.is_gt(),
                Order::GreaterOrEqual => of_none.is_ge(),
            };
            if holds == value { first(counted(left)?) } else { None }
        }
        _ => None,
    }
}

/// The member of the element itself without which there is nothing to begin with.
fn first(op: &Op) -> Option<Vec<&Member>> {
    match op {
        Op::Path(start, members) if matches!(**start, Op::This | Op::Context) => {
            members.first().map(|member| vec![member])
        }
        Op::Path(on, _)
        | Op::OfKind(on, _)
        | Op::OfType(on, _)
        | Op::Where(on, _)
        | Op::Select(on, _)
        | Op::Extension(on, _)
        | Op::Part(on, _)
        | Op::At(on, _)
        | Op::Children(on)
        | Op::Descendants(on) => first(on),
        _ => None,
    }
}

/// What `count()` is asked of.
fn counted(op: &Op) -> Option<&Op> {
    match op {
        Op::Call(call) if call.function == Function::Count => Some(&call.input),
        _ => None,
    }
}

fn whole(op: &Op) -> Option<i64> {
    match op {
        Op::Constants(constants) => match **constants {
            [Constant::Other(Item::Integer(number))] => Some(number),
            _ => None,
        },
        _ => None,
    }
}
