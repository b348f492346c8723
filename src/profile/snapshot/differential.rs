//! A differential as a tree: only what differs is in it, so an element may come without what it is in.

use crate::profile::definition::Element;

/// What changes at an element and below it.
#[derive(Debug, Default)]
pub(super) struct Change<'d> {
    /// The last part of its path.
    pub(super) name: &'d str,
    /// The slice that is meant.
    pub(super) slice: Option<&'d str>,
    /// What is said about the element itself; more than once where a differential repeats itself.
    pub(super) elements: Vec<&'d Element>,
    /// What changes below, in the order of the differential.
    pub(super) children: Vec<Change<'d>>,
}

/// One part of a path: a name and the slice.
type Step<'d> = (&'d str, Option<&'d str>);

impl<'d> Change<'d> {
    /// Reads a differential; the root is the first step of all its paths.
    pub(super) fn read(differential: &'d [Element]) -> Self {
        let mut root = Change::default();
        let mut last: Vec<Step<'d>> = Vec::new();
        for element in differential {
            let steps = steps_of_id(element).unwrap_or_else(|| steps_of_path(element, &last));
            let mut here = &mut root;
            for (name, slice) in steps.iter().skip(1) {
                here = here.child(name, *slice);
            }
            here.elements.push(element);
            last = steps;
        }
        root
    }

    fn child(&mut self, name: &'d str, slice: Option<&'d str>) -> &mut Self {
        let found = self.children.iter().position(|child| child.name == name && child.slice == slice);
        let at = found.unwrap_or_else(|| {
            self.children.push(Change { name, slice, ..Change::default() });
            self.children.len() - 1
        });
        &mut self.children[at]
    }

    /// The id of the element in the differential, or of the first one below it.
    pub(super) fn id(&self) -> &str {
        let own = self.elements.first().map(|element| element.id.as_str());
        own.or_else(|| self.children.first().map(Change::id)).unwrap_or_default()
    }
}

/// The id tells which slice every step is in, where it is as R4 asks (5.1.0.10).
fn steps_of_id(element: &Element) -> Option<Vec<Step<'_>>> {
    let steps: Vec<Step<'_>> = element.id.split('.').map(step).collect();
    let names: Vec<&str> = element.path.split('.').collect();
    let fits = |(step, name): (&Step<'_>, &&str)| step.0 == *name || step.0.ends_with("[x]") && step.1 == Some(name);
    let own_slice = steps.last()?.1;
    let is_own = element.slice_name.as_deref().is_none_or(|slice| own_slice == Some(slice));
    (steps.len() == names.len() && steps.iter().zip(&names).all(fits) && is_own).then_some(steps)
}

fn step(part: &str) -> Step<'_> {
    match part.split_once(':') {
        Some((name, slice)) => (name, Some(slice)),
        None => (part, None),
    }
}

/// Without such an id, an element is in the slices that the element before it is in.
fn steps_of_path<'d>(element: &'d Element, last: &[Step<'d>]) -> Vec<Step<'d>> {
    let mut steps: Vec<Step<'d>> = Vec::new();
    let mut along = true;
    for (at, name) in element.path.split('.').enumerate() {
        let before = last.get(at).filter(|step| along && step.0 == name);
        along = before.is_some();
        steps.push(before.copied().unwrap_or((name, None)));
    }
    if let Some(own) = steps.last_mut() {
        own.1 = element.slice_name.as_deref();
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(id: &str, path: &str, slice: Option<&str>) -> Element {
        Element { id: id.into(), path: path.into(), slice_name: slice.map(Into::into), ..Element::default() }
    }

    #[test]
    fn ids_tell_slices_and_paths_do_where_ids_do_not() {
        let steps = steps_of_id;
        let told = element("A.b:x.c", "A.b.c", None);
        assert_eq!(steps(&told), Some(vec![("A", None), ("b", Some("x")), ("c", None)]));
        assert_eq!(steps(&element("6f8a", "A.b.c", None)), None);
        assert_eq!(steps(&element("A.b:y", "A.b", Some("x"))), None);
        let last = [("A", None), ("b", Some("x"))];
        let told = element("6f8a", "A.b.c", None);
        assert_eq!(steps_of_path(&told, &last), [("A", None), ("b", Some("x")), ("c", None)]);
    }
}
