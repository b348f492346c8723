//! What a Questionnaire asks, as far as answers can be held to it (R4 6.4 Questionnaire).

use foldhash::HashSet;

use serde::Deserialize;
use serde_json::{Map, Value};

/// A Questionnaire. Texts and display are not held.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Form {
    /// Canonical URL; empty where it has none.
    pub url: String,
    /// Business version.
    pub version: Option<String>,
    /// The questions, in their order.
    #[serde(rename = "item")]
    pub questions: Vec<Question>,
}

/// `Questionnaire.item`: a question, a group or a text to show.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Question {
    /// Unique within the questionnaire.
    pub link_id: String,
    /// `group`, `display`, `boolean`, `choice` and so on.
    #[serde(rename = "type")]
    pub kind: String,
    /// Must it be answered?
    pub required: bool,
    /// May it have several answers, or may the group be there several times?
    pub repeats: bool,
    /// Longest text, in characters; nothing else has a length.
    pub max_length: Option<usize>,
    /// When it may be answered; always where there is none.
    pub enable_when: Vec<Condition>,
    /// `all` or `any` of the conditions.
    pub enable_behavior: Option<String>,
    /// The answers to choose from.
    pub answer_option: Vec<Typed>,
    /// Questions that belong to this one.
    #[serde(rename = "item")]
    pub questions: Vec<Question>,
    /// What extensions ask of the answers.
    #[serde(rename = "extension", deserialize_with = "limits")]
    pub limits: Vec<(Limit, Value)>,
}

/// What an extension asks of answers, or of how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "R4 documents the extensions; the names are theirs")]
pub enum Limit {
    MaxDecimalPlaces,
    MaxOccurs,
    MaxSize,
    MaxValue,
    MimeType,
    MinLength,
    MinOccurs,
    MinValue,
    ReferenceResource,
}

/// The extensions of R4 that say them, below `http://hl7.org/fhir/StructureDefinition/`.
const LIMITS: [(&str, Limit); 9] = [
    ("maxDecimalPlaces", Limit::MaxDecimalPlaces),
    ("maxSize", Limit::MaxSize),
    ("maxValue", Limit::MaxValue),
    ("mimeType", Limit::MimeType),
    ("minLength", Limit::MinLength),
    ("minValue", Limit::MinValue),
    ("questionnaire-maxOccurs", Limit::MaxOccurs),
    ("questionnaire-minOccurs", Limit::MinOccurs),
    ("questionnaire-referenceResource", Limit::ReferenceResource),
];

/// Each answer is held to all limits of its question: no more than these are read.
const LIMITS_MAX: usize = 64;

/// The extension of an answer that goes with no other.
const EXCLUSIVE: &str = "http://hl7.org/fhir/StructureDefinition/questionnaire-optionExclusive";

fn limits<'d, D: serde::Deserializer<'d>>(from: D) -> Result<Vec<(Limit, Value)>, D::Error> {
    // An extension that is malformed is told of elsewhere, and limits nothing.
    let Value::Array(extensions) = Value::deserialize(from)? else { return Ok(Vec::new()) };
    let limit = |extension: Value| {
        let Value::Object(extension) = extension else { return None };
        let name = extension.get("url")?.as_str()?.strip_prefix("http://hl7.org/fhir/StructureDefinition/")?;
        let (_, limit) = LIMITS.iter().find(|(own, _)| *own == name)?;
        Some((*limit, Typed(extension).value()?.1.clone()))
    };
    Ok(extensions.into_iter().filter_map(limit).take(LIMITS_MAX).collect())
}

/// `Questionnaire.item.enableWhen`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Condition {
    /// The question whose answer decides.
    pub question: String,
    /// `exists`, `=`, `!=`, `>`, `<`, `>=`, `<=`
    pub operator: String,
    /// `answer[x]`
    #[serde(flatten)]
    pub answer: Typed,
}

/// The members of an object, one of which is a choice of types.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Typed(Map<String, Value>);

impl Typed {
    /// Type and value of `value[x]` or `answer[x]`: `Boolean` and `true`.
    pub fn value(&self) -> Option<(&str, &Value)> {
        self.0.iter().find_map(|(name, value)| {
            let kind = name.strip_prefix("value").or_else(|| name.strip_prefix("answer"))?;
            Some((kind, value))
        })
    }

    /// Is it an answer that goes with no other?
    pub fn is_exclusive(&self) -> bool {
        let extensions = self.0.get("extension").and_then(Value::as_array);
        extensions.into_iter().flatten().any(|it| it["url"] == EXCLUSIVE && it["valueBoolean"] == true)
    }
}

impl Form {
    /// The link ids of all questions.
    pub fn link_ids(&self) -> HashSet<&str> {
        fn collect<'f>(questions: &'f [Question], found: &mut HashSet<&'f str>) {
            for question in questions {
                found.insert(&question.link_id);
                collect(&question.questions, found);
            }
        }
        let mut found = HashSet::default();
        collect(&self.questions, &mut found);
        found
    }
}

impl Question {
    /// All that is said of one limit.
    pub fn limit(&self, limit: Limit) -> impl Iterator<Item = &Value> {
        self.limits.iter().filter(move |(own, _)| *own == limit).map(|(_, value)| value)
    }

    /// Does it ask anything?
    pub fn is_asked(&self) -> bool {
        self.kind != "display"
    }

    /// Is an answer of this type (`Coding` of `valueCoding`) one that can be given?
    pub fn takes(&self, answer: &str) -> bool {
        let own = match self.kind.as_str() {
            "string" | "text" => "String",
            "url" => "Uri",
            "boolean" => "Boolean",
            "decimal" => "Decimal",
            "integer" => "Integer",
            "date" => "Date",
            "dateTime" => "DateTime",
            "time" => "Time",
            "attachment" => "Attachment",
            "reference" => "Reference",
            "quantity" => "Quantity",
            // Options may be of other types than Coding, and those of a value set cannot be seen here.
            "choice" | "open-choice" => {
                let is_option = self.answer_option.iter().any(|it| it.value().is_some_and(|(kind, _)| kind == answer));
                return answer == "Coding" || is_option || (answer == "String" && self.kind == "open-choice");
            }
            _ => return true,
        };
        own == answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_takes_codes_and_what_its_options_are() {
        let question = |json: &str| serde_json::from_str::<Question>(json).unwrap();
        let options = question(r#"{"type": "choice", "answerOption": [{"valueInteger": 1, "initialSelected": true}]}"#);
        assert!(options.takes("Integer") && options.takes("Coding") && !options.takes("String"));
        assert!(question(r#"{"type": "open-choice"}"#).takes("String"));
        let condition: Condition =
            serde_json::from_str(r#"{"question": "a", "operator": "=", "answerDate": "2024"}"#).unwrap();
        assert_eq!(condition.answer.value(), Some(("Date", &Value::from("2024"))));
    }
}
