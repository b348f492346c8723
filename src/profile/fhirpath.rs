//! FHIRPath (N1, ANSI/HL7 NMN R1-2020, and R4 2.9 "FHIRPath"): compiled once, run over the spans of a document.
//!
//! [`Compiler`] turns the text of an expression into a program: names are numbers, patterns are made, functions that
//! are not known are refused. [`Expression::holds`] asks an invariant of an element; [`Expression::evaluate`]
//! yields what an expression finds. Nothing is ever fetched: what is outside of the document is asked of the
//! [`Scope`], and what nobody answers is an error, not a "true".
//!
//! * `lexer` and `syntax` read; `functions` lists what there is; `compile` makes the `program`.
//! * `document` is a message as FHIRPath sees it; `item`, [`Decimal`], [`Moment`], [`Quantity`] are its values.
//! * `absence` finds out when nothing needs to be run; `eval` runs, with `equality` for all that compares.

use std::sync::LazyLock;

use jiff::Timestamp;

use crate::fhir::names::NameId;
use crate::fhir::tape::NodeId;
use crate::profile::facts::{Facts, r4};

mod absence;
mod compile;
mod decimal;
mod document;
mod equality;
mod eval;
mod functions;
mod item;
mod lexer;
mod moment;
mod program;
mod quantity;
mod syntax;

pub use self::compile::Compiler;
pub use self::decimal::Decimal;
pub use self::document::{Document, annotate};
pub use self::item::{Item, Items};
pub use self::moment::{Moment, MomentKind, Part as MomentPart};
pub use self::quantity::{Period, Quantity, Unit};

/// Why a text is no expression that can be run. Names are those of the expression, which is no patient's data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// Not in FHIRPath's grammar.
    #[error("at byte {at}: expected {expected}")]
    Syntax {
        /// Offset of the word that does not fit.
        at: usize,
        /// What may stand there.
        expected: &'static str,
    },
    /// A function that is not known here.
    #[error("unknown function {0}()")]
    UnknownFunction(String),
    /// More or fewer arguments than the function takes.
    #[error("{function}() takes {fewest} to {most} arguments, not {found}")]
    Arguments {
        /// Its name.
        function: String,
        /// Fewest.
        fewest: usize,
        /// Most.
        most: usize,
        /// What is there.
        found: usize,
    },
    /// An element that no type of R4 has.
    #[error("no type of FHIR R4 has an element {0}")]
    UnknownElement(String),
    /// A type that is neither FHIR's nor FHIRPath's.
    #[error("unknown type {0}")]
    UnknownType(String),
    /// `%name` or `$name` that is not known.
    #[error("unknown constant {0}")]
    UnknownConstant(String),
    /// Not a regular expression, or one that is too large.
    #[error("not a pattern that can be matched: {0}")]
    Pattern(String),
    /// Nested too deep.
    #[error("the expression is nested too deep")]
    TooDeep,
    /// Too many words.
    #[error("the expression is too long")]
    TooLarge,
}

/// Why an expression has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// Several items where one is expected.
    #[error("several items where one is expected")]
    NotSingle,
    /// An item of a type that the operator or function does not take.
    #[error("an item of a type that cannot be used here")]
    Type,
    /// A pattern that was computed and is none.
    #[error("not a pattern that can be matched")]
    Pattern,
    /// More work than one evaluation may take.
    #[error("more work than one evaluation may take")]
    TooMuchWork,
    /// Needs a terminology or a validator that the scope does not have, or that has no answer.
    #[error("{0}() was not checked")]
    NotChecked(&'static str),
}

/// What an invariant says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nothing: neither true nor false.
    Empty,
    /// It cannot be said.
    Error(EvalError),
}

impl Verdict {
    /// Does it hold as R4 asks (R4 2.1.29, "must evaluate to true")? The reference validator too takes nothing for
    /// false.
    pub fn is_satisfied(self) -> bool {
        self == Self::True
    }

    /// Is it not known to be broken? For whoever gives the benefit of the doubt.
    pub fn is_not_violated(self) -> bool {
        matches!(self, Self::True | Self::Empty)
    }
}

/// Finds what a reference points to, within the same document.
pub trait Resolver {
    /// The resource that `reference` names, seen from the element that has it (R4 2.36.4.1 and 2.3.0.3).
    fn resolve(&self, from: NodeId, reference: &str) -> Option<NodeId>;
}

/// Knows value sets.
pub trait Terminology {
    /// Is the code, Coding or CodeableConcept in the value set? `None` where that is not known.
    fn has_member(&self, document: &Document<'_>, item: &Item<'_>, value_set: &str) -> Option<bool>;
}

/// Knows profiles.
pub trait Profiles {
    /// Does the resource or element conform? `None` where the profile is not known.
    fn conforms(&self, document: &Document<'_>, node: NodeId, profile: &str) -> Option<bool>;
}

/// What an expression is evaluated against.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The document.
    pub document: Document<'a>,
    /// The element that the expression is about: `$this` at its start, and `%context`.
    pub context: NodeId,
    /// The resource that the element is in: `%resource`.
    pub resource: NodeId,
    /// The resource that contains that one, or itself: `%rootResource`.
    pub root: NodeId,
    /// What `now()` and `today()` are.
    pub now: Timestamp,
    /// How much work one evaluation may take; one step is some nanoseconds.
    pub steps_max: u64,
    /// For `resolve()`; without it nothing is found.
    pub resolver: Option<&'a dyn Resolver>,
    /// For `memberOf()`; without it that is an error.
    pub terminology: Option<&'a dyn Terminology>,
    /// For `conformsTo()`; without it that is an error.
    pub profiles: Option<&'a dyn Profiles>,
}

impl<'a> Scope<'a> {
    /// The scope of a resource that is its own context, with nothing outside of it.
    pub fn of(document: Document<'a>, resource: NodeId) -> Self {
        Self {
            document,
            context: resource,
            resource,
            root: resource,
            now: Timestamp::UNIX_EPOCH,
            steps_max: steps_max(document.tape.len()),
            resolver: None,
            terminology: None,
            profiles: None,
        }
    }
}

/// A share of work that every invariant of R4 stays far below, in proportion to the document.
pub fn steps_max(values: usize) -> u64 {
    200_000 + 200 * values as u64
}

/// A compiled expression.
#[derive(Debug)]
pub struct Expression {
    program: program::Op,
}

impl Expression {
    /// Names of members: an object that has none of them meets the expression, whatever else it has. A choice has
    /// several names; a primitive value may be there by what goes with it alone (`_name`).
    pub fn met_without(&self) -> Option<Vec<NameId>> {
        let members = absence::decides(&self.program, true)?;
        let names = members.into_iter().flat_map(|member| member.choices.iter().chain([&member.name]));
        let mut names: Vec<NameId> = names.copied().collect();
        names.sort_unstable();
        names.dedup();
        Some(names)
    }

    /// Compiles one expression.
    pub fn compile(text: &str, facts: &Facts) -> Result<Self, CompileError> {
        static R4: LazyLock<Compiler<'static>> = LazyLock::new(|| Compiler::new(r4()));
        if std::ptr::eq(facts, r4()) { R4.compile(text) } else { Compiler::new(facts).compile(text) }
    }

    /// What the expression finds.
    pub fn evaluate<'a>(&'a self, scope: &Scope<'a>) -> Result<Items<'a>, EvalError> {
        self.evaluate_counting(scope).0
    }

    /// The same with the number of steps that it took.
    pub fn evaluate_counting<'a>(&'a self, scope: &Scope<'a>) -> (Result<Items<'a>, EvalError>, u64) {
        let evaluator = eval::Evaluator::new(scope);
        let context = Item::Node(scope.context);
        let found = evaluator.items(&self.program, eval::At { this: Some(&context), index: None, total: None });
        (found, evaluator.spent())
    }

    /// Does an invariant hold? Several items count as true, as they do in the reference validator.
    pub fn holds(&self, scope: &Scope<'_>) -> Verdict {
        let evaluator = eval::Evaluator::new(scope);
        let context = Item::Node(scope.context);
        let at = eval::At { this: Some(&context), index: None, total: None };
        match evaluator.verdict(&self.program, at) {
            Ok(Some(true)) => Verdict::True,
            Ok(Some(false)) => Verdict::False,
            Ok(None) => Verdict::Empty,
            Err(error) => Verdict::Error(error),
        }
    }
}

#[cfg(test)]
mod tests;
