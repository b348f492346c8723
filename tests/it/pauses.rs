//! A person pauses a destination and a channel: nothing goes on, nothing is lost, also over a restart, and whoever did
//! it and why stays known.

use std::time::Duration;

use jiff::Timestamp;
use onward::hl7v2::ack::{Code, Received};
use onward::load::synthetic::People;
use onward::outbox::destination::Peer;
use onward::outbox::mllp::send_all;
use onward::pas::simulator::{self, Simulator};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::faults::{Watch, get};
use crate::gateway::{Gateway, Options, bundles, fixed_port, headers, onward, post};

/// Somebody new.
fn message(n: u32) -> Vec<u8> {
    format!(
        "MSH|^~\\&|PAS|RZ9|ONWARD|X26|20260301091500||ADT^A28^ADT_A05|P{n}|T|2.4\rEVN||20260301091500\r\
         PID|1||P{n}^^^RZ9^MR||TESTER{n}^ONE^^^^^L||19800101|1\r"
    )
    .into_bytes()
}

/// Was it acknowledged?
async fn sent(port: u16, n: u32) -> bool {
    let peer = Peer { ack_timeout: Duration::from_secs(5), ..Peer::new("127.0.0.1", port) };
    let mut code = None;
    let answer = send_all(&peer, &[message(n)], |_, answer| code = Received::read(answer).and_then(|it| it.code)).await;
    answer.is_ok() && code == Some(Code::AA)
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    for _ in 0..200 {
        if is_so().await {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("{what}");
}

fn is_paused(status: &Value, component: &str) -> bool {
    let check = &status["checks"][format!("{component}:pause")][0];
    check["status"] == "warn" && check["since"].is_string()
}

/// The exit code of a command that is refused.
fn refused(gateway: &Gateway, args: &[&str]) -> Option<i32> {
    let output = onward(&[]).args(args).arg("--dir").arg(gateway.path("")).output().unwrap();
    assert!(output.stdout.is_empty());
    output.status.code()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paused_waits_over_a_restart_and_goes_on_when_it_is_resumed() {
    let (port, pas_port) = (fixed_port(), fixed_port());
    let pas = Simulator::start(([127, 0, 0, 1], pas_port).into(), simulator::Options::default()).await.unwrap();
    let options = Options { pas: Some(pas_port), ..Options::default() };
    let mut gateway = Gateway::start(options.with("mllp.0.listen", format!("127.0.0.1:{port}")));
    let people = People::new(71);
    let refer = async |gateway: &Gateway| {
        let referral = bundles().referral(&people.next(), Timestamp::now());
        assert_eq!(post(&gateway.client(), headers().write(), &referral).await.status, 200);
    };
    refer(&gateway).await;
    until("it is delivered", async || pas.received().len() == 1).await;
    assert!(sent(port, 1).await);

    let mut line = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    gateway.document(&["outbox", "pause", "pas", "--reason", "the hospital upgrades, ticket 7"]);
    gateway.document(&["messages", "feed", "pause", "pas-feed", "--reason", "wrong clinic codes"]);
    let both = |status: &Value| is_paused(status, "destination") && is_paused(status, "feed");
    Watch::new().until(&gateway, "the status page tells of both", both).await;
    let mut nothing = [0; 1];
    let end = timeout(Duration::from_secs(5), line.read(&mut nothing)).await.expect("the open line ends");
    assert_eq!(end.unwrap_or_default(), 0);
    refer(&gateway).await;
    assert!(!sent(port, 2).await, "nothing is acknowledged");

    // A power cut changes nothing.
    gateway.kill();
    gateway.restart();
    assert!(!sent(port, 2).await, "nor after a restart");
    refer(&gateway).await;
    Watch::new().until(&gateway, "the status page still tells of both", both).await;
    let numbers = get(&gateway, "/metrics").await.1;
    for of in ["direction=\"in\",name=\"pas-feed\"", "direction=\"out\",name=\"pas\""] {
        assert!(numbers.contains(&format!("onward_paused{{{of}}} 1")), "{numbers}");
    }
    sleep(Duration::from_millis(2_500)).await;
    assert_eq!((pas.received().len(), gateway.outbox("queued")), (1, 2), "letters wait");

    assert_eq!(refused(&gateway, &["outbox", "pause", "pas", "--reason", "twice"]), Some(1));
    assert_eq!(refused(&gateway, &["outbox", "resume", "pas", "--reason", " "]), Some(1));
    assert_eq!(refused(&gateway, &["messages", "feed", "pause", "nowhere", "--reason", "x"]), Some(1));
    gateway.document(&["outbox", "resume", "pas", "--reason", "they are back"]);
    gateway.document(&["messages", "feed", "resume", "pas-feed", "--reason", "mapped"]);
    until("letters go on", async || pas.received().len() == 3).await;
    until("messages are taken", async || sent(port, 2).await).await;
    Watch::new()
        .until(&gateway, "nothing is paused", |it| !is_paused(it, "destination") && !is_paused(it, "feed"))
        .await;
    assert_eq!(gateway.document(&["messages", "feed", "counts"])["applied"], 2, "each once");
    gateway.check_ledger();

    let acts = gateway.document(&["acts"]);
    let deeds: Vec<_> =
        acts.as_array().unwrap().iter().rev().map(|it| json!([it["deed"], it["of"], it["why"]])).collect();
    let expected = json!([
        ["pause-out", "pas", "the hospital upgrades, ticket 7"],
        ["pause-in", "pas-feed", "wrong clinic codes"],
        ["resume-out", "pas", "they are back"],
        ["resume-in", "pas-feed", "mapped"],
    ]);
    assert_eq!(Value::from(deeds), expected);
    assert!(acts.as_array().unwrap().iter().all(|it| it["who"].is_string() && it["at"].is_string()));
    pas.stop().await;
}

#[test]
fn whoever_looks_at_the_content_of_messages_and_letters_is_known() {
    let gateway = Gateway::start(Options::default());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let people = People::new(73);
    let referral = bundles().referral(&people.next(), Timestamp::now());
    runtime.block_on(async { assert_eq!(post(&gateway.client(), headers().write(), &referral).await.status, 200) });
    let listed = gateway.document(&["messages", "list"]);
    let https = listed.as_array().unwrap().iter().find(|it| it["channel"] == "https").unwrap();
    let (message, letter) = (https["id"].as_str().unwrap(), gateway.document(&["outbox", "list"])[0]["id"].to_string());
    gateway.document(&["messages", "show", message]);
    assert_eq!(gateway.document(&["acts"]), json!([]), "that shows no content");
    gateway.document(&["messages", "show", message, "--body"]);
    gateway.document(&["outbox", "show", &letter]);
    let acts = gateway.document(&["acts"]);
    let seen = |index: usize| (acts[index]["deed"].as_str().unwrap(), acts[index]["of"].as_str().unwrap());
    assert_eq!((seen(0), seen(1)), (("view-letter", letter.as_str()), ("view-message", message)));
}
