//! More than there is time for: who sends too much is told so at once and loses nothing, and nobody else waits behind it.

use std::sync::Arc;

use jiff::Timestamp;
use onward::load::synthetic::People;

use crate::gateway::{Gateway, Options, bundles, code, headers, post};

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_refused_at_once_and_keeps_nobody_else_from_being_heard() {
    const FLOOD: usize = 60;
    let gateway = Gateway::start(Options::default().with("https.work_max", 1).with("https.waiting_max", 4));
    let before = gateway.messages("accepted");
    let noisy = Arc::new(gateway.client_with(&gateway.files_of("gp")).over_http2());
    let quiet = gateway.client_with(&gateway.files_of("nhs111"));
    let people = People::new(71);
    let messages = (0..FLOOD).map(|_| bundles().referral(&people.next(), Timestamp::now()));
    let sending: Vec<_> = messages
        .map(|message| {
            let (noisy, headers) = (Arc::clone(&noisy), headers().write());
            tokio::spawn(async move { (post(&noisy, headers.clone(), &message).await, headers, message) })
        })
        .collect();
    for _ in 0..3 {
        let message = bundles().referral(&people.next(), Timestamp::now());
        assert_eq!(post(&quiet, headers().write(), &message).await.status, 200);
    }
    let mut refused = Vec::new();
    for task in sending {
        let (answer, headers, message) = task.await.unwrap();
        if answer.status != 200 {
            assert_eq!((answer.status.as_u16(), &*code(&answer)), (503, "ONW-9003"));
            assert_eq!(answer.headers["retry-after"], "1");
            refused.push((headers, message));
        }
    }
    assert!((1..FLOOD - 5).contains(&refused.len()), "{} of {FLOOD} were refused", refused.len());
    // Nothing was done for them: the same request, later, is as good as new.
    for (headers, message) in refused {
        assert_eq!(post(&noisy, headers, &message).await.status, 200);
    }
    assert_eq!(gateway.messages("accepted") - before, FLOOD as u64 + 3);
    gateway.check_ledger();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_has_a_rate_of_its_own() {
    let gateway = Gateway::start(Options::default().with("system.0.rate_per_second", 1));
    let people = People::new(72);
    for (name, limited) in [("gp", true), ("nhs111", false)] {
        let client = gateway.client_with(&gateway.files_of(name));
        let mut statuses = Vec::new();
        for _ in 0..6 {
            let message = bundles().referral(&people.next(), Timestamp::now());
            statuses.push(post(&client, headers().write(), &message).await.status.as_u16());
        }
        let throttled = statuses.iter().filter(|status| **status == 429).count();
        assert_eq!(0 < throttled, limited, "{name}: {statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 200).count() + throttled, 6);
    }
}
