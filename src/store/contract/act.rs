//! What people do at the command line, in every store.

use jiff::Timestamp;

use super::fixture::wait;
use crate::store::act::{Act, Deed, Direction, Pause};
use crate::store::{Store, StoreError};

pub(crate) fn what_is_paused_is_paused_until_it_is_resumed(store: &dyn Store) {
    let at = Timestamp::from_second(1_770_000_000).unwrap();
    let act = |deed, of: &str, why: &str| Act { at, deed, of: of.into(), who: "ann".into(), why: why.into() };
    let acts = |deed, of| wait(store.act(act(deed, of, "why")));
    let paused = |direction, name: &str| Pause { direction, name: name.into(), since: at, who: "ann".into() };
    assert!(store.pauses().unwrap().is_empty());
    acts(Deed::PauseOut, "pas").unwrap();
    acts(Deed::PauseIn, "pas").unwrap();
    assert_eq!(store.pauses().unwrap(), [paused(Direction::In, "pas"), paused(Direction::Out, "pas")]);
    let refused = |done: Result<(), StoreError>| matches!(done, Err(StoreError::Refused(_)));
    assert!(refused(acts(Deed::PauseOut, "pas")), "it is paused already");
    assert!(refused(acts(Deed::ResumeOut, "other")), "it is not paused");
    assert!(wait(store.act(act(Deed::PauseOut, "other", " "))).is_err(), "nobody says why");
    acts(Deed::ResumeOut, "pas").unwrap();
    assert_eq!(store.pauses().unwrap(), [paused(Direction::In, "pas")]);
    wait(store.act(act(Deed::ViewLetter, "7", ""))).unwrap();
    let done: Vec<_> = store.act_list(9).unwrap().into_iter().map(|it| (it.deed, it.of, it.why)).collect();
    let row = |deed, of: &str, why: &str| (deed, of.to_owned(), why.to_owned());
    let expected = [
        row(Deed::ViewLetter, "7", ""),
        row(Deed::ResumeOut, "pas", "why"),
        row(Deed::PauseIn, "pas", "why"),
        row(Deed::PauseOut, "pas", "why"),
    ];
    assert_eq!(done, expected, "what was refused was not done");
}
