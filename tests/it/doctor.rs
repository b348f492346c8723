//! `onward doctor` and `onward ledger` against gateways that are well, and against ones that are not.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use jiff::Timestamp;
use onward::load::synthetic::People;
use serde_json::Value;

use crate::gateway::{Gateway, Options, bundles, headers, onward, post};

/// Exit code and document.
fn run(gateway: &Gateway, args: &[&str]) -> (i32, Value) {
    let output = onward(&[]).arg("--json").args(args).arg("--dir").arg(gateway.path("")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{args:?}: {said}"));
    (output.status.code().unwrap(), document)
}

/// Codes of the findings, and how bad each is.
fn codes(findings: &Value) -> BTreeMap<String, String> {
    let text = |it: &Value, name: &str| it[name].as_str().unwrap().to_owned();
    findings.as_array().unwrap().iter().map(|it| (text(it, "code"), text(it, "grade"))).collect()
}

/// What the findings lead to on a machine with this much room on its disk, which is nobody's fault here.
fn well(findings: &Value) -> i32 {
    if codes(findings).contains_key("disk-full") { 2 } else { 0 }
}

/// A gateway that took some referrals and was stopped.
async fn stopped() -> Gateway {
    let mut gateway = Gateway::start(Options::default());
    let (people, client) = (People::new(12), gateway.client());
    for _ in 0..5 {
        let message = bundles().referral(&people.next(), Timestamp::now());
        assert_eq!(post(&client, headers().write(), &message).await.status, 200);
    }
    assert_eq!(gateway.stop(), Some(0));
    gateway
}

fn database(gateway: &Gateway) -> rusqlite::Connection {
    rusqlite::Connection::open(gateway.path("onward.db")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_runs_is_well() {
    let gateway = Gateway::start(Options::default());
    let (exit, findings) = run(&gateway, &["doctor"]);
    let codes = codes(&findings);
    assert_eq!(exit, well(&findings), "{findings:#}");
    assert!(codes.iter().all(|(code, grade)| grade != "error" || code == "disk-full"), "{codes:?}");
    for code in ["store-well", "ledger-fine"] {
        assert_eq!(codes.get(code).map(String::as_str), Some("fine"), "{codes:?}");
    }
    assert!(codes.keys().any(|code| code.starts_with("disk-")), "{codes:?}");
    for finding in findings.as_array().unwrap() {
        assert_eq!(finding["grade"] == "fine", finding["whose_move"] == "nobody", "{finding}");
        assert_ne!(finding["meaning"], "", "{finding}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_gateway_is_told_with_whose_move_it_is() {
    let gateway = stopped().await;
    gateway.check_ledger();
    let file = gateway.path("onward.db");
    let later = Timestamp::now().as_microsecond() + 3_600_000_000;
    database(&gateway).execute("UPDATE message SET received_at = ?1 WHERE seq = 3", [later]).unwrap();
    let (exit, findings) = run(&gateway, &["doctor"]);
    assert_eq!(exit, well(&findings), "the newest message is not of the future");
    database(&gateway).execute("UPDATE message SET received_at = ?1", [later]).unwrap();
    let (exit, findings) = run(&gateway, &["doctor"]);
    assert_eq!((exit, codes(&findings)["clock-behind"].as_str()), (2, "error"));

    database(&gateway).execute("DELETE FROM message WHERE seq = (SELECT max(seq) FROM message)", ()).unwrap();
    let (exit, ledger) = run(&gateway, &["ledger"]);
    assert_eq!((exit, &ledger["balanced"], &ledger["messages_missing"]), (1, &false.into(), &1.into()));
    assert_eq!(codes(&run(&gateway, &["doctor"]).1)["ledger-does-not-balance"], "error");

    // The middle of the file is something else.
    let len = std::fs::metadata(&file).unwrap().len();
    OpenOptions::new().write(true).open(&file).unwrap().write_all_at(&[0xa5; 40_000], len / 2).unwrap();
    let (exit, findings) = run(&gateway, &["doctor", "--deep"]);
    let found = codes(&findings);
    assert_eq!(exit, 2);
    assert!(found.contains_key("store-integrity") || found.contains_key("store-unreachable"), "{found:?}");

    std::fs::remove_file(&file).unwrap();
    std::fs::remove_file(gateway.path("tls/server-key.pem")).unwrap();
    let (exit, findings) = run(&gateway, &["doctor"]);
    let found = codes(&findings);
    assert_eq!(exit, well(&findings).max(1), "{findings:#}");
    assert_eq!(found["store-missing"], "warning");
    assert_eq!(found["file-unreadable"], "error", "{found:?}");
}
