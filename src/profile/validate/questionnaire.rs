//! Questionnaires, and responses against theirs: known questions in their order, answers of the right type, none where
//! the question is not enabled, all that are required (R4 6.4, 6.5). The Questionnaire is looked for in what the response
//! contains, in its Bundle, and in the loaded packages.

use foldhash::{HashMap, HashSet};
use std::cell::{Cell, OnceCell};
use std::cmp::Ordering;
use std::ops::Deref;

use serde_json::Value;

use super::findings::Source;
use super::walk::Walk;
use super::*;
use crate::fhir::tape::Kind as Json;
use crate::issue;
use crate::profile::program::Exact;
use crate::profile::questionnaire::{Condition, Form, Question};

/// Conditions look at this many answers of a response, and no more: each may look at all of them.
const LOOKS_MAX: usize = 200_000;

/// Questionnaires of the document.
#[derive(Debug, Default)]
pub(super) struct Forms {
    /// Those of the Bundle, by their URLs.
    bundled: OnceCell<HashMap<String, NodeId>>,
    read: HashMap<NodeId, Option<Arc<Form>>>,
}

/// A Questionnaire of a package, or of the document.
enum Found<'v> {
    Loaded(&'v Form),
    Here(Arc<Form>),
}

impl Deref for Found<'_> {
    type Target = Form;

    fn deref(&self) -> &Form {
        match self {
            Self::Loaded(form) => form,
            Self::Here(form) => form,
        }
    }
}

/// A response on its way through its Questionnaire.
struct Filled<'f> {
    form: &'f Form,
    /// The link ids of all its questions.
    known: OnceCell<HashSet<&'f str>>,
    /// What is missing may still come.
    in_progress: bool,
    /// Where each question stands, by its link id; in the order of the document.
    by_link: HashMap<Cow<'f, str>, Vec<NodeId>>,
    /// What the current question is within; the response first.
    above: Vec<NodeId>,
    /// How many answers conditions looked at.
    looks: Cell<usize>,
}

impl Filled<'_> {
    /// Were there more answers to look at than is looked at? Then nobody can tell what is enabled.
    fn is_spent(&self) -> bool {
        LOOKS_MAX < self.looks.get()
    }

    /// Has the questionnaire such a question anywhere?
    fn is_known(&self, link: &str) -> bool {
        self.known.get_or_init(|| self.form.link_ids()).contains(link)
    }
}

impl<'v, 't> Walk<'v, 't> {
    /// Questions that depend on each other (R4 6.4.4 "enableWhen").
    pub(super) fn questionnaire(&mut self, node: NodeId) {
        let by_link = self.by_link(node);
        let tape = self.tape;
        let mut found = Vec::new();
        for item in by_link.values().flatten().copied() {
            let conditions = tape.member_named(item, "enableWhen").into_iter();
            for condition in conditions.flat_map(|list| tape.children(list)) {
                let Some(link) = tape.member_named(condition, "question").and_then(|it| tape.string(it)) else {
                    continue;
                };
                let target = by_link.get(&*link).and_then(|items| items.first()).copied();
                let (severity, text) = match target {
                    None => (Severity::Error, "There is no question of the link id that its enableWhen names."),
                    Some(target) if target == item => {
                        (Severity::Error, "Whether a question is enabled cannot depend on its own answer.")
                    }
                    Some(target) if tape.holds(item, target) => {
                        (Severity::Error, "Whether a question is enabled cannot depend on a question within it.")
                    }
                    Some(target) if item < target => {
                        (Severity::Warning, "Whether the question is enabled depends on one that comes after it.")
                    }
                    Some(_) => continue,
                };
                found.push((item, severity, text));
            }
        }
        for (item, severity, text) in found {
            self.unfit(item, severity, text);
        }
    }

    /// The items below a resource, by their link ids.
    fn by_link(&self, node: NodeId) -> HashMap<Cow<'t, str>, Vec<NodeId>> {
        let tape = self.tape;
        let link_id = self.facts.names().find("linkId");
        let mut found: HashMap<Cow<'t, str>, Vec<NodeId>> = HashMap::default();
        let items = tape.member_named(node, "item").into_iter().flat_map(|list| list.0..tape.next(list).0);
        for at in items.map(NodeId).filter(|at| tape.name(*at) == link_id) {
            if let (Some(link), Some(item)) = (tape.string(at), tape.parent(at)) {
                found.entry(link).or_default().push(item);
            }
        }
        found
    }

    fn unfit(&mut self, node: NodeId, severity: Severity, text: &'static str) {
        self.told(&issue::QUESTIONNAIRE, severity, node, NameId::UNKNOWN, Source::Shape, text.into());
    }

    pub(super) fn wrong(&mut self, node: NodeId, text: &'static str) {
        self.unfit(node, Severity::Error, text);
    }

    /// The answers of a response.
    pub(super) fn response(&mut self, node: NodeId) {
        let tape = self.tape;
        let Some(at) = tape.member_named(node, "questionnaire") else { return };
        let Some(canonical) = tape.string(at) else { return };
        let Some(form) = self.form(node, &canonical) else {
            let code = &issue::QUESTIONNAIRE_UNKNOWN;
            return self.told(code, code.severity, at, NameId::UNKNOWN, Source::Shape, code.meaning.into());
        };
        let status = tape.member_named(node, "status").map(|status| tape.raw(status));
        let in_progress = status == Some("in-progress");
        let by_link = self.by_link(node);
        let mut filled = Filled {
            form: &form,
            known: OnceCell::new(),
            in_progress,
            by_link,
            above: Vec::new(),
            looks: Cell::new(0),
        };
        self.level(&mut filled, &form.questions, node);
        if filled.is_spent() {
            let text = "There are too many answers to evaluate all conditions of the questionnaire.";
            self.told(
                &issue::INVARIANT_NOT_CHECKED,
                Severity::Warning,
                node,
                NameId::UNKNOWN,
                Source::Shape,
                text.into(),
            );
        }
    }

    fn form(&mut self, node: NodeId, canonical: &str) -> Option<Found<'v>> {
        let here = if canonical.starts_with('#') { self.resolve(node, canonical) } else { self.bundled(canonical) };
        let validator = self.validator;
        let Some(here) = here else { return validator.packages.questionnaire(canonical).map(Found::Loaded) };
        let tape = self.tape;
        let read = || tape.source().get(tape.span(here)).and_then(|text| serde_json::from_str(text).ok()).map(Arc::new);
        self.references.forms.read.entry(here).or_insert_with(read).clone().map(Found::Here)
    }

    /// The Questionnaire of the Bundle that has this URL.
    fn bundled(&self, canonical: &str) -> Option<NodeId> {
        let (url, version) = canonical.split_once('|').map_or((canonical, None), |(url, version)| (url, Some(version)));
        let (names, tape) = (self.validator.names(), self.tape);
        let text = |node, name| tape.member(node, name).and_then(|found| tape.string(found));
        let bundled = self.references.forms.bundled.get_or_init(|| {
            let resources = self.entries().iter().filter_map(|entry| tape.member(*entry, names.resource));
            let is_one =
                |node: &NodeId| self.told_type(*node).is_some_and(|id| self.facts.of(id).name == "Questionnaire");
            resources.filter(is_one).filter_map(|node| Some((text(node, names.url)?.into_owned(), node))).collect()
        });
        let found = bundled.get(url).copied()?;
        let is_right = |version: &str| text(found, names.version).is_none_or(|own| own == version);
        version.is_none_or(is_right).then_some(found)
    }

    /// The items in one holder: the response, a group, an answer.
    fn level(&mut self, filled: &mut Filled<'_>, questions: &[Question], holder: NodeId) {
        let tape = self.tape;
        let links: HashMap<&str, usize> =
            questions.iter().enumerate().map(|(index, question)| (question.link_id.as_str(), index)).collect();
        let mut given: Vec<Vec<NodeId>> = vec![Vec::new(); questions.len()];
        let mut last = 0;
        let items = tape.member_named(holder, "item").into_iter().flat_map(|list| tape.children(list));
        for item in items.filter(|item| tape.kind(*item) == Json::Object) {
            let Some(link) = tape.member_named(item, "linkId").and_then(|link| tape.string(link)) else { continue };
            match links.get(&*link).copied() {
                Some(index) => {
                    if index < last {
                        self.wrong(item, "The items do not stand in the order of the questionnaire.");
                    }
                    last = last.max(index);
                    given[index].push(item);
                }
                None if filled.is_known(&link) => {
                    self.wrong(item, "The questionnaire has this question in another group.");
                }
                None => self.wrong(item, "The questionnaire has no question of this link id."),
            }
        }
        filled.above.push(holder);
        for (question, items) in questions.iter().zip(&given) {
            self.question(filled, question, items, holder);
        }
        filled.above.pop();
    }

    /// All items of one question in one holder.
    fn question(&mut self, filled: &mut Filled<'_>, question: &Question, items: &[NodeId], holder: NodeId) {
        let enabled = self.is_enabled(filled, question);
        if items.is_empty() && enabled && question.required && question.is_asked() && !filled.is_spent() {
            self.unanswered(filled, holder);
        }
        if let [_, second, ..] = items
            && !question.repeats
        {
            self.wrong(*second, "The question may be there only once.");
        }
        for item in items {
            if enabled {
                self.filled_item(filled, question, *item);
            } else if self.has_answer(*item) {
                self.wrong(*item, "The question has an answer, and is not enabled by those to others.");
            }
        }
    }

    fn unanswered(&mut self, filled: &Filled<'_>, node: NodeId) {
        let severity = if filled.in_progress { Severity::Warning } else { Severity::Error };
        self.unfit(node, severity, "A question that is required has no answer.");
    }

    fn has_answer(&self, item: NodeId) -> bool {
        let answer = self.facts.names().find("answer");
        (item.0..self.tape.next(item).0).any(|at| self.tape.name(NodeId(at)) == answer)
    }

    fn filled_item(&mut self, filled: &mut Filled<'_>, question: &Question, item: NodeId) {
        let tape = self.tape;
        let answers: Vec<NodeId> =
            tape.member_named(item, "answer").into_iter().flat_map(|list| tape.children(list)).collect();
        if matches!(question.kind.as_str(), "group" | "display") {
            if !answers.is_empty() {
                self.wrong(item, "Only questions have answers: groups and texts have none.");
            }
            if question.required && question.is_asked() && tape.member_named(item, "item").is_none() {
                self.unanswered(filled, item);
            }
            return if question.is_asked() {
                self.level(filled, &question.questions, item)
            };
        }
        if tape.member_named(item, "item").is_some() {
            self.wrong(item, "Items within a question stand in its answer.");
        }
        if answers.is_empty() && question.required {
            self.unanswered(filled, item);
        }
        if 1 < answers.len() && !question.repeats {
            self.wrong(item, "The question takes one answer only.");
        }
        self.counted(question, item, answers.len());
        filled.above.push(item);
        let is_one_of_many = 1 < answers.len();
        for answer in answers {
            self.answer(question, answer, is_one_of_many);
            self.level(filled, &question.questions, answer);
        }
        filled.above.pop();
    }

    /// The value of an answer: of the right type, of a length that fits, one of those to choose from.
    fn answer(&mut self, question: &Question, answer: NodeId, is_one_of_many: bool) {
        let Some((kind, value)) = self.answered(answer) else { return };
        if !question.takes(&kind) {
            return self.wrong(answer, "The answer is not of the type that the question asks for.");
        }
        let text = || self.tape.string(value).map_or(0, |text| text.chars().count());
        if question.max_length.is_some_and(|max| kind == "String" && max < text()) {
            self.wrong(answer, "The answer is longer than the question allows.");
        }
        let is_option = |it: &crate::profile::questionnaire::Typed| {
            it.value().is_some_and(|(own, option)| own == kind && self.is_same(own, option, value))
        };
        let options = &question.answer_option;
        let option = options.iter().find(|it| is_option(it));
        if question.kind != "open-choice" && !options.is_empty() && option.is_none() {
            let place = if question.kind == "choice" { answer } else { value };
            self.wrong(place, "The answer is none of those that the question lists.");
        }
        if is_one_of_many && option.is_some_and(crate::profile::questionnaire::Typed::is_exclusive) {
            self.wrong(answer, "The answer goes with no other.");
        }
        self.limited(question, answer, value);
    }

    /// Type and value of an answer.
    fn answered(&self, answer: NodeId) -> Option<(String, NodeId)> {
        let tape = self.tape;
        tape.children(answer).find_map(|child| {
            let key = tape.key(child);
            Some((key.strip_prefix("value").filter(|kind| !kind.is_empty())?.to_owned(), child))
        })
    }

    /// May the question be answered? "the logic for determining whether an item is enabled" (R4 6.4.4.2).
    fn is_enabled(&self, filled: &Filled<'_>, question: &Question) -> bool {
        let mut conditions = question.enable_when.iter();
        match question.enable_behavior.as_deref() {
            _ if question.enable_when.is_empty() => true,
            Some("any") => conditions.any(|condition| self.holds(filled, condition)),
            _ => conditions.all(|condition| self.holds(filled, condition)),
        }
    }

    fn holds(&self, filled: &Filled<'_>, condition: &Condition) -> bool {
        if filled.is_spent() {
            return true;
        }
        let answers = self.answers_to(filled, &condition.question);
        filled.looks.set(filled.looks.get() + answers.len());
        let Some((kind, wanted)) = condition.answer.value() else { return true };
        let mut values = answers.into_iter().filter_map(|answer| self.answered(answer)).peekable();
        let is = |order: &dyn Fn(Ordering) -> bool, value| self.standing(wanted, value).is_some_and(order);
        match condition.operator.as_str() {
            "exists" => wanted.as_bool() == Some(values.peek().is_some()),
            // "no answer has a value that is equal": of one that was given.
            "!=" => values.peek().is_some() && !values.any(|(_, value)| self.is_same(kind, wanted, value)),
            "=" => values.any(|(_, value)| self.is_same(kind, wanted, value)),
            ">" => values.any(|(_, value)| is(&Ordering::is_gt, value)),
            "<" => values.any(|(_, value)| is(&Ordering::is_lt, value)),
            ">=" => values.any(|(_, value)| is(&Ordering::is_ge, value)),
            "<=" => values.any(|(_, value)| is(&Ordering::is_le, value)),
            // What cannot be told forbids nothing.
            _ => true,
        }
    }

    /// Answers to a question: those in the nearest of what the current one is within, as groups may repeat.
    fn answers_to(&self, filled: &Filled<'_>, link: &str) -> Vec<NodeId> {
        let tape = self.tape;
        let Some(items) = filled.by_link.get(link) else { return Vec::new() };
        let within = |holder: &NodeId| {
            let end = tape.next(*holder);
            let found = &items[items.partition_point(|item| item < holder)..items.partition_point(|item| *item < end)];
            (!found.is_empty()).then_some(found)
        };
        let nearest = filled.above.iter().rev().find_map(within).unwrap_or_default();
        let answers = nearest.iter().filter_map(|item| tape.member_named(*item, "answer"));
        answers.flat_map(|list| tape.children(list)).collect()
    }

    /// A Coding is the same where its code is, and its system as far as both say one.
    fn is_same(&self, kind: &str, wanted: &Value, value: NodeId) -> bool {
        if kind != "Coding" {
            return self.standing(wanted, value) == Some(Ordering::Equal) || Exact::of(wanted).is(self.tape, value);
        }
        let own = |name: &str| self.tape.member_named(value, name).and_then(|found| self.tape.string(found));
        let wanted = |name: &str| wanted.get(name).and_then(Value::as_str);
        let both = own("system").zip(wanted("system"));
        own("code").as_deref() == wanted("code") && both.is_none_or(|(own, wanted)| own == wanted)
    }

    /// How an answer stands to a value; `None` where they have no order.
    pub(super) fn standing(&self, wanted: &Value, value: NodeId) -> Option<Ordering> {
        let is_time = |text: &str| text.as_bytes().get(2) == Some(&b':');
        match (wanted.as_str(), self.tape.string(value)) {
            (Some(wanted), Some(own)) if is_time(wanted) && is_time(&own) => Some((*own).cmp(wanted)),
            _ => self.compared(value, &Exact::of(wanted)),
        }
    }
}
