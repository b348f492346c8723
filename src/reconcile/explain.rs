//! A decision in words and numbers.

use std::fmt::Write;

use serde::Serialize;

use super::Grade;
use super::compare::{ALL, FIELDS};
use super::decide::{Judged, Rule};

/// What one field adds to a decision.
#[derive(Clone, Debug, Serialize)]
pub struct Reason {
    /// The field.
    pub field: &'static str,
    /// How it compares.
    pub level: &'static str,
    /// Bits that it adds, or takes.
    pub bits: f32,
}

/// A decision, explained.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// How sure it is.
    pub grade: Grade,
    /// The rule in words.
    pub rule: &'static str,
    /// All bits together.
    pub score: f32,
    /// Fields that are given on both sides.
    pub reasons: Vec<Reason>,
}

impl Explanation {
    /// Explains a decision. `grade` and `rule` are those after rivals and other records were looked at.
    pub fn new(judged: &Judged, grade: Grade, rule: Rule) -> Self {
        let round = |bits: f32| (bits * 10.0).round() / 10.0;
        let mut reasons = Vec::with_capacity(FIELDS);
        for field in ALL {
            let level = judged.found.level(field);
            if level != 0 {
                let name = field.levels()[usize::from(level)];
                reasons.push(Reason {
                    field: field.as_str(),
                    level: name,
                    bits: round(judged.score.parts[field as usize]),
                });
            }
        }
        Self { grade, rule: rule.sentence(), score: round(judged.score.total), reasons }
    }

    /// In one line.
    pub fn line(&self) -> String {
        let mut line = self.rule.to_owned();
        for reason in &self.reasons {
            // Writing to a String does not fail.
            let _ = write!(line, "; {}: {} ({:+.1})", reason.field, reason.level, reason.bits);
        }
        line
    }
}
