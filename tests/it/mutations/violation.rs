//! One violation for each thing that an element says.

use onward::profile::definition::{Element, Max, Strength};
use serde_json::{Value, json};

use super::instance::{Builder, Instance, Step, is_many, keys};

/// A resource with one thing wrong.
pub(super) struct Violation {
    pub(super) kind: &'static str,
    pub(super) resource: Value,
    pub(super) at: String,
}

/// All violations of what an element says, in an instance that has it.
pub(super) fn violations(builder: &Builder<'_>, instance: &Instance, id: &str) -> Vec<Violation> {
    let element = builder.element(id);
    let case = Case { builder, instance, element };
    let mut found = Vec::new();
    if !instance.way.is_empty() {
        found.extend(case.missing());
        found.extend(case.too_many());
        found.extend(case.fixed());
        found.extend(case.wrong_kind());
        found.extend(case.wrong_format());
        found.extend(case.wrong_code());
        found.extend(case.wrong_target());
        found.extend(case.wrong_type());
        found.extend(case.empty());
    }
    found.extend(case.unknown_member());
    found.extend(case.forbidden());
    found.extend(case.invariants());
    found
}

struct Case<'c, 'p> {
    builder: &'c Builder<'p>,
    instance: &'c Instance,
    element: &'c Element,
}

impl Case<'_, '_> {
    fn code(&self) -> &str {
        self.element.types.first().map_or("BackboneElement", |one| one.code.as_str())
    }

    fn is_primitive(&self) -> bool {
        self.code().chars().next().is_some_and(char::is_lowercase)
    }

    fn way(&self) -> &[Step] {
        &self.instance.way
    }

    /// The way to the object that the element is in.
    fn holder(&self) -> &[Step] {
        let key = self.way().iter().rposition(|step| matches!(step, Step::Key(..))).unwrap();
        &self.way()[..key]
    }

    fn key(&self) -> &str {
        let key = self.way().iter().rev().find_map(|step| match step {
            Step::Key(key, _) => Some(key.as_str()),
            Step::Index(_) => None,
        });
        key.unwrap()
    }

    /// The resource with something done to it.
    fn with(&self, kind: &'static str, at: &[Step], change: impl FnOnce(&mut Value)) -> Violation {
        let mut resource = self.instance.resource.clone();
        change(&mut resource);
        Violation { kind, resource, at: self.instance.place(at) }
    }

    fn replaced(&self, kind: &'static str, value: Value) -> Violation {
        self.with(kind, self.way(), |resource| *Instance::at(resource, self.way()) = value)
    }

    /// What decides which slice an item falls into is not that slice's any more when it is changed.
    /// An extension of another URL is another extension.
    fn tells_slices(&self) -> bool {
        let is_told = self.element.id.contains(':') || self.element.path == "Extension.url";
        is_told && self.element.fixed.is_some()
    }

    fn missing(&self) -> Option<Violation> {
        self.element.min.filter(|min| 0 < *min)?;
        if self.tells_slices() {
            return None;
        }
        Some(self.with("missing", self.holder(), |resource| {
            let holder = Instance::at(resource, self.holder()).as_object_mut().unwrap();
            match (holder.get_mut(self.key()), self.way().last()) {
                (Some(Value::Array(items)), Some(Step::Index(index))) if 1 < items.len() => drop(items.remove(*index)),
                _ => drop(holder.shift_remove(self.key())),
            }
            let has_content = holder.keys().any(|key| key != "id" && key != "resourceType");
            if !has_content {
                holder.insert("extension".into(), json!([{"url": "http://example.org/a", "valueString": "a"}]));
            }
        }))
    }

    fn too_many(&self) -> Option<Violation> {
        let Some(Max::Count(max)) = self.element.max.filter(|max| *max != Max::Count(0)) else { return None };
        if !is_many(self.element) {
            return None;
        }
        Some(self.with("too many", self.holder(), |resource| {
            let own = Instance::at(resource, self.way()).clone();
            let holder = Instance::at(resource, self.holder());
            let items = holder[self.key()].as_array_mut().unwrap();
            for _ in 0..max {
                items.push(own.clone());
            }
        }))
    }

    fn fixed(&self) -> Option<Violation> {
        let (_, fixed) = self.element.fixed.as_deref()?;
        if self.tells_slices() {
            return None;
        }
        let required = self.element.binding.as_ref().filter(|it| it.strength == Strength::Required);
        let other = match required.and_then(|it| self.builder.code(it.value_set.as_deref()?)) {
            Some((_, code)) if fixed != &json!(code) => code,
            _ => format!("{}x", fixed.as_str()?),
        };
        Some(self.replaced("fixed", json!(other)))
    }

    fn wrong_kind(&self) -> Option<Violation> {
        let wrong = match self.code() {
            "Resource" => return None,
            "boolean" | "integer" | "positiveInt" | "unsignedInt" | "decimal" => json!("a"),
            _ if self.is_primitive() => json!(1),
            _ => json!("a"),
        };
        Some(self.replaced("wrong kind of JSON", wrong))
    }

    fn wrong_format(&self) -> Option<Violation> {
        let wrong = match self.code() {
            "date" | "dateTime" | "instant" | "time" => json!("soon"),
            "uri" | "url" | "canonical" => json!("a b"),
            "oid" | "uuid" => json!("urn:x"),
            "id" => json!("a_b"),
            "code" => json!("a  b"),
            "positiveInt" | "unsignedInt" => json!(-1),
            "integer" => json!(1.5),
            "base64Binary" => json!("Q"),
            "string" | "markdown" => json!(""),
            _ => return None,
        };
        // An id of an element may be any string.
        let is_inner_id = self.key() == "id" && self.way().len() != 1;
        let of_slice = self.tells_slices();
        (!is_inner_id && !of_slice).then(|| self.replaced("wrong format", wrong))
    }

    fn wrong_code(&self) -> Option<Violation> {
        let binding = self.element.binding.as_ref().filter(|it| it.strength == Strength::Required)?;
        self.builder.code(binding.value_set.as_deref()?)?;
        if self.element.fixed.is_some() || !self.builder.below(&self.element.id).is_empty() {
            return None;
        }
        let coding = json!({"system": "http://example.org/a", "code": "none-of-them"});
        let wrong = match self.code() {
            "code" => json!("none-of-them"),
            "Coding" => coding,
            "CodeableConcept" => json!({"coding": [coding]}),
            _ => return None,
        };
        Some(self.replaced("code", wrong))
    }

    fn wrong_target(&self) -> Option<Violation> {
        let one = self.element.types.iter().find(|one| one.code == "Reference")?;
        let types: Vec<String> = one
            .target_profiles
            .iter()
            .map(|profile| self.builder.packages().definition(profile).unwrap().type_name.clone())
            .collect();
        if types.is_empty() || types.iter().any(|it| it == "Resource") {
            return None;
        }
        let other = ["Slot", "Binary"].into_iter().find(|it| !types.iter().any(|own| own == it))?;
        Some(self.with("target", self.way(), |resource| {
            Instance::at(resource, self.way())["reference"] = json!(format!("{other}/1"));
        }))
    }

    /// A choice that the profile has made.
    fn wrong_type(&self) -> Option<Violation> {
        let stem = self.element.path.strip_suffix("[x]")?.rsplit('.').next()?;
        let allowed: Vec<&str> = self.element.types.iter().map(|one| one.code.as_str()).collect();
        let base = self.builder.packages().definition(self.builder.definition.base.as_deref()?)?;
        let before = base.snapshot.iter().find(|it| it.path == self.element.path)?;
        let other = before.types.iter().find(|one| !allowed.contains(&one.code.as_str()))?;
        let value = match other.code.as_str() {
            "dateTime" => json!("2024-05-06"),
            "uri" => json!("http://example.org/a"),
            "base64Binary" => json!("QQ=="),
            "boolean" => json!(true),
            _ => return None,
        };
        let (key, _) = keys(self.element, &other.code);
        let mut at = self.holder().to_vec();
        at.push(Step::Key(key.clone(), stem.to_owned()));
        Some(self.with("type", &at, |resource| {
            let holder = Instance::at(resource, self.holder()).as_object_mut().unwrap();
            holder.shift_remove(self.key());
            holder.insert(key, value);
        }))
    }

    /// ele-1
    fn empty(&self) -> Option<Violation> {
        let needs = self.builder.below(&self.element.id).iter().any(|it| it.min.is_some_and(|min| 0 < min));
        let plain = matches!(
            self.code(),
            "BackboneElement" | "Element" | "Identifier" | "Period" | "CodeableConcept" | "Meta" | "Coding"
        );
        let bound = self.element.binding.as_ref().is_some_and(|it| it.strength == Strength::Required);
        (plain && !needs && !bound && self.element.pattern.is_none()).then(|| self.replaced("empty", json!({})))
    }

    fn unknown_member(&self) -> Option<Violation> {
        if self.is_primitive() || self.code() == "Resource" {
            return None;
        }
        let mut at = self.way().to_vec();
        at.push(Step::Key("nickname".into(), "nickname".into()));
        Some(self.with("unknown", &at, |resource| {
            Instance::at(resource, self.way())["nickname"] = json!(true);
        }))
    }

    /// What the profile allows none of, below this element.
    fn forbidden(&self) -> Vec<Violation> {
        let none = self.builder.below(&self.element.id).into_iter().filter(|it| it.max == Some(Max::Count(0)));
        let made = none.filter_map(|element| {
            let (key, _) = keys(element, "string");
            let value = if is_many(element) { return None } else { json!("a") };
            let value = if element.path.ends_with("[x]") { value } else { return None };
            Some(self.with("forbidden", self.way(), |resource| {
                let own = Instance::at(resource, self.way()).as_object_mut().unwrap();
                own.shift_remove("extension");
                own.insert(key, value);
            }))
        });
        made.collect()
    }

    /// A violation for each invariant that the element has.
    fn invariants(&self) -> Vec<Violation> {
        let of = |key: &str| self.element.constraints.iter().any(|it| it.key == key);
        let mut found = Vec::new();
        let root = self.way();
        let contained = |inner: Value| json!([inner]);
        let basic = || json!({"resourceType": "Basic", "id": "c1", "code": {"text": "a"}});
        let refer = |resource: &mut Value| {
            resource["extension"] = json!([{"url": "http://example.org/a", "valueReference": {"reference": "#c1"}}]);
        };
        let in_contained = |rest: &[(&str, Option<usize>)]| {
            let mut at = vec![Step::Key("contained".into(), "contained".into()), Step::Index(0)];
            for (key, index) in rest {
                at.push(Step::Key((*key).into(), (*key).into()));
                at.extend(index.map(Step::Index));
            }
            at
        };
        if of("dom-2") {
            let mut inner = basic();
            inner["contained"] = json!([{"resourceType": "Basic", "id": "c2", "code": {"text": "a"}}]);
            found.push(self.with("dom-2", &in_contained(&[("contained", None)]), |resource| {
                resource["contained"] = contained(inner);
                refer(resource);
            }));
        }
        if of("dom-3") {
            found.push(self.with("dom-3", &in_contained(&[]), |resource| resource["contained"] = contained(basic())));
        }
        for (key, meta) in [("dom-4", json!({"versionId": "1"})), ("dom-5", json!({"security": [{"code": "a"}]}))] {
            if of(key) {
                let mut inner = basic();
                inner["meta"] = meta;
                let kind = if key == "dom-4" { "dom-4" } else { "dom-5" };
                found.push(self.with(kind, root, |resource| {
                    resource["contained"] = contained(inner);
                    refer(resource);
                }));
            }
        }
        if of("prr-1") {
            found.push(self.with("prr-1", root, |resource| resource["orderDetail"] = json!([{"text": "a"}])));
        }
        if of("bdl-1") {
            found.push(self.with("bdl-1", root, |resource| resource["total"] = json!(1)));
        }
        if of("bdl-7") {
            found.extend(self.bundle());
        }
        found
    }

    /// What a message Bundle's invariants forbid.
    fn bundle(&self) -> Vec<Violation> {
        let entry = |url: &str| json!({"fullUrl": url, "resource": {"resourceType": "Basic", "code": {"text": "a"}}});
        let header = || {
            json!({"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000001", "resource": {"resourceType": "MessageHeader",
                "eventUri": "http://example.org/a", "source": {"endpoint": "http://example.org/a"}}})
        };
        let second = "urn:uuid:00000000-0000-4000-8000-000000000002";
        let with = |kind, at: &[Step], entries: Value| self.with(kind, at, |resource| resource["entry"] = entries);
        let more = |name: &str, value: Value| {
            let mut entry = entry(second);
            entry[name] = value;
            json!([header(), entry])
        };
        let of = |index| vec![Step::Key("entry".into(), "entry".into()), Step::Index(index)];
        let versioned = entry("http://example.org/Basic/a/_history/1");
        vec![
            with("bdl-2", &[], more("search", json!({"mode": "match"}))),
            with("bdl-3", &[], more("request", json!({"method": "GET", "url": "Basic/1"}))),
            with("bdl-4", &[], more("response", json!({"status": "200"}))),
            with("bdl-5", &of(1), json!([header(), {"fullUrl": second}])),
            with("bdl-7", &[], json!([header(), entry(second), entry(second)])),
            with("bdl-8", &of(1), json!([header(), versioned])),
            with("bdl-12", &[], json!([entry(second)])),
        ]
    }
}
