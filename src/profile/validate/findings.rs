//! What was found, and how it is told.

use super::*;

/// More problems than this are not listed: a document that has them is not one with mistakes.
pub(super) const FINDINGS_MAX: usize = 500;

/// One problem.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Its kind.
    pub code: &'static Code,
    /// Error, warning or information.
    pub severity: Severity,
    /// The value that it is about, or the object in which something is missing.
    pub node: NodeId,
    /// What is missing in that object.
    pub missing: NameId,
    /// The rule, such as `http://hl7.org/fhir/StructureDefinition/Patient#pat-1`; empty for R4's own shape.
    pub rule: Box<str>,
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
    errors: usize,
    /// How many trials are under way, whose findings nobody will see.
    trials: usize,
    overflow: bool,
}

/// Where a trial began.
pub(super) struct Mark {
    all: usize,
    errors: usize,
}

impl Findings {
    pub(super) fn push(&mut self, finding: Finding) {
        self.errors += usize::from(finding.severity == Severity::Error);
        if self.trials == 0 && FINDINGS_MAX <= self.all.len() {
            self.overflow = true;
            return;
        }
        self.all.push(finding);
    }

    /// Is there a value of the wrong kind of JSON among these?
    pub(super) fn is_malformed(&self, from: NodeId, until: NodeId) -> bool {
        let within = |finding: &Finding| from <= finding.node && finding.node < until;
        self.all.iter().any(|finding| finding.code == &crate::issue::ELEMENT_TYPE && within(finding))
    }

    /// How many errors there are.
    pub(super) fn errors(&self) -> usize {
        self.errors
    }

    /// From here on nothing is told, until [`Self::end`].
    pub(super) fn begin(&mut self) -> Mark {
        self.trials += 1;
        Mark { all: self.all.len(), errors: self.errors }
    }

    /// Forgets what was found since, and says whether there was no error in it.
    pub(super) fn end(&mut self, mark: Mark) -> bool {
        let sound = self.errors == mark.errors;
        self.all.truncate(mark.all);
        self.errors = mark.errors;
        self.trials -= 1;
        sound
    }

    /// In the order of the document; what is missing in an object comes after what is there.
    pub(super) fn ordered(mut self, tape: &Tape<'_>) -> (Vec<Finding>, bool) {
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
        (self.all, self.overflow)
    }
}

impl walk::Walk<'_, '_> {
    /// The problems with their places.
    pub(super) fn report(self) -> Report {
        let Self { validator, tape, types, found, evaluated, .. } = self;
        let (findings, overflow) = found.ordered(tape);
        let mut issues = Issues::default();
        let nodes: Vec<NodeId> = findings.iter().map(|finding| finding.node).collect();
        let positions = tape.lines_columns(&nodes);
        for (finding, (line, column)) in findings.into_iter().zip(positions) {
            // What is missing has no place of its own: it is told of what should have it (R4 OperationOutcome.issue.expression).
            let at = place::of(validator.facts, tape, &types, finding.node);
            issues.push(
                Issue { severity: finding.severity, ..Issue::with(finding.code, at, finding.text) }
                    .at_line(line, column)
                    .by_rule(finding.rule),
            );
        }
        if overflow {
            let text = "There are more problems than are listed: mend these first.";
            issues.say(&crate::issue::TOO_MANY_ISSUES, "", text);
        }
        Report { issues, invariants: evaluated }
    }
}
