//! Functions of whole collections, and FHIR's own.

use std::cmp::Ordering;

use super::super::document::ON;
use super::super::equality::Unique;
use super::super::functions::Function;
use super::super::item::{Item, Items, some};
use super::super::moment::Moment;
use super::super::program::{Call, Op};
use super::super::{EvalError, MomentKind};
use super::{At, Evaluator, Found, Sink};
use crate::fhir::tape::NodeId;
use crate::profile::facts::Type;
use crate::profile::xhtml;

/// What is sorted by, if it is there, and whether downwards.
type Key<'a> = (Option<Item<'a>>, bool);

/// A stable sort. The standard library's own may panic where the order is not total, and that of dates which differ in
/// what they leave open is not.
fn merge_sorted<T>(
    mut left: Vec<T>,
    order: &dyn Fn(&T, &T) -> Result<Ordering, EvalError>,
) -> Result<Vec<T>, EvalError> {
    if left.len() < 2 {
        return Ok(left);
    }
    let right = left.split_off(left.len() / 2);
    let (left, right) = (merge_sorted(left, order)?, merge_sorted(right, order)?);
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(one), Some(other)) = (left.peek(), right.peek()) {
        let next = if order(one, other)?.is_le() { left.next() } else { right.next() };
        merged.extend(next);
    }
    merged.extend(left.chain(right));
    Ok(merged)
}

impl<'a> Evaluator<'_, 'a> {
    pub(super) fn call(&self, call: &'a Call, at: At<'_, 'a>) -> Found<'a> {
        self.spend(1)?;
        let given = call.given.first().unwrap_or(&Op::Nothing);
        Ok(match call.function {
            Function::AllTrue => some(Item::Boolean(self.all_are(call, at, true)?)),
            Function::AllFalse => some(Item::Boolean(self.all_are(call, at, false)?)),
            Function::AnyTrue => some(Item::Boolean(!self.all_are(call, at, false)?)),
            Function::AnyFalse => some(Item::Boolean(!self.all_are(call, at, true)?)),
            Function::Count => {
                let mut count = 0;
                self.each(&call.input, at, &mut |_| {
                    count += 1;
                    ON
                })?;
                some(Item::Integer(count))
            }
            Function::Distinct => self.unique(&call.input, at)?.into_items(),
            Function::SubsetOf => some(Item::Boolean(self.is_subset(&call.input, given, at)?)),
            Function::SupersetOf => some(Item::Boolean(self.is_subset(given, &call.input, at)?)),
            Function::Intersect => {
                let other = self.unique(given, at)?;
                let mut both = Unique::default();
                self.each(&call.input, at, &mut |item| {
                    if other.has(self, &item)? {
                        both.insert(self, item)?;
                    }
                    ON
                })?;
                both.into_items()
            }
            Function::Exclude => {
                let other = self.unique(given, at)?;
                let mut rest = self.items(&call.input, at)?;
                let mut failed = None;
                rest.retain(|item| match other.has(self, item) {
                    Ok(found) => !found,
                    Err(error) => {
                        failed = Some(error);
                        false
                    }
                });
                failed.map_or(Ok(rest), Err)?
            }
            Function::Combine => {
                let mut all = self.items(&call.input, at)?;
                all.extend(self.items(given, at)?);
                all
            }
            Function::Single => some(self.single(&call.input, at)?),
            Function::Repeat => self.repeat(&call.input, given, at)?,
            Function::Aggregate => self.aggregate(call, at)?,
            Function::Iif => self.iif(call, at)?,
            Function::Sort => self.sort(call, at)?,
            _ => self.fhir(call, given, at)?,
        })
    }

    fn fhir(&self, call: &'a Call, given: &'a Op, at: At<'_, 'a>) -> Found<'a> {
        Ok(match call.function {
            Function::Now => some(self.now().map(Item::Moment)),
            Function::Today => some(self.now().map(|now| Item::Moment(now.to_date()))),
            Function::TimeOfDay => some(self.now().map(|now| Item::Moment(now.to_time()))),
            Function::Type => {
                let mut types = Items::new();
                self.each(&call.input, at, &mut |item| {
                    types.extend(self.type_of(&item));
                    ON
                })?;
                types
            }
            Function::GetValue => some(self.single(&call.input, at)?.and_then(|item| self.system(&item))),
            Function::Resolve => {
                let mut found = Items::new();
                self.resolve(&call.input, at, &mut |item| {
                    found.push(item);
                    ON
                })?;
                found
            }
            Function::HtmlChecks => match self.single(&call.input, at)? {
                None => Items::new(),
                Some(item) => {
                    let text = self.string(&item).ok_or(EvalError::Type)?;
                    self.spend(text.len())?;
                    some(Item::Boolean(xhtml::check(&text).is_none()))
                }
            },
            Function::MemberOf => {
                let Some((item, url)) = self.with_text(call, given, at)? else { return Ok(Items::new()) };
                let terminology = self.scope.terminology.ok_or(EvalError::NotChecked("memberOf"))?;
                let found = terminology.has_member(&self.document, &item, &url);
                some(Item::Boolean(found.ok_or(EvalError::NotChecked("memberOf"))?))
            }
            Function::ConformsTo => {
                let Some((item, url)) = self.with_text(call, given, at)? else { return Ok(Items::new()) };
                let (Item::Node(node), Some(profiles)) = (item, self.scope.profiles) else {
                    return Err(EvalError::NotChecked("conformsTo"));
                };
                let found = profiles.conforms(&self.document, node, &url);
                some(Item::Boolean(found.ok_or(EvalError::NotChecked("conformsTo"))?))
            }
            Function::Split | Function::Join | Function::ToChars => self.pieces(call, given, at)?,
            _ => {
                let Some(item) = self.single(&call.input, at)? else { return Ok(Items::new()) };
                self.of_one(call, &item, at)?
            }
        })
    }

    /// An item and the text that its function is given.
    fn with_text(
        &self,
        call: &'a Call,
        given: &'a Op,
        at: At<'_, 'a>,
    ) -> Result<Option<(Item<'a>, String)>, EvalError> {
        let (item, text) = (self.single(&call.input, at)?, self.single(given, at)?);
        let Some((item, text)) = item.zip(text) else { return Ok(None) };
        Ok(Some((item, self.string(&text).ok_or(EvalError::Type)?.into_owned())))
    }

    fn all_are(&self, call: &'a Call, at: At<'_, 'a>, wanted: bool) -> Result<bool, EvalError> {
        let mut all = true;
        self.each(&call.input, at, &mut |item| match self.system(&item) {
            Some(Item::Boolean(value)) => {
                all &= value == wanted;
                ON
            }
            _ => Err(EvalError::Type),
        })?;
        Ok(all)
    }

    fn unique(&self, op: &'a Op, at: At<'_, 'a>) -> Result<Unique<'a>, EvalError> {
        let mut all = Unique::default();
        self.each(op, at, &mut |item| {
            all.insert(self, item)?;
            ON
        })?;
        Ok(all)
    }

    fn is_subset(&self, of: &'a Op, among: &'a Op, at: At<'_, 'a>) -> Result<bool, EvalError> {
        let among = self.unique(among, at)?;
        let mut all = true;
        self.each(of, at, &mut |item| {
            all &= among.has(self, &item)?;
            ON
        })?;
        Ok(all)
    }

    /// What the projection yields, and what it yields of that, until nothing new comes.
    fn repeat(&self, input: &'a Op, projection: &'a Op, at: At<'_, 'a>) -> Found<'a> {
        let mut all = Unique::default();
        let mut todo = self.items(input, at)?;
        while let Some(item) = todo.pop() {
            self.each(projection, at.item(&item, 0), &mut |found| {
                if all.insert(self, found.clone())? {
                    todo.push(found);
                }
                ON
            })?;
        }
        Ok(all.into_items())
    }

    fn aggregate(&self, call: &'a Call, at: At<'_, 'a>) -> Found<'a> {
        let [step, rest @ ..] = &call.given[..] else { return Ok(Items::new()) };
        let mut total = rest.first().map_or(Ok(Items::new()), |start| self.items(start, at))?;
        for (index, item) in self.items(&call.input, at)?.iter().enumerate() {
            self.spend(1 + total.len())?;
            total = self.items(step, At { this: Some(item), index: Some(index), total: Some(&total) })?;
        }
        Ok(total)
    }

    fn iif(&self, call: &'a Call, at: At<'_, 'a>) -> Found<'a> {
        let [criterion, yes, no @ ..] = &call.given[..] else { return Ok(Items::new()) };
        let item = if matches!(call.input, Op::This) { None } else { Some(self.single(&call.input, at)?) };
        let at = match &item {
            None => at,
            Some(item) => At { this: item.as_ref(), ..at },
        };
        let decided = match self.single(criterion, at)? {
            None => false,
            Some(item) => match self.system(&item) {
                Some(Item::Boolean(value)) => value,
                _ => return Err(EvalError::Type),
            },
        };
        match (decided, no.first()) {
            (true, _) => self.items(yes, at),
            (false, Some(no)) => self.items(no, at),
            (false, None) => Ok(Items::new()),
        }
    }

    /// By keys, of which those with a minus sign sort downwards.
    fn sort(&self, call: &'a Call, at: At<'_, 'a>) -> Found<'a> {
        let mut keyed = Vec::new();
        for (index, item) in self.items(&call.input, at)?.into_iter().enumerate() {
            self.spend(1)?;
            let mut keys = Vec::with_capacity(call.given.len());
            for key in &call.given {
                let (key, is_down) = match key {
                    Op::Negative(key) => (&**key, true),
                    key => (key, false),
                };
                keys.push((self.single(key, at.item(&item, index))?, is_down));
            }
            if call.given.is_empty() {
                keys.push((Some(item.clone()), false));
            }
            keyed.push((keys, item));
        }
        let sorted = merge_sorted(keyed, &|(left, _), (right, _)| self.order(left, right))?;
        Ok(sorted.into_iter().map(|(_, item)| item).collect())
    }

    /// How two lists of keys stand to each other. Keys of different types are an error; what leaves open which is
    /// greater, as a year and a month of it do, says nothing.
    fn order(&self, left: &[Key<'a>], right: &[Key<'a>]) -> Result<Ordering, EvalError> {
        for ((left, is_down), (right, _)) in left.iter().zip(right) {
            let order = match (left, right) {
                (Some(left), Some(right)) => {
                    let order = self.compare(left, right)?.unwrap_or(Ordering::Equal);
                    if *is_down { order.reverse() } else { order }
                }
                // What has no key comes first, either way.
                _ => left.is_some().cmp(&right.is_some()),
            };
            if order.is_ne() {
                return Ok(order);
            }
        }
        Ok(Ordering::Equal)
    }

    fn now(&self) -> Option<Moment> {
        Moment::of_unix_millis(self.scope.now.as_millisecond())
    }

    fn type_of(&self, item: &Item<'a>) -> Option<Item<'a>> {
        let system = |name| Some(Item::Type { is_system: true, name });
        match item {
            Item::Node(node) => {
                let name = self.document.kind(*node).map(|kind: &'a Type| kind.name)?;
                let name = if name.contains('.') { "BackboneElement" } else { name };
                Some(Item::Type { is_system: false, name })
            }
            Item::Boolean(_) => system("Boolean"),
            Item::Integer(_) => system("Integer"),
            Item::Decimal(_) => system("Decimal"),
            Item::String(_) => system("String"),
            Item::Quantity(_) => system("Quantity"),
            Item::Moment(moment) => system(match moment.kind {
                MomentKind::Date => "Date",
                MomentKind::DateTime => "DateTime",
                MomentKind::Time => "Time",
            }),
            Item::Type { .. } => None,
        }
    }

    /// What references point to, within the document. What is elsewhere is left out.
    fn resolve(&self, input: &'a Op, at: At<'_, 'a>, sink: Sink<'_, 'a>) -> super::Step {
        let Some(resolver) = self.scope.resolver else { return ON };
        let name = self.document.facts.names().find("reference");
        self.each(input, at, &mut |item| {
            self.spend(1)?;
            let (from, text): (NodeId, _) = match &item {
                Item::Node(node) if self.document.has_value(*node) => (*node, self.string(&item)),
                Item::Node(node) => {
                    let text = self.document.tape.member(*node, name);
                    (*node, text.and_then(|text| self.document.tape.string(text)))
                }
                item => (self.scope.resource, self.string(item)),
            };
            match text.and_then(|text| resolver.resolve(from, &text)) {
                Some(found) => sink(Item::Node(found)),
                None => ON,
            }
        })
    }
}
