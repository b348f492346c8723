//! What extensions of a Questionnaire's items ask of answers (R4 "questionnaire-…", minValue, maxSize and so on).

use std::cmp::Ordering;

use serde_json::Value;

use super::walk::Walk;
use super::*;
use crate::profile::questionnaire::{Limit, Question};

/// Bytes in a megabyte, which `maxSize` counts in.
const MEGABYTE: f64 = 1_048_576.0;

impl Walk<'_, '_> {
    /// How many answers there are, where an extension says how many there may be.
    pub(super) fn counted(&mut self, question: &Question, item: NodeId, count: usize) {
        let bound = |limit| question.limit(limit).find_map(Value::as_u64);
        let count = count as u64;
        if bound(Limit::MinOccurs).is_some_and(|min| count < min) {
            self.wrong(item, "The question takes more answers.");
        }
        if bound(Limit::MaxOccurs).is_some_and(|max| max < count) {
            self.wrong(item, "The question takes fewer answers.");
        }
    }

    /// The value of an answer, against each limit that the question has.
    pub(super) fn limited(&mut self, question: &Question, answer: NodeId, value: NodeId) {
        for (limit, asked) in &question.limits {
            let fault = match limit {
                Limit::MinValue if self.standing(asked, value) == Some(Ordering::Less) => {
                    (value, "The answer is less than the question allows.")
                }
                Limit::MaxValue if self.standing(asked, value) == Some(Ordering::Greater) => {
                    (value, "The answer is more than the question allows.")
                }
                Limit::MaxDecimalPlaces if asked.as_u64().is_some_and(|max| max < self.decimal_places(value)) => {
                    (value, "The answer has more decimal places than the question allows.")
                }
                Limit::MinLength if asked.as_u64().is_some_and(|min| self.length(value).is_some_and(|it| it < min)) => {
                    (value, "The answer is shorter than the question allows.")
                }
                Limit::MaxSize if asked.as_f64().is_some_and(|max| max * MEGABYTE < self.size(value)) => {
                    (answer, "The attachment is larger than the question allows.")
                }
                _ => continue,
            };
            self.wrong(fault.0, fault.1);
        }
        if self.is_none_of(question, Limit::MimeType, self.own(value, "contentType").as_deref()) {
            self.wrong(answer, "The attachment is of none of the media types that the question allows.");
        }
        let reference = self.own(value, "reference");
        if self.is_none_of(question, Limit::ReferenceResource, reference.as_deref().and_then(reference::told_type)) {
            self.wrong(value, "The reference is to none of the types of resources that the question allows.");
        }
    }

    /// Does the question list what there may be, and this not among it?
    fn is_none_of(&self, question: &Question, limit: Limit, own: Option<&str>) -> bool {
        let mut allowed = question.limit(limit).filter_map(Value::as_str).peekable();
        own.is_some_and(|own| allowed.peek().is_some() && allowed.all(|it| it != own))
    }

    fn own(&self, value: NodeId, name: &str) -> Option<Cow<'_, str>> {
        self.tape.string(self.tape.member_named(value, name)?)
    }

    /// Digits after the point, as they are written.
    fn decimal_places(&self, value: NodeId) -> u64 {
        let digits = self.tape.raw(value).split_once('.').map_or("", |(_, after)| after);
        digits.bytes().take_while(u8::is_ascii_digit).count() as u64
    }

    fn length(&self, value: NodeId) -> Option<u64> {
        Some(self.tape.string(value)?.chars().count() as u64)
    }

    /// Bytes of an attachment: what it says, or what it holds.
    fn size(&self, value: NodeId) -> f64 {
        let said = self.tape.member_named(value, "size").and_then(|it| self.tape.raw(it).parse().ok());
        let held = || self.own(value, "data").map_or(0.0, |data| data.len() as f64 * 0.75);
        said.unwrap_or_else(held)
    }
}
