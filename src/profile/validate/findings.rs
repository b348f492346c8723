//! What was found, and how it is told.

use super::*;

/// More problems than this are not listed: a document that has them is not one with mistakes.
pub(super) const FINDINGS_MAX: usize = 500;

/// What a finding is a breach of; written out only where somebody is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// R4's own shape.
    Shape,
    /// A part of a profile's rule: `binding`, `max`; empty for its cardinality.
    Rule(RuleId, &'static str),
    /// An invariant.
    Invariant(InvariantId),
    /// A rule that has a name, but is not in the program.
    Named(Cow<'static, str>),
}

/// One problem.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// Its kind.
    pub code: &'static Code,
    /// Error, warning or information.
    pub severity: Severity,
    /// The value that it is about, or the object in which something is missing.
    pub node: NodeId,
    /// What is missing in that object.
    pub missing: NameId,
    /// What it is a breach of.
    pub(super) rule: Source,
    /// What is expected.
    pub text: Cow<'static, str>,
}

/// All problems of a document, in its order.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// As issues with places.
    pub issues: Issues,
    /// How many checks were made by invariants.
    pub invariants: usize,
}

/// Problems on their way into a [`Report`].
#[derive(Debug, Default)]
pub(super) struct Findings {
    all: Vec<Finding>,
    /// Values of the wrong kind of JSON.
    malformed: Vec<NodeId>,
    errors: usize,
    others: usize,
    /// How many trials are under way, whose findings nobody will see.
    trials: usize,
    /// The worst of what was left out for want of room.
    left_out: Option<Severity>,
    /// Is what is only good practice, or could not be checked, left out?
    brief: bool,
}

/// Where a trial began.
pub(super) struct Mark {
    all: usize,
    malformed: usize,
    errors: usize,
}

impl Source {
    /// `http://hl7.org/fhir/StructureDefinition/Patient#pat-1`; empty for R4's own shape.
    fn name(self, program: &Program) -> Cow<'static, str> {
        match self {
            Self::Shape => Cow::Borrowed(""),
            Self::Rule(rule, "") => Cow::Owned([program.source(rule), "#", &program.rule(rule).id].concat()),
            Self::Rule(rule, part) => {
                Cow::Owned([program.source(rule), "#", &program.rule(rule).id, "/", part].concat())
            }
            Self::Invariant(id) => {
                let invariant = program.invariant(id);
                Cow::Owned([&invariant.source, "#", &invariant.key].concat())
            }
            Self::Named(name) => name,
        }
    }
}

/// Warnings that say what is not known or not usual, and not what is wrong.
const PRACTICE: [&Code; 3] =
    [&crate::issue::PROFILE_UNKNOWN, &crate::issue::CODE_EXTENSIBLE, &crate::issue::QUESTIONNAIRE_UNKNOWN];

impl Findings {
    pub(super) fn new(brief: bool) -> Self {
        Self { brief, ..Self::default() }
    }

    /// Does anybody want to be told of this? A trial only wants to know whether there is an error.
    pub(super) fn wants(&self, code: &'static Code, severity: Severity) -> bool {
        match severity {
            Severity::Error => true,
            // That there are more was told already.
            _ if self.trials != 0 || FINDINGS_MAX < self.others => false,
            Severity::Warning => !(self.brief && PRACTICE.contains(&code)),
            Severity::Information => !self.brief,
        }
    }

    /// Is what is only good practice left out?
    pub(super) fn is_brief(&self) -> bool {
        self.brief
    }

    /// Errors and all others have room of their own, so that many warnings hide no error and make none.
    pub(super) fn push(&mut self, finding: Finding) {
        if !self.wants(finding.code, finding.severity) {
            return;
        }
        let count = if finding.severity == Severity::Error { &mut self.errors } else { &mut self.others };
        *count += 1;
        if self.trials == 0 && FINDINGS_MAX < *count {
            self.left_out = self.left_out.max(Some(finding.severity));
            return;
        }
        if finding.code == &crate::issue::ELEMENT_TYPE {
            self.malformed.push(finding.node);
        }
        self.all.push(finding);
    }

    /// Is there a value of the wrong kind of JSON among these?
    pub(super) fn is_malformed(&self, from: NodeId, until: NodeId) -> bool {
        self.malformed.iter().any(|node| from <= *node && *node < until)
    }

    /// How many errors there are.
    pub(super) fn errors(&self) -> usize {
        self.errors
    }

    /// From here on nothing is told, until [`Self::end`].
    pub(super) fn begin(&mut self) -> Mark {
        self.trials += 1;
        Mark { all: self.all.len(), malformed: self.malformed.len(), errors: self.errors }
    }

    /// Forgets what was found since, and says whether there was no error in it.
    pub(super) fn end(&mut self, mark: Mark) -> bool {
        let sound = self.errors == mark.errors;
        self.all.truncate(mark.all);
        self.malformed.truncate(mark.malformed);
        self.errors = mark.errors;
        self.trials -= 1;
        sound
    }

    /// In the order of the document; what is missing in an object comes after what is there.
    pub(super) fn ordered(mut self, tape: &Tape<'_>) -> (Vec<Finding>, Option<Severity>) {
        self.all.sort_by_key(|finding| match finding.missing.is_known() {
            true => (tape.next(finding.node), false),
            false => (finding.node, true),
        });
        let same = |one: &mut Finding, other: &mut Finding| {
            one.code == other.code
                && one.node == other.node
                && one.missing == other.missing
                && one.rule == other.rule
                && one.text == other.text
        };
        self.all.dedup_by(same);
        (self.all, self.left_out)
    }
}

impl walk::Walk<'_, '_> {
    /// The problems with their places.
    pub(super) fn report(self) -> Report {
        let Self { validator, program, tape, types, found, evaluated, .. } = self;
        let (findings, left_out) = found.ordered(tape);
        let mut issues = Issues::default();
        let nodes: Vec<NodeId> = findings.iter().map(|finding| finding.node).collect();
        let positions = tape.lines_columns(&nodes);
        for (finding, (line, column)) in findings.into_iter().zip(positions) {
            // What is missing has no place of its own: it is told of what should have it (R4 OperationOutcome.issue.expression).
            let at = place::of(validator.facts, tape, &types, finding.node);
            issues.push(
                Issue { severity: finding.severity, ..Issue::with(finding.code, at, finding.text) }
                    .at_line(line, column)
                    .by_rule(finding.rule.name(program)),
            );
        }
        if let Some(severity) = left_out {
            let text = "There are more problems than are listed: mend these first.";
            issues.push(Issue { severity, ..Issue::with(&crate::issue::TOO_MANY_ISSUES, "", text) });
        }
        Report { issues, invariants: evaluated }
    }
}
