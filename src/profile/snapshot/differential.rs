//! A differential as a tree: only what differs is in it, so an element may come without what it is in.

use super::DEPTH_MAX;
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
    /// Fails with the id of an element that lies deeper than any.
    pub(super) fn read(differential: &'d [Element]) -> Result<Self, &'d str> {
        let mut root = Change::default();
        let mut last: Vec<Step<'d>> = Vec::new();
        for element in differential {
            if DEPTH_MAX < element.path.matches('.').count() {
                return Err(&element.id);
            }
            let steps = steps_of_id(element, &last).unwrap_or_else(|| steps_of_path(element, &last));
            let mut here = &mut root;
            for (name, slice) in steps.iter().skip(1) {
                here = here.child(name, *slice);
            }
            here.elements.push(element);
            last = steps;
        }
        Ok(root)
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

/// The id tells which slice every step is in, where it is as R4 asks (5.1.0.10). Where it names no slice, the element
/// is in the slice that was begun before it, as publishers read it.
fn steps_of_id<'d>(element: &'d Element, last: &[Step<'d>]) -> Option<Vec<Step<'d>>> {
    let mut steps: Vec<Step<'d>> = element.id.split('.').map(step).collect();
    let names: Vec<&str> = element.path.split('.').collect();
    let fits = |(step, name): (&Step<'_>, &&str)| step.0 == *name || step.0.ends_with("[x]") && step.1 == Some(name);
    let (own, above) = steps.split_last_mut()?;
    let is_own = element.slice_name.as_deref().is_none_or(|slice| own.1 == Some(slice));
    for (step, before) in above.iter_mut().zip(last) {
        if step.0 != before.0 || step.1.is_some_and(|slice| before.1 != Some(slice)) {
            break;
        }
        step.1 = before.1;
    }
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
        let steps = |element| steps_of_id(element, &[]);
        let told = element("A.b:x.c", "A.b.c", None);
        assert_eq!(steps(&told), Some(vec![("A", None), ("b", Some("x")), ("c", None)]));
        let (guid, other) = (element("6f8a", "A.b.c", None), element("A.b:y", "A.b", Some("x")));
        assert_eq!((steps(&guid), steps(&other)), (None, None));
        let last = [("A", None), ("b", Some("x"))];
        let told = element("6f8a", "A.b.c", None);
        assert_eq!(steps_of_path(&told, &last), [("A", None), ("b", Some("x")), ("c", None)]);
        let bare = element("A.b.c", "A.b.c", None);
        assert_eq!(steps_of_id(&bare, &last), Some(vec![("A", None), ("b", Some("x")), ("c", None)]));
        let bare = element("A.d.c", "A.d.c", None);
        assert_eq!(steps_of_id(&bare, &last), Some(vec![("A", None), ("d", None), ("c", None)]));
    }
}
