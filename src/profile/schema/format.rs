//! Formats of primitive types as patterns; what no pattern can say (leap years, groups of base64) is left out.

use serde_json::{Value, json};

use crate::profile::primitive::Primitive;

const DAY: &str = "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|[12][0-9]))";
const CLOCK: &str = "([01][0-9]|2[0-4]):[0-5][0-9]:([0-5][0-9]|60)(\\.[0-9]+)?";
const OFFSET: &str = "(Z|[+-][0-9]{2}:[0-9]{2})";

/// What a value of this type looks like.
pub(super) fn of(primitive: Primitive) -> Value {
    match primitive {
        Primitive::Boolean => json!({ "type": "boolean" }),
        Primitive::Decimal => json!({ "type": "number" }),
        Primitive::Integer => json!({ "type": "integer", "minimum": i32::MIN, "maximum": i32::MAX }),
        Primitive::UnsignedInt => json!({ "type": "integer", "minimum": 0, "maximum": i32::MAX }),
        Primitive::PositiveInt => json!({ "type": "integer", "minimum": 1, "maximum": i32::MAX }),
        _ => json!({ "type": "string", "minLength": 1, "pattern": pattern(primitive) }),
    }
}

fn pattern(primitive: Primitive) -> String {
    match primitive {
        Primitive::Code => "^[^\\u0000-\\u0020]+([ \\t\\n\\r][^\\u0000-\\u0020]+)*$".to_owned(),
        Primitive::Uri | Primitive::Url | Primitive::Canonical => {
            "^ *[^\\s\\u0000-\\u0020\\u007F-\\u009F]+ *$".to_owned()
        }
        Primitive::Id => "^[A-Za-z0-9.-]{1,64}$".to_owned(),
        Primitive::Instant => format!("^[0-9]{{4}}-{DAY}T{CLOCK}{OFFSET}$"),
        Primitive::Date => format!("^[0-9]{{4}}(-(0[1-9]|1[0-2])|-{DAY})?$"),
        Primitive::DateTime => format!("^[0-9]{{4}}(-(0[1-9]|1[0-2])|-{DAY}(T{CLOCK}{OFFSET})?)?$"),
        Primitive::Time => format!("^{CLOCK}$"),
        Primitive::Oid => "^urn:oid:[0-2](\\.(0|[1-9][0-9]*))+$".to_owned(),
        Primitive::Uuid => "^urn:uuid:[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$".to_owned(),
        Primitive::Base64Binary => "^[0-9A-Za-z+/=\\s]+$".to_owned(),
        Primitive::Xhtml => "^\\s*<div".to_owned(),
        _ => "^[^\\u0000-\\u0008\\u000B\\u000C\\u000E-\\u001F]*$".to_owned(),
    }
}
