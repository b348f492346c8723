//! Runs a program. Paths and filters hand on one item at a time, so nothing is collected that is only counted or
//! asked for, and what has its answer looks no further.

use std::cell::Cell;

use super::document::{Document, END, ON, Step};
use super::equality::Unique;
use super::item::{Item, Items};
use super::program::{Member, Op, Order, Part, Place, Test};
use super::{EvalError, Scope};
use crate::fhir::tape::{Kind, NodeId};

mod boundary;
mod collection;
mod conversion;
mod number;
mod text;

/// Where the items go.
pub(super) type Sink<'k, 'a> = &'k mut dyn FnMut(Item<'a>) -> Step;

pub(super) type Found<'a> = Result<Items<'a>, EvalError>;

/// What `$this`, `$index` and `$total` are.
#[derive(Clone, Copy)]
pub(super) struct At<'i, 'a> {
    pub(super) this: Option<&'i Item<'a>>,
    pub(super) index: Option<usize>,
    pub(super) total: Option<&'i Items<'a>>,
}

pub(super) struct Evaluator<'s, 'a> {
    pub(super) scope: &'s Scope<'a>,
    pub(super) document: Document<'a>,
    left: Cell<u64>,
}

impl<'i, 'a> At<'i, 'a> {
    pub(super) fn item(self, item: &'i Item<'a>, index: usize) -> Self {
        Self { this: Some(item), index: Some(index), total: self.total }
    }
}

/// Hands on all of them.
fn feed<'a>(items: impl IntoIterator<Item = Item<'a>>, sink: Sink<'_, 'a>) -> Step {
    for item in items {
        if sink(item)?.is_end() {
            return END;
        }
    }
    ON
}

impl<'s, 'a> Evaluator<'s, 'a> {
    pub(super) fn new(scope: &'s Scope<'a>) -> Self {
        Self { scope, document: scope.document, left: Cell::new(scope.steps_max) }
    }

    /// How many steps were made.
    pub(super) fn spent(&self) -> u64 {
        self.scope.steps_max - self.left.get()
    }

    /// Counts work, so that no document and no expression can take more than its share.
    #[inline]
    pub(super) fn spend(&self, steps: usize) -> Result<(), EvalError> {
        match self.left.get().checked_sub(steps as u64) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(EvalError::TooMuchWork),
        }
    }

    /// All that an expression yields.
    pub(super) fn items(&self, op: &'a Op, at: At<'_, 'a>) -> Found<'a> {
        let mut found = Items::new();
        self.each(op, at, &mut |item| {
            found.push(item);
            ON
        })?;
        Ok(found)
    }

    /// Nothing or one.
    pub(super) fn single(&self, op: &'a Op, at: At<'_, 'a>) -> Result<Option<Item<'a>>, EvalError> {
        if let Some(found) = self.sole(op, at)? {
            return Ok(found.map(Item::Node));
        }
        let mut found = None;
        self.each(op, at, &mut |item| {
            if found.is_some() {
                return Err(EvalError::NotSingle);
            }
            found = Some(item);
            ON
        })?;
        Ok(found)
    }

    /// The one value that a path leads to, or none; nothing where that needs a closer look.
    fn sole(&self, op: &'a Op, at: At<'_, 'a>) -> Result<Option<Option<NodeId>>, EvalError> {
        let Op::Path(start, members) = op else { return Ok(None) };
        let Some(node) = self.node(start, at) else { return Ok(None) };
        let mut looked = 0;
        let found = self.document.sole(node, members, &mut looked);
        self.spend(looked)?;
        Ok(found)
    }

    fn exists(&self, op: &'a Op, at: At<'_, 'a>) -> Result<bool, EvalError> {
        if let Op::Path(start, members) = op
            && let Some(node) = self.node(start, at)
        {
            let mut looked = 0;
            let found = self.document.leads_on(node, members, &mut looked);
            self.spend(looked)?;
            if let Some(found) = found {
                return Ok(found);
            }
        }
        let step = self.each(op, at, &mut |_| END)?;
        Ok(step.is_end())
    }

    /// The context and the like, which are one value of the document.
    fn node(&self, op: &Op, at: At<'_, 'a>) -> Option<NodeId> {
        match (op, at.this) {
            (Op::This, Some(Item::Node(node))) => Some(*node),
            (Op::Context, _) => Some(self.scope.context),
            (Op::Resource, _) => Some(self.scope.resource),
            (Op::Root, _) => Some(self.scope.root),
            _ => None,
        }
    }

    /// Hands every item on.
    pub(super) fn each(&self, op: &'a Op, at: At<'_, 'a>, sink: Sink<'_, 'a>) -> Step {
        match op {
            Op::Path(start, members) => match self.node(start, at) {
                Some(node) => self.walk(node, members, sink),
                None => self.each(start, at, &mut |item| self.walk_item(&item, members, sink)),
            },
            Op::Test(test) => match self.test(test, at)? {
                Some(value) => sink(Item::Boolean(value)),
                None => ON,
            },
            Op::Nothing => ON,
            Op::Constants(constants) => feed(constants.iter().map(super::program::Constant::item), sink),
            Op::This => at.this.map_or(ON, |item| sink(item.clone())),
            Op::Context => sink(Item::Node(self.scope.context)),
            Op::Resource => sink(Item::Node(self.scope.resource)),
            Op::Root => sink(Item::Node(self.scope.root)),
            Op::Index => at.index.map_or(ON, |index| sink(Item::Integer(index as i64))),
            Op::Total => feed(at.total.into_iter().flatten().cloned(), sink),
            Op::OfKind(on, kind) => {
                self.each(on, at, &mut |item| if kind.is(&self.document, &item) { sink(item) } else { ON })
            }
            Op::OfType(on, kind) => {
                self.each(on, at, &mut |item| if kind.is_exactly(&self.document, &item) { sink(item) } else { ON })
            }
            _ => self.each_of_many(op, at, sink),
        }
    }

    fn each_of_many(&self, op: &'a Op, at: At<'_, 'a>, sink: Sink<'_, 'a>) -> Step {
        match op {
            Op::Where(on, criterion) => {
                self.indexed(on, at, &mut |item, index| match self.truth(criterion, at.item(&item, index))? {
                    Some(true) => sink(item),
                    _ => ON,
                })
            }
            Op::Select(on, projection) => {
                self.indexed(on, at, &mut |item, index| self.each(projection, at.item(&item, index), sink))
            }
            Op::Extension(on, url) => self.extensions(on, url, at, sink),
            Op::Part(on, part) => self.part(on, part, at, sink),
            Op::At(on, index) => self.at(on, index, at, sink),
            Op::Children(on) => self.each(on, at, &mut |item| match item {
                Item::Node(node) => self.children(node, sink),
                _ => ON,
            }),
            Op::Descendants(on) => self.each(on, at, &mut |item| match item {
                Item::Node(node) => self.descend(node, sink),
                _ => ON,
            }),
            Op::Union(parts) => {
                let mut all = Unique::default();
                for part in parts {
                    self.each(part, at, &mut |item| {
                        all.insert(self, item)?;
                        ON
                    })?;
                }
                feed(all.into_items(), sink)
            }
            Op::Negative(on) => feed(self.single(on, at)?.map(|item| self.negated(&item)).transpose()?, sink),
            Op::Reckon(reckoning, left, right) => {
                let (left, right) = (self.single(left, at)?, self.single(right, at)?);
                feed(self.reckon(*reckoning, left, right)?, sink)
            }
            Op::Call(call) => feed(self.call(call, at)?, sink),
            _ => ON,
        }
    }

    /// Hands every item on with its position.
    fn indexed(&self, on: &'a Op, at: At<'_, 'a>, found: &mut dyn FnMut(Item<'a>, usize) -> Step) -> Step {
        let mut index = 0;
        self.each(on, at, &mut |item| {
            self.spend(1)?;
            index += 1;
            found(item, index - 1)
        })
    }

    fn walk(&self, node: NodeId, members: &'a [Member], sink: Sink<'_, 'a>) -> Step {
        let Some((member, rest)) = members.split_first() else { return sink(Item::Node(node)) };
        let mut looked = 0;
        let step = self.document.members(node, member, &mut looked, &mut |found| match rest {
            [] => sink(Item::Node(found)),
            rest => self.walk(found, rest, sink),
        });
        self.spend(looked)?;
        step
    }

    fn walk_item(&self, item: &Item<'a>, members: &'a [Member], sink: Sink<'_, 'a>) -> Step {
        match (item, members) {
            (Item::Node(node), members) => self.walk(*node, members, sink),
            (Item::Type { is_system, name }, [member]) => match &*member.text {
                "namespace" => sink(Item::text(if *is_system { "System" } else { "FHIR" })),
                "name" => sink(Item::text(*name)),
                _ => ON,
            },
            _ => ON,
        }
    }

    fn children(&self, node: NodeId, sink: Sink<'_, 'a>) -> Step {
        let mut looked = 0;
        let step = self.document.children(node, &mut looked, &mut |child| sink(Item::Node(child)));
        self.spend(looked)?;
        step
    }

    fn descend(&self, node: NodeId, sink: Sink<'_, 'a>) -> Step {
        let mut looked = 0;
        let step = self.document.children(node, &mut looked, &mut |child| {
            if sink(Item::Node(child))?.is_end() {
                return END;
            }
            // Nearly all are primitive values, and nearly none of those has anything beside it.
            self.descend(child, sink)
        });
        self.spend(looked)?;
        step
    }

    fn extensions(&self, on: &'a Op, url: &'a Op, at: At<'_, 'a>, sink: Sink<'_, 'a>) -> Step {
        let Some(url) = self.single(url, at)? else { return ON };
        let Some(url) = self.string(&url) else { return Err(EvalError::Type) };
        let name = self.document.facts.names().find("url");
        self.each(on, at, &mut |item| match &item {
            Item::Node(node) => {
                let own = self.document.tape.member(*node, name).and_then(|own| self.document.tape.string(own));
                if own.is_some_and(|own| own == url) { sink(item) } else { ON }
            }
            _ => ON,
        })
    }

    fn part(&self, on: &'a Op, part: &'a Part, at: At<'_, 'a>, sink: Sink<'_, 'a>) -> Step {
        let number = |op: &'a Op| match self.single(op, at)? {
            Some(item) => self.integer(&item).ok_or(EvalError::Type).map(Some),
            None => Ok(None),
        };
        match part {
            Part::First => {
                let mut first = None;
                self.each(on, at, &mut |item| {
                    first = Some(item);
                    END
                })?;
                feed(first, sink)
            }
            Part::Last => {
                let mut last = None;
                self.each(on, at, &mut |item| {
                    last = Some(item);
                    ON
                })?;
                feed(last, sink)
            }
            Part::Tail => self.indexed(on, at, &mut |item, index| if 0 < index { sink(item) } else { ON }),
            Part::Skip(count) => {
                let Some(count) = number(count)? else { return ON };
                self.indexed(on, at, &mut |item, index| if count <= index as i64 { sink(item) } else { ON })
            }
            Part::Take(count) => {
                let Some(count) = number(count)?.filter(|count| 0 < *count) else { return ON };
                let mut taken = Items::new();
                self.indexed(on, at, &mut |item, index| {
                    taken.push(item);
                    if index as i64 + 1 < count { ON } else { END }
                })?;
                feed(taken, sink)
            }
        }
    }

    fn at(&self, on: &'a Op, index: &'a Op, at: At<'_, 'a>, sink: Sink<'_, 'a>) -> Step {
        let Some(index) = self.single(index, at)? else { return ON };
        let wanted = self.integer(&index).ok_or(EvalError::Type)?;
        let mut found = None;
        self.indexed(on, at, &mut |item, index| {
            if index as i64 == wanted {
                found = Some(item);
                return END;
            }
            ON
        })?;
        feed(found, sink)
    }

    /// True, false or nothing: an item that is no boolean counts as true (FHIRPath N1, 4.5 "Singleton Evaluation").
    pub(super) fn truth(&self, op: &'a Op, at: At<'_, 'a>) -> Result<Option<bool>, EvalError> {
        if let Op::Test(test) = op {
            return self.test(test, at);
        }
        Ok(self.single(op, at)?.and_then(|item| self.as_truth(&item)))
    }

    /// The same of a whole expression, of which several items are true.
    pub(super) fn verdict(&self, op: &'a Op, at: At<'_, 'a>) -> Result<Option<bool>, EvalError> {
        if let Op::Test(test) = op {
            return self.test(test, at);
        }
        match &self.items(op, at)?[..] {
            [] => Ok(None),
            [item] => Ok(self.as_truth(item)),
            _ => Ok(Some(true)),
        }
    }

    pub(super) fn as_truth(&self, item: &Item<'a>) -> Option<bool> {
        match item {
            Item::Boolean(value) => Some(*value),
            Item::Node(node) => match self.document.tape.kind(*node) {
                Kind::False => Some(false),
                Kind::Object if self.document.is_primitive(*node) => None,
                _ => Some(true),
            },
            _ => Some(true),
        }
    }

    fn test(&self, test: &'a Test, at: At<'_, 'a>) -> Result<Option<bool>, EvalError> {
        Ok(match test {
            Test::Exists(on) => Some(self.exists(on, at)?),
            Test::Empty(on) => Some(!self.exists(on, at)?),
            Test::EqualsText(on, text, wanted) => self.equals_text(on, text, at)?.map(|equal| equal == *wanted),
            Test::Or(parts) => self.junction(parts, true, at)?,
            Test::And(parts) => self.junction(parts, false, at)?,
            Test::Not(on) => self.truth(on, at)?.map(|value| !value),
            Test::Implies(left, right) => match self.truth(left, at)? {
                Some(false) => Some(true),
                Some(true) => self.truth(right, at)?,
                None => self.truth(right, at)?.filter(|right| *right),
            },
            Test::Xor(left, right) => {
                let (left, right) = (self.truth(left, at)?, self.truth(right, at)?);
                left.zip(right).map(|(left, right)| left != right)
            }
            Test::HasValue(on) => Some(self.has_value(on, at)?),
            Test::ExistsWhere(on, criterion) => {
                let step = self.indexed(on, at, &mut |item, index| {
                    let found = self.truth(criterion, at.item(&item, index))?;
                    if found == Some(true) { END } else { ON }
                })?;
                Some(step.is_end())
            }
            Test::All(on, criterion) => {
                let step = self.indexed(on, at, &mut |item, index| {
                    let found = self.truth(criterion, at.item(&item, index))?;
                    if found == Some(true) { ON } else { END }
                })?;
                Some(!step.is_end())
            }
            Test::AmongTexts(on, texts) => self.among_texts(on, texts, at)?,
            _ => return self.comparison(test, at),
        })
    }

    fn comparison(&self, test: &'a Test, at: At<'_, 'a>) -> Result<Option<bool>, EvalError> {
        Ok(match test {
            Test::Equal(left, right, wanted) => {
                let (left, right) = (self.items(left, at)?, self.items(right, at)?);
                self.equal_collections(&left, &right)?.map(|equal| equal == *wanted)
            }
            Test::SameTruth(left, right, wanted) => {
                let (left, right) = (self.truth(left, at)?, self.truth(right, at)?);
                left.zip(right).map(|(left, right)| (left == right) == *wanted)
            }
            Test::HasText(on, place, text) => self.tested(on, at, |own| match place {
                Place::Start => own.starts_with(&**text),
                Place::End => own.ends_with(&**text),
                Place::Anywhere => own.contains(&**text),
            })?,
            Test::Matches(on, pattern) => self.tested(on, at, |own| pattern.is_match(own))?,
            Test::Equivalent(left, right, wanted) => {
                let (left, right) = (self.items(left, at)?, self.items(right, at)?);
                Some(self.equivalent_collections(&left, &right)? == *wanted)
            }
            Test::Order(order, left, right) => {
                let (left, right) = (self.single(left, at)?, self.single(right, at)?);
                let Some((left, right)) = left.zip(right) else { return Ok(None) };
                self.compare(&left, &right)?.map(|found| match order {
                    Order::Less => found.is_lt(),
                    Order::LessOrEqual => found.is_le(),
                    Order::Greater => found.is_gt(),
                    Order::GreaterOrEqual => found.is_ge(),
                })
            }
            Test::In(item, among) => match self.single(item, at)? {
                None => None,
                Some(item) => {
                    let step = self.each(among, at, &mut |other| {
                        self.spend(1)?;
                        if self.equal(&item, &other)? == Some(true) { END } else { ON }
                    })?;
                    Some(step.is_end())
                }
            },
            Test::Is(on, kind) => self.single(on, at)?.map(|item| kind.is(&self.document, &item)),
            Test::IsDistinct(on) => {
                let mut all = Unique::default();
                let step = self.each(on, at, &mut |item| if all.insert(self, item)? { ON } else { END })?;
                Some(!step.is_end())
            }
            _ => None,
        })
    }

    /// `or` (true decides) and `and` (false decides) of any number of parts.
    fn junction(&self, parts: &'a [Op], decides: bool, at: At<'_, 'a>) -> Result<Option<bool>, EvalError> {
        let mut all = Some(!decides);
        for part in parts {
            match self.truth(part, at)? {
                Some(value) if value == decides => return Ok(Some(decides)),
                Some(_) => {}
                None => all = None,
            }
        }
        Ok(all)
    }

    /// What a test says of the text of the one item.
    fn tested(&self, on: &'a Op, at: At<'_, 'a>, test: impl Fn(&str) -> bool) -> Result<Option<bool>, EvalError> {
        let Some(item) = self.single(on, at)? else { return Ok(None) };
        let text = self.string(&item).ok_or(EvalError::Type)?;
        self.spend(1 + text.len() / 16)?;
        Ok(Some(test(&text)))
    }

    fn has_value(&self, on: &'a Op, at: At<'_, 'a>) -> Result<bool, EvalError> {
        let (mut count, mut has_value) = (0, false);
        self.each(on, at, &mut |item| {
            count += 1;
            has_value = match item {
                Item::Node(node) => self.document.has_value(node),
                _ => true,
            };
            if count == 1 { ON } else { END }
        })?;
        Ok(count == 1 && has_value)
    }

    /// Is the one item this text?
    fn equals_text(&self, on: &'a Op, text: &str, at: At<'_, 'a>) -> Result<Option<bool>, EvalError> {
        if let Some(found) = self.sole(on, at)? {
            return Ok(found.map(|node| self.is_text(&Item::Node(node), text)));
        }
        let mut found = None;
        self.each(on, at, &mut |item| {
            if found.is_some() {
                found = Some(false);
                return END;
            }
            found = Some(self.is_text(&item, text));
            ON
        })?;
        Ok(found)
    }

    fn among_texts(&self, on: &'a Op, texts: &[Box<str>], at: At<'_, 'a>) -> Result<Option<bool>, EvalError> {
        let mut found = None;
        self.each(on, at, &mut |item| {
            if found.is_some() {
                return Err(EvalError::NotSingle);
            }
            self.spend(texts.len() / 16)?;
            found = Some(texts.iter().any(|text| self.is_text(&item, text)));
            ON
        })?;
        Ok(found)
    }

    fn is_text(&self, item: &Item<'a>, text: &str) -> bool {
        match item {
            Item::Node(node) => match self.document.tape.kind(*node) {
                Kind::Plain => self.document.tape.raw(*node) == text,
                Kind::Escaped => self.document.tape.string(*node).is_some_and(|own| own == text),
                _ => false,
            },
            Item::String(own) => own == text,
            _ => false,
        }
    }
}
