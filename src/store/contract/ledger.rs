//! The ledger of every store: it balances, and whatever is taken away from it or put into it is named.

use jiff::Timestamp;
use uuid::Uuid;

use super::fixture::{accept, diary, letter, message, place_referral, post, submit, wait, work};
use crate::booking::command::{Command, PlaceReferral};
use crate::store::ledger::{Auditor, Flaw, Ledger, Standing, audit};
use crate::store::{Feed, Message, Settlement, Store, Verdict};

fn ledger(store: &dyn Store) -> Ledger {
    audit(store, |_| {}).unwrap()
}

/// One of each state that a message can come into by itself.
fn fill(store: &dyn Store) {
    accept(store, "done", Command::PublishSlots(diary(&["s"])));
    let places = || Command::PlaceReferral(place_referral(None));
    accept(store, "repeated", places());
    submit(store, "repeated", places()).unwrap();
    let mut refused: PlaceReferral = place_referral(None);
    refused.referral.use_case = "refuse".to_owned();
    submit(store, "refused", Command::PlaceReferral(refused.clone())).unwrap();
    let feed = Some(Feed { settles: None, counted: true });
    let of_a_feed = |key: &str| Message { feed: feed.clone(), issues: Vec::new(), ..message(key) };
    let issue = crate::issue::Issue::new(&crate::issue::REFERRAL_NOT_FOUND, "PID");
    let quarantined = Message { issues: vec![issue], ..of_a_feed("held") };
    wait(store.submit(quarantined, work(Command::PlaceReferral(refused), Vec::new()))).unwrap();
    let applied = wait(store.submit(of_a_feed("applied"), work(places(), Vec::new()))).unwrap();
    assert!(matches!(applied, Verdict::Accepted { .. }));
    let line = |n: u128| Uuid::from_u128(n);
    for (n, settlement) in [
        (1, None),
        (2, Some(Settlement::Delivered)),
        (3, Some(Settlement::Parked { failure: "AE".into() })),
        (4, Some(Settlement::Superseded { reason: "x".into() })),
    ] {
        // The second letter of each is confirmed.
        post(store, vec![letter("pas", line(n), "REF^I12"), letter("pas", line(10 + n), "SIU^S12")]);
        let due = store.outbox_due("pas", Timestamp::now(), 9).unwrap();
        let of = |n: u128| due.iter().find(|(row, _)| row.key == line(n)).unwrap().0.id;
        wait(store.outbox_settle(of(10 + n), Settlement::Delivered)).unwrap();
        settlement.into_iter().for_each(|it| wait(store.outbox_settle(of(n), it)).unwrap());
    }
}

pub(crate) fn every_message_is_in_one_state(store: &dyn Store) {
    assert!(ledger(store).is_balanced());
    fill(store);
    let whole = ledger(store);
    assert!(whole.is_balanced(), "{whole} {:?}", whole.flaws);
    assert_eq!(whole.to_string(), "received 10 = delivered 5 + refused 1 + dead 2 + waiting 1 + repeats 1");
    let counts = Standing::ALL.map(|standing| whole.count(standing));
    assert_eq!(counts, [3, 1, 1, 1, 1, 1, 1, 0, 1]);
    assert!(whole.states.values().all(|count| count.oldest.is_some()));
    // However small the pages are.
    let mut auditor = Auditor::default();
    let in_steps = (0..100).find_map(|_| auditor.step(store, 1).unwrap()).unwrap();
    assert_eq!(in_steps, whole);
}

/// What no code above the database does. `harm` runs SQL on it.
pub(crate) fn whatever_is_lost_is_named(store: &dyn Store, harm: &dyn Fn(&str)) {
    fill(store);
    let flaws = || {
        let ledger = ledger(store);
        assert!(!ledger.is_balanced());
        ledger
    };
    harm(
        "UPDATE outbox SET message_id = (SELECT id FROM message WHERE outcome = 'refused' LIMIT 1)
          WHERE id = (SELECT min(id) FROM outbox)",
    );
    let found: Vec<Flaw> = flaws().flaws.iter().map(|it| it.flaw).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.contains(&Flaw::LettersOfUnaccepted) && found.contains(&Flaw::LettersMissing), "{found:?}");
    harm("DELETE FROM outbox WHERE id = (SELECT min(id) FROM outbox)");
    let found = flaws();
    assert_eq!(found.flaws.iter().map(|it| it.flaw).collect::<Vec<_>>(), [Flaw::LettersMissing]);
    assert_eq!(found.flaws[0].message, store.message_list(&super::all()).unwrap()[3].id);
    harm("UPDATE feed_message SET state = 'quarantined', code = 'x' WHERE state = 'applied'");
    harm("DELETE FROM message WHERE key = 'repeated'");
    let found = flaws();
    let kinds: Vec<Flaw> = found.flaws.iter().map(|it| it.flaw).collect();
    assert_eq!((kinds.len(), found.messages_missing), (3, 1), "{found:?}");
    assert!(kinds.contains(&Flaw::FirstMissing) && kinds.contains(&Flaw::FeedContradicts), "{kinds:?}");
    let last = store.message_list(&super::all()).unwrap().remove(0).id;
    harm("DELETE FROM message WHERE seq = (SELECT max(seq) FROM message)");
    let found = flaws();
    assert_eq!((found.messages_missing, found.letters.len()), (2, 2), "{last}: {found:?}");
}
