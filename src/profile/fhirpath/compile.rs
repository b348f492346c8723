//! From the tree to the program: names become numbers, functions are looked up, common shapes get a test of
//! their own.

use std::collections::{HashMap, HashSet};

use regex::{Regex, RegexBuilder};

use super::functions::{self, Function};
use super::item::Item;
use super::program::{Call, Constant, Group, Member, Op, Order, Part, Place, Reckoning, SystemType, Test, TypeTest};
use super::syntax::{Ast, Operator, Tree, parse};
use super::{CompileError, Expression};
use crate::fhir::names::NameId;
use crate::profile::facts::{Facts, TypeId};

/// Most memory of a compiled pattern.
const PATTERN_BYTES_MAX: usize = 1 << 20;

type Compiled = Result<Op, CompileError>;

/// A pattern in which `.` stands for line ends too (FHIRPath N1, `matches`).
pub(super) fn pattern(text: &str, whole: bool) -> Option<Regex> {
    let text = if whole { format!("^(?:{text})$") } else { text.to_owned() };
    RegexBuilder::new(&text).dot_matches_new_line(true).size_limit(PATTERN_BYTES_MAX).build().ok()
}

/// Compiles expressions against the definitions of FHIR's types.
#[derive(Debug)]
pub struct Compiler<'f> {
    facts: &'f Facts,
    /// The properties of the choices of each name, sorted.
    choices: HashMap<NameId, Vec<NameId>>,
    /// All of them.
    properties: HashSet<NameId>,
}

impl<'f> Compiler<'f> {
    /// Of these definitions.
    pub fn new(facts: &'f Facts) -> Self {
        let mut choices: HashMap<NameId, Vec<NameId>> = HashMap::new();
        for kind in facts.types() {
            for field in kind.fields() {
                let element = kind.element(field);
                if element.choice {
                    choices.entry(element.name_id).or_default().push(field.name_id);
                }
            }
        }
        for properties in choices.values_mut() {
            properties.sort_unstable();
            properties.dedup();
        }
        let properties = choices.values().flatten().copied().collect();
        Self { facts, choices, properties }
    }

    /// Compiles one expression.
    pub fn compile(&self, text: &str) -> Result<Expression, CompileError> {
        Ok(Expression { program: self.op(&parse(text)?)? })
    }

    fn op(&self, tree: &Tree) -> Compiled {
        Ok(match &tree.ast {
            Ast::Nothing => Op::Nothing,
            Ast::Boolean(value) => constant(Item::Boolean(*value)),
            Ast::Text(text) => text_constant(text.as_str()),
            Ast::Integer(number) => constant(Item::Integer(*number)),
            Ast::Decimal(number) => constant(Item::Decimal(*number)),
            Ast::Moment(moment) => constant(Item::Moment(*moment)),
            Ast::Quantity(quantity) => constant(Item::quantity(quantity.clone())),
            Ast::Dollar(name) => match name.as_str() {
                "this" => Op::This,
                "index" => Op::Index,
                "total" => Op::Total,
                _ => return Err(CompileError::UnknownConstant(format!("${name}"))),
            },
            Ast::Percent(name) => environment(name)?,
            Ast::Member(None, name) => self.first(name)?,
            Ast::Member(Some(on), name) => self.path(self.op(on)?, name)?,
            Ast::Call(on, name, given) => self.call(on.as_deref(), name, given)?,
            Ast::Index(on, index) => Op::At(Box::new(self.op(on)?), Box::new(self.op(index)?)),
            Ast::Sign(inner, negative) => sign(self.op(inner)?, *negative),
            Ast::Binary(operator, left, right) => self.binary(*operator, left, right)?,
            Ast::Many(operator, parts) => self.many(*operator, parts)?,
            Ast::Typed(on, is, name) => self.typed(self.op(on)?, *is, name)?,
        })
    }

    fn ops(&self, trees: &[Tree]) -> Result<Vec<Op>, CompileError> {
        trees.iter().map(|tree| self.op(tree)).collect()
    }

    /// A name at the start of a path may be that of the context's own type.
    fn first(&self, name: &str) -> Compiled {
        if name.starts_with(|c: char| c.is_ascii_uppercase()) && self.facts.id(name).is_some() {
            return Ok(Op::OfKind(Box::new(Op::This), self.type_test(name)?));
        }
        self.path(Op::This, name)
    }

    fn path(&self, on: Op, name: &str) -> Compiled {
        let member = self.member(name)?;
        Ok(match on {
            Op::Path(start, mut members) => {
                members.push(member);
                Op::Path(start, members)
            }
            start => Op::Path(Box::new(start), vec![member]),
        })
    }

    fn member(&self, text: &str) -> Result<Member, CompileError> {
        let name = self.facts.names().find(text);
        // Of what `type()` answers there are a name and a namespace.
        if !name.is_known() && text != "namespace" {
            return Err(CompileError::UnknownElement(text.to_owned()));
        }
        let of_element = matches!(text, "id" | "extension");
        let choices = self.choices.get(&name).cloned().unwrap_or_default().into();
        let is_property_of_choice = self.properties.contains(&name);
        let sibling = if name.is_known() { name.sibling() } else { name };
        Ok(Member { name, sibling, choices, is_property_of_choice, of_element, text: text.into() })
    }

    fn typed(&self, on: Op, is: bool, name: &str) -> Compiled {
        let test = self.type_test(name)?;
        Ok(if is { Op::Test(Box::new(Test::Is(on, test))) } else { Op::OfType(Box::new(on), test) })
    }

    fn type_test(&self, name: &str) -> Result<TypeTest, CompileError> {
        let (namespace, plain) = name.split_once('.').unwrap_or(("", name));
        let own = if namespace == "System" { None } else { self.facts.id(plain).filter(|_| !plain.contains('.')) };
        let system = match plain {
            "Boolean" => Some(SystemType::Boolean),
            "String" => Some(SystemType::String),
            "Integer" => Some(SystemType::Integer),
            "Decimal" => Some(SystemType::Decimal),
            "Date" => Some(SystemType::Date),
            "DateTime" => Some(SystemType::DateTime),
            "Time" => Some(SystemType::Time),
            "Quantity" => Some(SystemType::Quantity),
            _ => None,
        };
        let system = system.filter(|_| namespace != "FHIR");
        // A type of FHIR under FHIRPath's name is none, but it may be asked for.
        let is_known = own.is_some() || system.is_some() || (namespace == "System" && self.facts.id(plain).is_some());
        if !matches!(namespace, "" | "FHIR" | "System") || !is_known {
            return Err(CompileError::UnknownType(name.to_owned()));
        }
        let group = match plain {
            _ if own.is_none() => None,
            "Resource" => Some(Group::Resource),
            "DomainResource" => Some(Group::DomainResource),
            "Element" => Some(Group::Element),
            "BackboneElement" => Some(Group::BackboneElement),
            _ => None,
        };
        let special: &[&str] = match plain {
            "string" => &["code", "id", "markdown"],
            "uri" => &["url", "canonical", "uuid", "oid"],
            "integer" => &["positiveInt", "unsignedInt"],
            "Quantity" => &["Age", "Count", "Distance", "Duration", "MoneyQuantity", "SimpleQuantity"],
            _ => &[],
        };
        let special = special.iter().filter_map(|name| self.facts.id(name)).filter(|_| own.is_some());
        let all: Vec<TypeId> = own.into_iter().chain(special).collect();
        Ok(TypeTest { own, all: all.into(), group, system })
    }

    fn call(&self, on: Option<&Tree>, name: &str, given: &[Tree]) -> Compiled {
        let Some((function, fewest, most)) = functions::find(name) else {
            return Err(CompileError::UnknownFunction(name.to_owned()));
        };
        if !(fewest..=most).contains(&given.len()) {
            return Err(CompileError::Arguments { function: name.to_owned(), fewest, most, found: given.len() });
        }
        let input = on.map_or(Ok(Op::This), |on| self.op(on))?;
        if let (Function::Is | Function::As | Function::OfType, [given]) = (function, given) {
            let Some(kind) = given.type_name() else { return Err(CompileError::UnknownType(String::new())) };
            return self.typed(input, function == Function::Is, &kind);
        }
        let mut given = self.ops(given)?.into_iter();
        let test = |test: Test| Op::Test(Box::new(test));
        Ok(match (function, given.len()) {
            (Function::Exists, 0) => test(Test::Exists(input)),
            (Function::Empty, _) => test(Test::Empty(input)),
            (Function::Not, _) => test(Test::Not(input)),
            (Function::HasValue, _) => test(Test::HasValue(input)),
            (Function::IsDistinct, _) => test(Test::IsDistinct(input)),
            (Function::StartsWith | Function::EndsWith | Function::Contains | Function::Matches, 1) => {
                let Some(one) = given.next() else { return Err(CompileError::TooDeep) };
                text_test(function, input, one)?
            }
            (Function::First, _) => Op::Part(Box::new(input), Part::First),
            (Function::Last, _) => Op::Part(Box::new(input), Part::Last),
            (Function::Tail, _) => Op::Part(Box::new(input), Part::Tail),
            // It is for whoever looks for a fault in an expression.
            (Function::Trace, _) => input,
            (Function::Children, _) => Op::Children(Box::new(input)),
            (Function::Descendants, _) => Op::Descendants(Box::new(input)),
            (_, 1) => {
                let Some(one) = given.next() else { return Err(CompileError::TooDeep) };
                self.call_with_one(function, input, one)?
            }
            _ => call_of(function, input, given.collect())?,
        })
    }

    fn call_with_one(&self, function: Function, input: Op, given: Op) -> Compiled {
        Ok(match function {
            Function::Exists => Op::Test(Box::new(Test::ExistsWhere(input, given))),
            Function::All => Op::Test(Box::new(Test::All(input, given))),
            Function::Where => Op::Where(Box::new(input), Box::new(given)),
            Function::Select => Op::Select(Box::new(input), Box::new(given)),
            Function::Extension => {
                let Op::Path(start, members) = self.path(input, "extension")? else {
                    return Err(CompileError::TooDeep);
                };
                Op::Extension(Box::new(Op::Path(start, members)), Box::new(given))
            }
            Function::Skip => Op::Part(Box::new(input), Part::Skip(Box::new(given))),
            Function::Take => Op::Part(Box::new(input), Part::Take(Box::new(given))),
            Function::Union => union(vec![input, given]),
            function => call_of(function, input, vec![given])?,
        })
    }

    fn many(&self, operator: Operator, parts: &[Tree]) -> Compiled {
        let mut parts = self.ops(parts)?;
        if matches!(operator, Operator::Or | Operator::And) {
            // One part may decide alone, whichever it is.
            parts.sort_by_key(|part| !is_quick(part));
        }
        Ok(match operator {
            Operator::Or => Op::Test(Box::new(Test::Or(parts))),
            Operator::And => Op::Test(Box::new(Test::And(parts))),
            _ => union(parts),
        })
    }

    fn binary(&self, operator: Operator, left: &Tree, right: &Tree) -> Compiled {
        let (left, right) = (self.op(left)?, self.op(right)?);
        let test = match operator {
            Operator::Implies => Test::Implies(left, right),
            Operator::Xor => Test::Xor(left, right),
            Operator::In => among(left, right),
            Operator::Contains => Test::In(right, left),
            Operator::Equal => equal(left, right, true),
            Operator::Unequal => equal(left, right, false),
            Operator::Equivalent => Test::Equivalent(left, right, true),
            Operator::Inequivalent => Test::Equivalent(left, right, false),
            Operator::Less => Test::Order(Order::Less, left, right),
            Operator::LessOrEqual => Test::Order(Order::LessOrEqual, left, right),
            Operator::Greater => Test::Order(Order::Greater, left, right),
            Operator::GreaterOrEqual => Test::Order(Order::GreaterOrEqual, left, right),
            Operator::Plus => return Ok(reckon(Reckoning::Plus, left, right)),
            Operator::Minus => return Ok(reckon(Reckoning::Minus, left, right)),
            Operator::Concat => return Ok(reckon(Reckoning::Concat, left, right)),
            Operator::Times => return Ok(reckon(Reckoning::Times, left, right)),
            Operator::Over => return Ok(reckon(Reckoning::Over, left, right)),
            Operator::Div => return Ok(reckon(Reckoning::Div, left, right)),
            Operator::Mod => return Ok(reckon(Reckoning::Mod, left, right)),
            // They come as rows.
            Operator::Or | Operator::And | Operator::Union => return Err(CompileError::TooDeep),
        };
        Ok(Op::Test(Box::new(test)))
    }
}

fn constant(item: Item<'static>) -> Op {
    Op::Constants(Box::new([Constant::Other(item)]))
}

fn text_constant(text: impl Into<Box<str>>) -> Op {
    Op::Constants(Box::new([Constant::Text(text.into())]))
}

/// `%ucum` and the like (R4 2.9.1 "Using FHIRPath on FHIR resources").
fn environment(name: &str) -> Compiled {
    const FHIR: &str = "http://hl7.org/fhir";
    Ok(match name {
        "context" => Op::Context,
        "resource" => Op::Resource,
        "rootResource" => Op::Root,
        "ucum" => text_constant("http://unitsofmeasure.org"),
        "sct" => text_constant("http://snomed.info/sct"),
        "loinc" => text_constant("http://loinc.org"),
        _ => match (name.strip_prefix("vs-"), name.strip_prefix("ext-")) {
            (Some(id), _) => text_constant(format!("{FHIR}/ValueSet/{id}")),
            (_, Some(id)) => text_constant(format!("{FHIR}/StructureDefinition/{id}")),
            _ => return Err(CompileError::UnknownConstant(format!("%{name}"))),
        },
    })
}

fn sign(inner: Op, negative: bool) -> Op {
    match inner {
        Op::Constants(constants) if negative => match &*constants {
            [Constant::Other(Item::Integer(number))] => constant(Item::Integer(number.saturating_neg())),
            [Constant::Other(Item::Decimal(number))] => constant(Item::Decimal(number.negated())),
            _ => Op::Negative(Box::new(Op::Constants(constants))),
        },
        inner if negative => Op::Negative(Box::new(inner)),
        inner => inner,
    }
}

fn reckon(reckoning: Reckoning, left: Op, right: Op) -> Op {
    Op::Reckon(reckoning, Box::new(left), Box::new(right))
}

/// Texts that differ are a list that need not be made again at each evaluation.
fn union(parts: Vec<Op>) -> Op {
    let texts: Option<Vec<&str>> = parts.iter().map(only_text).collect();
    let Some(mut texts) = texts else { return Op::Union(parts) };
    let mut seen = HashSet::new();
    texts.retain(|text| seen.insert(*text));
    Op::Constants(texts.into_iter().map(|text| Constant::Text(text.into())).collect())
}

fn only_text(op: &Op) -> Option<&str> {
    match op {
        Op::Constants(constants) => match &**constants {
            [Constant::Text(text)] => Some(text),
            _ => None,
        },
        _ => None,
    }
}

fn equal(left: Op, right: Op, wanted: bool) -> Test {
    match (only_text(&left), only_text(&right)) {
        (None, Some(text)) => {
            let text = text.into();
            Test::EqualsText(left, text, wanted)
        }
        (Some(text), None) => {
            let text = text.into();
            Test::EqualsText(right, text, wanted)
        }
        _ if matches!((&left, &right), (Op::Test(_), Op::Test(_))) => Test::SameTruth(left, right, wanted),
        _ => Test::Equal(left, right, wanted),
    }
}

fn among(left: Op, right: Op) -> Test {
    let Op::Constants(constants) = &right else { return Test::In(left, right) };
    let texts: Option<Box<[Box<str>]>> = constants
        .iter()
        .map(|constant| match constant {
            Constant::Text(text) => Some(text.clone()),
            Constant::Other(_) => None,
        })
        .collect();
    match texts {
        Some(texts) => Test::AmongTexts(left, texts),
        None => Test::In(left, right),
    }
}

/// A test for a text that is written in the expression.
fn text_test(function: Function, input: Op, given: Op) -> Compiled {
    let place = match function {
        Function::StartsWith => Place::Start,
        Function::EndsWith => Place::End,
        _ => Place::Anywhere,
    };
    let Some(text) = only_text(&given) else { return call_of(function, input, vec![given]) };
    Ok(Op::Test(Box::new(match function {
        Function::Matches => {
            let found = pattern(text, false).ok_or_else(|| CompileError::Pattern(text.to_owned()))?;
            Test::Matches(input, found)
        }
        _ => Test::HasText(input, place, text.into()),
    })))
}

/// Does it only ask what is there?
fn is_quick(op: &Op) -> bool {
    let Op::Test(test) = op else { return false };
    match &**test {
        Test::Exists(on) | Test::Empty(on) => matches!(on, Op::Path(..)),
        Test::Not(on) => is_quick(on),
        Test::And(parts) | Test::Or(parts) => parts.iter().all(is_quick),
        _ => false,
    }
}

/// A pattern that is written in the expression must be one, and is made once.
fn call_of(function: Function, input: Op, given: Vec<Op>) -> Compiled {
    let is_matching = matches!(function, Function::Matches | Function::MatchesFull | Function::ReplaceMatches);
    let text = given.first().and_then(only_text).filter(|_| is_matching);
    let pattern = match text {
        Some(text) => match pattern(text, function == Function::MatchesFull) {
            Some(found) => Some(found),
            None => return Err(CompileError::Pattern(text.to_owned())),
        },
        None => None,
    };
    Ok(Op::Call(Box::new(Call { function, input, given, pattern })))
}
