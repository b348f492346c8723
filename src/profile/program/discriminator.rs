//! What tells one slice from another (R4 5.1.0.13 "Discriminator").
//!
//! A discriminator names an element of the slice; what the slice prescribes there becomes a [`Test`].

use super::compile::{Compiler, Drafts};
use super::{Exact, Slice, Step, Target, Test, What};
use crate::profile::definition::{Discriminator, Element, Max, Strength, TypeRef};
use crate::profile::facts::TypeId;

/// An element within the snapshot that it is of.
#[derive(Clone, Copy)]
struct Cursor<'d> {
    elements: &'d [Element],
    element: &'d Element,
}

/// The tests of one discriminator for one slice.
pub(super) fn tests(
    compiler: &mut Compiler<'_>,
    drafts: &Drafts<'_>,
    slice: usize,
    discriminator: &Discriminator,
) -> Result<Vec<Test>, String> {
    let start = Cursor { elements: &drafts.definition.snapshot, element: drafts.all[slice].element };
    tests_from(compiler, start, discriminator).or_else(|text| {
        // The slice may be an element of another profile, which says what tells it from others.
        let mut named = start.element.types.iter().flat_map(|one| &one.profiles).filter(|url| url.contains('#'));
        let there = named.next().and_then(|url| root(compiler, url)).ok_or(text)?;
        tests_from(compiler, there, discriminator)
    })
}

fn tests_from(
    compiler: &mut Compiler<'_>,
    start: Cursor<'_>,
    discriminator: &Discriminator,
) -> Result<Vec<Test>, String> {
    let path = discriminator.path.as_str();
    let steps = steps(compiler, path).ok_or_else(|| format!("the discriminator {path} cannot be read"))?;
    let (found, resolved) = walk(compiler, start, &steps);
    let one = |what| vec![Test { steps: steps.clone().into(), what }];
    let nothing = || format!("nothing in the slice says what its discriminator {path} must be");
    let is_absent = found.is_some_and(|at| at.element.max == Some(Max::Count(0)));
    let tests = match discriminator.kind.as_str() {
        _ if is_absent => one(What::Exists(false)),
        "exists" => one(What::Exists(true)),
        "type" => {
            let types = found.map(|at| types(compiler, &at.element.types, resolved)).unwrap_or_default();
            if types.is_empty() { Vec::new() } else { one(What::Types(types.into())) }
        }
        "profile" => {
            let profiles = found.map(|at| profiles(compiler, &at.element.types, resolved)).unwrap_or_default();
            if profiles.is_empty() { Vec::new() } else { one(What::Profiles(profiles.into())) }
        }
        "value" | "pattern" => {
            let sliced = sliced_values(compiler, start, &steps);
            match found {
                Some(at) if sliced.is_empty() => values(compiler, at, &steps),
                _ => sliced,
            }
        }
        other => return Err(format!("there is no discriminator of the kind {other}")),
    };
    if tests.is_empty() {
        // An extension whose definition is not loaded is still told by its URL.
        if let Some(url) = extension_url(start.element).filter(|_| path == "url") {
            return Ok(one(What::Fixed(Exact::Text(url.into()))));
        }
        // An element that must be there says at least that.
        let there = found.is_some_and(|at| !steps.is_empty() && 0 < at.element.min.unwrap_or(0));
        return if there { Ok(one(What::Exists(true))) } else { Err(nothing()) };
    }
    Ok(tests)
}

/// The URL that extensions of a slice have.
fn extension_url(element: &Element) -> Option<&str> {
    let [TypeRef { code, profiles, .. }] = element.types.as_slice() else { return None };
    let [profile] = profiles.as_slice() else { return None };
    (code == "Extension").then(|| profile.split('|').next().unwrap_or(profile))
}

/// Slices of a choice that name no discriminator are told apart by their type (R4 5.1.0.15).
pub(super) fn by_type(compiler: &Compiler<'_>, drafts: &Drafts<'_>, slice: usize) -> Option<Test> {
    let element = drafts.all[slice].element;
    let is_choice = element.path.ends_with("[x]");
    let types = types(compiler, &element.types, false);
    let what = if is_choice && !types.is_empty() { What::Types(types.into()) } else { What::Never };
    Some(Test { steps: Box::default(), what })
}

/// The subset of FHIRPath that discriminators may use.
fn steps(compiler: &Compiler<'_>, path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let (step, after) = split(rest);
        rest = after;
        let argument = |name: &str| step.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        if step == "$this" {
            continue;
        } else if argument("resolve").is_some() {
            steps.push(Step::Resolve);
        } else if let Some(url) = argument("extension") {
            steps.push(Step::Extension(url.trim_matches(['\'', '"']).into()));
        } else if let Some(name) = argument("ofType").or(argument("as")) {
            steps.push(Step::OfType(compiler.facts.id(name.trim_start_matches("FHIR."))?));
        } else {
            let name = compiler.facts.names().find(step.trim_end_matches("[x]"));
            steps.push(name.is_known().then_some(Step::Child(name))?);
        }
    }
    Some(steps)
}

/// The first step and the rest; dots in brackets and quotes do not count.
fn split(path: &str) -> (&str, &str) {
    let mut depth = 0;
    for (at, byte) in path.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b'.' if depth == 0 => return (&path[..at], &path[at + 1..]),
            _ => {}
        }
    }
    (path, "")
}

/// The element at the end of the steps, and whether a reference was followed last.
fn walk<'d>(compiler: &Compiler<'d>, start: Cursor<'d>, steps: &[Step]) -> (Option<Cursor<'d>>, bool) {
    let mut at = start;
    let mut resolved = false;
    for step in steps {
        let next = match step {
            Step::Resolve => {
                resolved = true;
                Some(at)
            }
            _ if resolved => {
                resolved = false;
                target(compiler, at).and_then(|target| below(compiler, target, step))
            }
            step => below(compiler, at, step),
        };
        match next {
            Some(next) => at = next,
            None => return (None, false),
        }
    }
    (Some(at), resolved)
}

/// The root of the profile that a reference must point to.
fn target<'d>(compiler: &Compiler<'d>, at: Cursor<'d>) -> Option<Cursor<'d>> {
    let url = at.element.types.iter().flat_map(|one| &one.target_profiles).next()?;
    root(compiler, url)
}

/// A profile's root, or the element of it that is meant.
fn root<'d>(compiler: &Compiler<'d>, url: &str) -> Option<Cursor<'d>> {
    let (url, id) = url.split_once('#').map_or((url, None), |(url, id)| (url, Some(id)));
    let elements = compiler.elements_of(url)?;
    let element = match id {
        Some(id) => elements.iter().find(|it| it.id == id)?,
        None => elements.first()?,
    };
    Some(Cursor { elements, element })
}

fn below<'d>(compiler: &Compiler<'d>, at: Cursor<'d>, step: &Step) -> Option<Cursor<'d>> {
    let name = match step {
        Step::Child(name) => compiler.facts.names().name(*name),
        Step::OfType(_) => return Some(at),
        Step::Extension(url) => return extension(compiler, at, url),
        Step::Resolve => return None,
    };
    child(at, name).or_else(|| {
        // Not unfolded here: what the element's profile says, then what its type says.
        let [one] = at.element.types.as_slice() else { return None };
        let named = one.profiles.iter().find_map(|url| root(compiler, url));
        let named = named.or_else(|| root(compiler, &format!("{}{}", super::compile::HL7, one.code)))?;
        child(named, name)
    })
}

fn child<'d>(at: Cursor<'d>, name: &str) -> Option<Cursor<'d>> {
    let is_child = |it: &&Element| {
        let last = it.id.strip_prefix(at.element.id.as_str()).and_then(|rest| rest.strip_prefix('.'));
        last.is_some_and(|last| last.trim_end_matches("[x]") == name)
    };
    let element = at.elements.iter().find(is_child)?;
    Some(Cursor { elements: at.elements, element })
}

/// The extension of this URL within an element.
fn extension<'d>(compiler: &Compiler<'d>, at: Cursor<'d>, url: &str) -> Option<Cursor<'d>> {
    let prefix = format!("{}.extension:", at.element.id);
    let is_it = |it: &&Element| {
        let own = it.id.strip_prefix(&prefix).is_some_and(|rest| !rest.contains('.'));
        own && it.types.iter().flat_map(|one| &one.profiles).any(|profile| profile == url)
    };
    let found = at.elements.iter().find(is_it).map(|element| Cursor { elements: at.elements, element });
    found.or_else(|| root(compiler, url))
}

fn types(compiler: &Compiler<'_>, of: &[TypeRef], resolved: bool) -> Vec<TypeId> {
    if resolved {
        let targets = of.iter().flat_map(|one| &one.target_profiles).map(|url| compiler.target(url));
        return targets
            .filter_map(|target| match target {
                Target::Type(id) | Target::Profile(id, _) => Some(id),
                Target::Element(_) | Target::Unknown(_) => None,
            })
            .collect();
    }
    of.iter().filter_map(|one| compiler.facts.id(&one.code)).collect()
}

fn profiles(compiler: &Compiler<'_>, of: &[TypeRef], resolved: bool) -> Vec<Target> {
    let urls = of.iter().flat_map(|one| if resolved { &one.target_profiles } else { &one.profiles });
    urls.map(|url| compiler.target(url)).collect()
}

/// What is prescribed at the path or below it, whatever slices stand on the way.
fn sliced_values(compiler: &mut Compiler<'_>, start: Cursor<'_>, steps: &[Step]) -> Vec<Test> {
    let mut wanted = Vec::new();
    for step in steps {
        let Step::Child(name) = step else { return Vec::new() };
        wanted.push(*name);
    }
    let prefix = format!("{}.", start.element.id);
    let own = std::iter::once(start.element).filter(|_| wanted.is_empty()).map(|element| (element, ""));
    let below = start.elements.iter().filter_map(|it| Some((it, it.id.strip_prefix(&prefix)?)));
    let mut tests = Vec::new();
    for (element, rest) in own.chain(below) {
        if element.fixed.is_none() && element.pattern.is_none() {
            continue;
        }
        let segments = rest.split('.').filter(|segment| !segment.is_empty());
        let names = segments.map(|segment| segment.split([':', '[']).next().unwrap_or(segment));
        let path: Vec<_> = names.map(|name| compiler.facts.names().find(name)).collect();
        if path.starts_with(&wanted) {
            let steps = path.into_iter().map(Step::Child).collect();
            tests.extend(value(compiler, element).map(|what| Test { steps, what }));
        }
    }
    tests
}

/// What is prescribed at an element, or else below it.
fn values(compiler: &mut Compiler<'_>, at: Cursor<'_>, steps: &[Step]) -> Vec<Test> {
    if let Some(what) = value(compiler, at.element) {
        return vec![Test { steps: steps.into(), what }];
    }
    // An extension is told by its definition's URL.
    let prefix = format!("{}.", at.element.id);
    let mut tests = Vec::new();
    for element in at.elements.iter().filter(|it| it.id.starts_with(&prefix)) {
        let mut own = steps.to_vec();
        let names = element.id[prefix.len()..].split('.').map(|step| step.split([':', '[']).next().unwrap_or(step));
        own.extend(names.map(|name| Step::Child(compiler.facts.names().find(name))));
        if let Some(what) = (element.fixed.is_some() || element.pattern.is_some()).then(|| value(compiler, element)) {
            tests.extend(what.map(|what| Test { steps: own.into(), what }));
        }
    }
    if tests.is_empty() {
        let profile = at.element.types.iter().flat_map(|one| &one.profiles).next();
        let root = profile.and_then(|url| root(compiler, url));
        tests = root.map(|root| values_of_profile(compiler, root, steps)).unwrap_or_default();
    }
    tests
}

fn values_of_profile(compiler: &mut Compiler<'_>, root: Cursor<'_>, steps: &[Step]) -> Vec<Test> {
    let own_profile = root.element.types.iter().any(|one| !one.profiles.is_empty());
    if own_profile { Vec::new() } else { values(compiler, root, steps) }
}

fn value(compiler: &mut Compiler<'_>, element: &Element) -> Option<What> {
    if let Some((_, fixed)) = element.fixed.as_deref() {
        return Some(What::Fixed(Exact::of(fixed)));
    }
    if let Some((_, pattern)) = element.pattern.as_deref() {
        return Some(What::Pattern(Exact::of(pattern)));
    }
    let binding = element.binding.as_ref().filter(|it| it.strength == Strength::Required)?;
    Some(What::OneOf(compiler.set(binding.value_set.as_deref()?)))
}

/// May an occurrence fit two of the slices? Not where one value that occurs once must be two different ones.
pub(super) fn may_overlap(compiler: &Compiler<'_>, type_id: TypeId, slices: &[Slice]) -> bool {
    let apart = |one: &Slice, other: &Slice| {
        let pairs = one.tests.iter().flat_map(|test| other.tests.iter().map(move |against| (test, against)));
        pairs.into_iter().any(|(test, against)| {
            test.steps == against.steps && differ(&test.what, &against.what) && is_once(compiler, type_id, &test.steps)
        })
    };
    slices.iter().enumerate().any(|(index, one)| slices[..index].iter().any(|other| !apart(one, other)))
}

fn differ(one: &What, other: &What) -> bool {
    let text = |what: &What| match what {
        What::Fixed(exact) | What::Pattern(exact) => exact.text().map(ToOwned::to_owned),
        _ => None,
    };
    match (one, other) {
        (What::Never, _) | (_, What::Never) => true,
        (What::Exists(one), What::Exists(other)) => one != other,
        (What::Types(one), What::Types(other)) => one.iter().all(|it| !other.contains(it)),
        _ => text(one).zip(text(other)).is_some_and(|(one, other)| one != other),
    }
}

/// Do the steps lead to one value at most?
fn is_once(compiler: &Compiler<'_>, type_id: TypeId, steps: &[Step]) -> bool {
    let mut at = compiler.type_at(type_id);
    for step in steps {
        let Step::Child(name) = step else { return false };
        let Some((kind, field)) = at.and_then(|kind| Some((kind, kind.field_of(*name)?))) else { return false };
        if kind.element(field).many {
            return false;
        }
        at = compiler.type_at(field.kind);
    }
    true
}
