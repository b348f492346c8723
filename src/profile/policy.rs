//! How bad each finding is, per rule: error, warning or nothing.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::issue::{
    ALL, BUNDLE_ENTRY, CODE_EXTENSIBLE, CODE_NOT_CHECKED, CODE_PREFERRED, CODE_UNKNOWN, Code, ELEMENT_TYPE,
    EXTENSION_CONTEXT, EXTENSION_UNKNOWN, FULL_URL, INVARIANT, Issue, Issues, MARKUP_IN_TEXT, NARRATIVE,
    PROFILE_MISSING, PROFILE_UNKNOWN, QUESTIONNAIRE, REFERENCE_TARGET, SLICE_AMBIGUOUS, SLICE_MISSING, SLICE_ORDER,
    SLICE_UNMATCHED, Severity, VALUE_FIXED,
};

/// How strict to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Everything as R4 and the profiles have it.
    Strict,
    /// As this gateway takes BaRS messages.
    #[default]
    Bars,
    /// Only what cannot be understood is an error.
    Lenient,
}

impl Mode {
    /// Its rows.
    pub fn policy(self) -> Policy {
        match self {
            Self::Strict => Policy::strict(),
            Self::Bars => Policy::bars(),
            Self::Lenient => Policy::lenient(),
        }
    }
}

/// What a finding is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The document is refused for it.
    Error,
    /// It is told.
    Warning,
    /// It is not told.
    Off,
}

/// Which findings a row of a policy is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// All of this code.
    Code(&'static Code),
    /// All of this rule; one that ends in `*` stands for all that begin so.
    Rule(String),
}

impl Which {
    /// A code of a finding about content, or a rule; nothing where the text can be neither.
    pub fn parse(text: &str) -> Option<Self> {
        if text.starts_with("ONW-") {
            // What cannot be read, and what is too much, is no matter of taste.
            let is_content = |code: &&&Code| {
                ("ONW-2005".."ONW-3").contains(&code.id) && code.fhir != "too-long" && **code != &ELEMENT_TYPE
            };
            return ALL.iter().filter(is_content).find(|code| code.id == text).map(|code| Self::Code(code));
        }
        let is_rule = text.contains(':') && (text.contains('#') || text.ends_with('*'));
        is_rule.then(|| Self::Rule(text.to_owned()))
    }
}

/// The policy of each partner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    otherwise: Policy,
    own: HashMap<String, Policy>,
}

impl Policies {
    /// One for all, but for those that have their own.
    pub fn new(otherwise: Policy, own: HashMap<String, Policy>) -> Self {
        Self { otherwise, own }
    }

    /// The policy of a partner.
    pub fn of(&self, system: &str) -> &Policy {
        self.own.get(system).unwrap_or(&self.otherwise)
    }
}

/// Rows of which the last that fits counts; what fits none stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    rows: Vec<(Which, Level)>,
}

impl Policy {
    /// Everything as R4 and the profiles have it; what is only preferred is not told.
    pub fn strict() -> Self {
        Self::default().with(Which::Code(&CODE_PREFERRED), Level::Off)
    }

    /// As this gateway takes BaRS messages: what published messages do wrong without harm is told, not refused.
    pub fn bars() -> Self {
        const TOLD: [&Code; 13] = [
            &MARKUP_IN_TEXT,
            &PROFILE_MISSING,
            &PROFILE_UNKNOWN,
            &EXTENSION_UNKNOWN,
            &EXTENSION_CONTEXT,
            &NARRATIVE,
            &QUESTIONNAIRE,
            &SLICE_AMBIGUOUS,
            &SLICE_MISSING,
            &SLICE_ORDER,
            &SLICE_UNMATCHED,
            &VALUE_FIXED,
            &REFERENCE_TARGET,
        ];
        // The standard's own examples name a value set as a system, codes that a code system of R4 does not have yet,
        // types that are none, and languages of the UK Core's own list. Slips in URIs harm nobody.
        const RULES: [&str; 6] = [
            "http://hl7.org/fhir/StructureDefinition/Coding#Coding.system",
            "http://hl7.org/fhir/StructureDefinition/Coding#Coding.code",
            "http://hl7.org/fhir/StructureDefinition/Reference#Reference.type",
            "http://hl7.org/fhir/StructureDefinition/uri#uri",
            "http://hl7.org/fhir/StructureDefinition#Patient.communication.language/maxValueSet",
            "https://fhir.hl7.org.uk/StructureDefinition/UKCore-Patient#Patient.communication.language/maxValueSet",
        ];
        let policy = Self::strict().with(Which::Code(&CODE_NOT_CHECKED), Level::Off);
        let policy = TOLD.iter().fold(policy, |policy, code| policy.with(Which::Code(code), Level::Warning));
        RULES.iter().fold(policy, |policy, rule| policy.with(Which::Rule((*rule).to_owned()), Level::Warning))
    }

    /// Only what cannot be understood is an error.
    pub fn lenient() -> Self {
        const TOLD: [&Code; 5] = [&INVARIANT, &CODE_UNKNOWN, &BUNDLE_ENTRY, &FULL_URL, &CODE_EXTENSIBLE];
        TOLD.iter().fold(Self::bars(), |policy, code| policy.with(Which::Code(code), Level::Warning))
    }

    /// The same with another row.
    pub fn with(mut self, which: Which, level: Level) -> Self {
        self.rows.push((which, level));
        self
    }

    /// The findings as the policy has them.
    pub fn apply(&self, issues: Issues) -> Issues {
        let mut kept = Issues::default();
        for issue in issues.iter() {
            match self.level(issue) {
                None => kept.push(issue.clone()),
                Some(Level::Off) => {}
                Some(Level::Error) => kept.push(Issue { severity: Severity::Error, ..issue.clone() }),
                // What is only information is not made worse by a rule that softens errors.
                Some(Level::Warning) => {
                    kept.push(Issue { severity: issue.severity.min(Severity::Warning), ..issue.clone() });
                }
            }
        }
        kept
    }

    /// Does it make an error of anything?
    pub fn raises(&self) -> bool {
        self.rows.iter().any(|(_, level)| *level == Level::Error)
    }

    fn level(&self, issue: &Issue) -> Option<Level> {
        let fits = |which: &Which| match which {
            Which::Code(code) => *code == issue.code,
            Which::Rule(rule) => match rule.strip_suffix('*') {
                Some(start) => issue.rule.starts_with(start),
                None => *issue.rule == **rule,
            },
        };
        self.rows.iter().rev().find(|(which, _)| fits(which)).map(|(_, level)| *level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_row_that_fits_counts() {
        let issues: Issues = Issue::new(&INVARIANT, "Patient").by_rule("urn:x#p-1").into();
        let level = |policy: Policy| policy.apply(issues.clone()).iter().next().map(|issue| issue.severity);
        assert_eq!(level(Policy::strict()), Some(Severity::Error));
        assert_eq!(level(Policy::lenient()), Some(Severity::Warning));
        let rule = |rule: &str, level| Policy::lenient().with(Which::Rule(rule.to_owned()), level);
        assert_eq!(level(rule("urn:x#p-1", Level::Error)), Some(Severity::Error));
        assert_eq!(level(rule("urn:x#*", Level::Off)), None);
        assert_eq!(level(rule("urn:x#p-2", Level::Off)), Some(Severity::Warning));
    }
}
