//! Single faults made from a sound resource, each with the code and place that must be told for it.

use onward::issue::{self, Code};
use onward::profile::facts::{Element, Facts, Field, Kind, Type, r4};
use onward::profile::primitive::Primitive;
use serde_json::{Value, json};

/// One fault.
#[derive(Debug)]
pub(crate) struct Mutant {
    /// How it was made.
    pub(crate) rule: &'static str,
    /// What must be told.
    pub(crate) code: &'static Code,
    /// And where.
    pub(crate) at: String,
}

/// Where the maker stands in the resource: as JSON pointer and as FHIRPath.
#[derive(Clone)]
struct Spot {
    pointer: String,
    place: String,
}

impl Spot {
    fn name(&self, key: &str, element: &str) -> Spot {
        Spot { pointer: format!("{}/{key}", self.pointer), place: format!("{}.{element}", self.place) }
    }

    fn index(&self, index: usize) -> Spot {
        Spot { pointer: format!("{}/{index}", self.pointer), place: format!("{}[{index}]", self.place) }
    }
}

struct Maker<'m> {
    facts: &'static Facts,
    whole: &'m Value,
    tell: &'m mut dyn FnMut(Mutant, &Value),
}

/// Makes every mutant of a resource.
pub(crate) fn of(resource: &Value, tell: &mut dyn FnMut(Mutant, &Value)) {
    let name = resource["resourceType"].as_str().unwrap();
    let root = Spot { pointer: String::new(), place: name.to_owned() };
    let mut maker = Maker { facts: r4(), whole: resource, tell };
    maker.object(&root, r4().resource(name).unwrap());
}

impl Maker<'_> {
    fn at(&self, spot: &Spot) -> &Value {
        self.whole.pointer(&spot.pointer).unwrap()
    }

    fn make(
        &mut self,
        rule: &'static str,
        code: &'static Code,
        at: &str,
        change: impl FnOnce(&mut Value),
        spot: &Spot,
    ) {
        let mut mutated = self.whole.clone();
        change(mutated.pointer_mut(&spot.pointer).unwrap());
        (self.tell)(Mutant { rule, code, at: at.to_owned() }, &mutated);
    }

    fn replace(&mut self, rule: &'static str, code: &'static Code, spot: &Spot, value: Value) {
        self.make(rule, code, &spot.place, |old| *old = value, spot);
    }

    fn object(&mut self, spot: &Spot, kind: &'static Type) {
        let unknown = format!("{}.zzUnknown", spot.place);
        self.make("unknown element", &issue::ELEMENT_UNKNOWN, &unknown, |old| old["zzUnknown"] = json!(1), spot);
        let keys: Vec<String> = self.at(spot).as_object().unwrap().keys().cloned().collect();
        for key in keys.iter().filter(|key| !key.starts_with('_') && *key != "resourceType") {
            let (field, _) = r4().field(kind, key).unwrap();
            self.member(spot, kind, key, field);
        }
    }

    fn member(&mut self, parent: &Spot, kind: &'static Type, key: &str, field: &'static Field) {
        let element = kind.element(field);
        let spot = parent.name(key, element.name);
        let lone = self.at(parent).as_object().unwrap().len() == 1;
        if kind.required >> field.element & 1 == 1 && !lone {
            let remove = |old: &mut Value| drop(old.as_object_mut().unwrap().shift_remove(key));
            self.make("required element removed", &issue::ELEMENT_MISSING, &spot.place, remove, parent);
        }
        self.second_choice(parent, kind, key, element, &spot);
        self.replace("null", &issue::ELEMENT_TYPE, &spot, Value::Null);
        let value = self.at(&spot).clone();
        match value {
            Value::Array(items) => self.array(&spot, element, field, &items),
            single => {
                self.replace("array for a single value", &issue::ELEMENT_TYPE, &spot, json!([single]));
                self.replace("repeated single value", &issue::ELEMENT_REPEATS, &spot, json!([single, single]));
                self.value(&spot, element, field);
            }
        }
    }

    fn array(&mut self, spot: &Spot, element: &'static Element, field: &'static Field, items: &[Value]) {
        self.replace("empty array", &issue::ELEMENT_TYPE, spot, json!([]));
        self.replace("single value for an array", &issue::ELEMENT_TYPE, spot, items[0].clone());
        for (index, item) in items.iter().enumerate().filter(|(_, item)| !item.is_null()) {
            let spot = spot.index(index);
            if !self.whole.pointer(&spot.pointer).is_some_and(|same| same == item) {
                continue;
            }
            self.value(&spot, element, field);
        }
    }

    fn second_choice(&mut self, parent: &Spot, kind: &'static Type, key: &str, element: &Element, spot: &Spot) {
        if !element.choice {
            return;
        }
        let of_same = |other: &&Field| std::ptr::eq(kind.element(other), element) && &*other.key != key;
        let other = kind.fields().iter().find(of_same).unwrap();
        let sound = match self.facts.of(other.kind).kind {
            Kind::Primitive(primitive) => sound(primitive),
            _ => json!({"extension": [{"url": "urn:x", "valueCode": "y"}]}),
        };
        let add = |old: &mut Value| old[&*other.key] = sound;
        self.make("second choice", &issue::ELEMENT_REPEATS, &spot.place, add, parent);
    }

    fn value(&mut self, spot: &Spot, element: &'static Element, field: &'static Field) {
        let kind = self.facts.of(field.kind);
        match kind.kind {
            Kind::Primitive(primitive) => self.primitive(spot, element, primitive),
            Kind::Complex => {
                self.replace("wrong type", &issue::ELEMENT_TYPE, spot, json!("text"));
                self.replace("empty object", &issue::ELEMENT_TYPE, spot, json!({}));
                self.object(spot, kind);
            }
            Kind::Resource { .. } => {
                self.replace("wrong type", &issue::ELEMENT_TYPE, spot, json!("text"));
                let name = self.at(spot)["resourceType"].as_str().unwrap().to_owned();
                self.object(spot, self.facts.resource(&name).unwrap());
            }
        }
        if let (Some(_), Kind::Complex) = (element.list, kind.kind) {
            self.replace("unknown code", &issue::CODE_UNKNOWN, spot, json!({"coding": [{"code": "zz"}]}));
        }
    }

    fn primitive(&mut self, spot: &Spot, element: &Element, primitive: Primitive) {
        self.replace("wrong type", &issue::ELEMENT_TYPE, spot, json!({"a": 1}));
        let other = if self.at(spot).is_string() { json!(1) } else { json!("1") };
        self.replace("wrong type", &issue::ELEMENT_TYPE, spot, other);
        for wrong in wrong(primitive) {
            self.replace("wrong format", &issue::VALUE_FORMAT, spot, wrong);
        }
        if element.list.is_some() {
            self.replace("unknown code", &issue::CODE_UNKNOWN, spot, json!("zz-no-code"));
        }
    }
}

fn wrong(primitive: Primitive) -> Vec<Value> {
    use Primitive as P;
    let texts: &[&str] = match primitive {
        P::Boolean | P::Decimal => return Vec::new(),
        P::Integer => return vec![json!(1.5), json!(4_000_000_000_u64)],
        P::PositiveInt => return vec![json!(0), json!(-1)],
        P::UnsignedInt => return vec![json!(-1), json!(0.5)],
        P::String | P::Markdown => &["", "a\u{0}b"],
        P::Code => &["", " a", "a  b"],
        P::Uri | P::Url | P::Canonical => &["", "a b"],
        P::Id => &["", "a b", "a_b"],
        P::Date => &["", "2023-02-29", "2024-01-01T00:00:00Z"],
        P::DateTime => &["", "2023-01-01T25:00:00Z", "2023-01-01T10:00:00"],
        P::Instant => &["", "2023-01-01", "2023-01-01T10:00:00"],
        P::Time => &["", "10:00", "25:00:00"],
        P::Oid => &["", "1.2.3"],
        P::Uuid => &["", "urn:uuid:x"],
        P::Base64Binary => &["", "%%%"],
        P::Xhtml => &["", "text"],
    };
    texts.iter().map(|text| json!(text)).collect()
}

fn sound(primitive: Primitive) -> Value {
    use Primitive as P;
    match primitive {
        P::Boolean => json!(true),
        P::Decimal | P::Integer | P::PositiveInt | P::UnsignedInt => json!(1),
        P::Date | P::DateTime => json!("2024-01-01"),
        P::Instant => json!("2024-01-01T00:00:00Z"),
        P::Time => json!("10:00:00"),
        P::Oid => json!("urn:oid:1.2"),
        P::Uuid => json!("urn:uuid:236bb75d-90ef-461f-b71e-fde7f899802c"),
        P::Base64Binary => json!("QUJD"),
        P::Xhtml => json!("<div/>"),
        P::String | P::Markdown | P::Code | P::Uri | P::Url | P::Canonical | P::Id => json!("a"),
    }
}

/// The value after a JSON Patch of `add`, `remove` and `replace`.
pub(crate) fn patched(value: &Value, patch: &[Value]) -> Value {
    let mut value = value.clone();
    for step in patch {
        let (parent, last) = step["path"].as_str().unwrap().rsplit_once('/').unwrap();
        let removed = step["op"] == "remove";
        match value.pointer_mut(parent).unwrap() {
            Value::Object(members) if removed => drop(members.shift_remove(last)),
            Value::Object(members) => drop(members.insert(last.to_owned(), step["value"].clone())),
            Value::Array(items) if removed => drop(items.remove(last.parse().unwrap())),
            Value::Array(items) if step["op"] == "add" => {
                items.insert(last.parse().unwrap_or(items.len()), step["value"].clone());
            }
            Value::Array(items) => items[last.parse::<usize>().unwrap()] = step["value"].clone(),
            other => panic!("no place for a patch: {other}"),
        }
    }
    value
}
