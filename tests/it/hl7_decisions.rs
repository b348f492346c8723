//! What a person decides about messages in quarantine: read again, read as another channel's, or left for good; each
//! with a reason, on record. And what becomes of a batch of which one message cannot be kept.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use futures_util::StreamExt;
use onward::booking::decide::decide;
use onward::booking::decision::Rules;
use onward::hl7v2::frame::{Mllp, wrap};
use onward::intake::hl7::{Feed, prepare};
use onward::pas::inbound::dialect::Dialect;
use onward::store::sqlite::{Options, SqliteStore};
use onward::store::{FEED_STATES, Store};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::codec::FramedRead;
use uuid::Uuid;

use crate::gateway::{self, Gateway};

fn admission(n: u32) -> String {
    format!(
        "MSH|^~\\&|PAS|RZ9|ONWARD|X26|20260301091500||ADT^A28^ADT_A05|C{n}|T|2.4\rEVN||20260301091500\r\
         PID|1||P{n}^^^RZ9^MR||TESTER^ONE^^^^^L||19800101|1\r"
    )
}

/// A channel that takes no admissions, with so many of them in quarantine; and one that does.
fn quarantine(count: u32) -> (TempDir, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    configure(dir.path(), "SIU");
    let options = Options { rules: Rules { sandbox: true, ..Default::default() }, ..Options::default() };
    let store = SqliteStore::open(&dir.path().join("onward.db"), options, decide).unwrap();
    let dialect = Dialect::read(&"types = [\"SIU\"]".parse().unwrap()).unwrap();
    let feed = Feed { channel: "pas".into(), organisation: "RZ9".into(), dialect, tell: crate::referrers::nobody() };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ids = (0..count).map(|n| {
        let prepared = prepare(&feed, admission(n).into_bytes(), true, None);
        let id = prepared.message.id.to_string();
        runtime.block_on(store.submit(prepared.message, prepared.work)).unwrap();
        id
    });
    let ids = ids.collect();
    store.close();
    (dir, ids)
}

fn configure(dir: &Path, types: &str) {
    let channel = |name: &str, port: u16, types: &str| {
        format!("[[mllp]]\nname = \"{name}\"\nlisten = \"127.0.0.1:{port}\"\n[mllp.channel]\ntypes = [\"{types}\"]\n")
    };
    let text =
        format!("environment = \"sandbox\"\n{}{}", channel("pas", 2575, types), channel("community", 2576, "ADT"));
    fs::write(dir.join("onward.toml"), text).unwrap();
}

fn onward(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("onward").unwrap();
    command.env_remove("ONWARD_CONFIG").env("ONWARD_DIR", dir).env("USER", "dora").current_dir(dir).args(args);
    command
}

fn document(dir: &Path, args: &[&str]) -> Value {
    let done = onward(dir, &[&["--json"], args].concat()).output().unwrap();
    serde_json::from_slice(&done.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&done.stderr)))
}

fn refusal(dir: &Path, args: &[&str]) -> String {
    let done = onward(dir, args).assert().code(1);
    assert!(done.get_output().stdout.is_empty());
    String::from_utf8(done.get_output().stderr.clone()).unwrap()
}

fn people(dir: &Path) -> u64 {
    let conn = rusqlite::Connection::open(dir.join("onward.db")).unwrap();
    conn.query_row("SELECT count(*) FROM patient", (), |row| row.get::<_, i64>(0)).unwrap().unsigned_abs()
}

/// The row of a settled message, and of the message that settled it.
fn settled(dir: &Path, id: &str) -> (Value, Value) {
    let feed = document(dir, &["messages", "show", id])["feed"].clone();
    let by = document(dir, &["messages", "show", feed["settled_by"].as_str().unwrap()]);
    (feed, by)
}

#[test]
fn a_replay_reads_the_bytes_again_by_what_is_configured_now() {
    let (dir, ids) = quarantine(2);
    let replay = |reason: &str| document(dir.path(), &["messages", "replay", &ids[0], "--reason", reason]);
    // Nothing was mended: it is in quarantine as a new message, and the old one is settled.
    assert_eq!(replay("is it better?")[0]["state"], "quarantined");
    let kept = document(dir.path(), &["messages", "feed", "list"]);
    assert_eq!((kept.as_array().unwrap().len(), people(dir.path())), (2, 0));
    let new = kept.as_array().unwrap().iter().find(|it| it["message"] != ids[1].as_str()).unwrap();
    configure(dir.path(), "ADT");
    let new = new["message"].as_str().unwrap();
    let replayed = document(dir.path(), &["messages", "replay", new, &ids[1], "--reason", "the type is taken now"]);
    assert_eq!((&replayed[0]["state"], &replayed[1]["state"]), (&"applied".into(), &"applied".into()));
    assert_eq!(people(dir.path()), 2);
    let counts = document(dir.path(), &["messages", "feed", "counts"]);
    assert_eq!((&counts["replayed"], &counts["applied"], &counts["quarantined"]), (&3.into(), &2.into(), &Value::Null));
    let (feed, by) = settled(dir.path(), new);
    assert_eq!(
        (&feed["state"], &feed["who"], &feed["why"]),
        (&"replayed".into(), &"dora".into(), &"the type is taken now".into())
    );
    assert_eq!((&by["channel"], &by["caller"], &by["command"]), (&"cli".into(), &"pas".into(), &"feed person".into()));
    assert_eq!(by["sha256"], document(dir.path(), &["messages", "show", new])["sha256"], "the bytes as they came");
}

#[test]
fn a_rerouted_message_is_read_as_the_other_channels() {
    let (dir, ids) = quarantine(1);
    let reroute = |channel: &str| {
        vec!["messages", "reroute", &ids[0], "--channel", channel, "--reason", "wrong port"]
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let args = reroute("nowhere");
    let text = refusal(dir.path(), &args.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(text.contains("nowhere"), "{text}");
    let args = reroute("community");
    let done = document(dir.path(), &args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!((&done[0]["state"], people(dir.path())), (&"applied".into(), 1));
    let (feed, by) = settled(dir.path(), &ids[0]);
    assert_eq!(
        (&feed["state"], &feed["channel"], &by["caller"]),
        (&"rerouted".into(), &"pas".into(), &"community".into())
    );
}

#[test]
fn a_skipped_message_is_kept_and_never_applied() {
    let (dir, ids) = quarantine(1);
    let skip = ["messages", "skip", &ids[0], "--reason", "  Mr Tester rang: it is about his brother "];
    assert_eq!(document(dir.path(), &skip)[0]["state"], "skipped");
    assert_eq!(people(dir.path()), 0);
    let (feed, by) = settled(dir.path(), &ids[0]);
    assert_eq!((&feed["state"], &feed["who"]), (&"skipped".into(), &"dora".into()));
    assert_eq!(feed["why"], "Mr Tester rang: it is about his brother");
    assert_eq!((&by["kind"], &by["command"], &by["caller"]), (&"skip".into(), &"Skip".into(), &"dora".into()));
    // A reason may name anybody, so it is in no issue and in no other list.
    assert!(!by.to_string().contains("Mr Tester"), "{by}");
    assert!(!document(dir.path(), &["messages", "list"]).to_string().contains("Mr Tester"));
    let shown = onward(dir.path(), &["messages", "show", &ids[0]]).output().unwrap().stdout;
    assert!(String::from_utf8(shown).unwrap().contains("Why           Mr Tester rang"));
    // What is settled stays settled.
    for what in ["skip", "replay"] {
        assert!(refusal(dir.path(), &["messages", what, &ids[0], "--reason", "again"]).contains("not in quarantine"));
    }
}

#[test]
fn nobody_decides_without_a_reason_or_about_what_is_not_there() {
    let (dir, ids) = quarantine(1);
    for what in ["skip", "replay"] {
        assert!(refusal(dir.path(), &["messages", what, &ids[0]]).contains("--reason"));
        assert!(refusal(dir.path(), &["messages", what, &ids[0], "--reason", " \t"]).contains("--reason"));
    }
    let nobody = Uuid::nil().to_string();
    assert!(refusal(dir.path(), &["messages", "replay", &nobody, "--reason", "why not"]).contains("no message"));
    assert!(refusal(dir.path(), &["messages", "skip", &nobody, "--reason", "why not"]).contains("not in quarantine"));
    let counts = document(dir.path(), &["messages", "feed", "counts"]);
    assert_eq!(counts, serde_json::json!({ "quarantined": 1 }));
}

#[test]
fn the_schema_knows_the_states_and_no_others() {
    let (dir, _) = quarantine(1);
    let conn = rusqlite::Connection::open(dir.path().join("onward.db")).unwrap();
    let sql =
        "UPDATE feed_message SET state = ?1, settled_by = iif(?1 IN ('replayed', 'skipped', 'rerouted'), x'00', NULL)";
    for state in FEED_STATES {
        assert_eq!(conn.execute(sql, [state]).unwrap(), 1, "{state}");
    }
    assert!(conn.execute(sql, ["lost"]).is_err());
}

/// A database that refuses exactly one message, as a full or failing disk would in the middle of a batch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_which_one_cannot_be_kept_is_not_answered_and_may_be_sent_again() {
    let gateway = Gateway::start(gateway::Options::default());
    let addr = gateway.mllp.unwrap();
    let batch = format!(
        "BHS|^~\\&|PAS|RZ9|ONWARD|X26|20260301091500||||B1\r{}{}{}BTS|3\r",
        admission(1),
        admission(2),
        admission(3)
    );
    let database = rusqlite::Connection::open(gateway.path("onward.db")).unwrap();
    database.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    database
        .execute_batch(
            "CREATE TRIGGER refuse_one BEFORE INSERT ON message WHEN NEW.bundle = 'C2'
             BEGIN SELECT RAISE(ABORT, 'refused'); END",
        )
        .unwrap();
    let count = |sql: &str| database.query_row(sql, (), |row| row.get::<_, i64>(0)).unwrap();
    let send = async || {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(&wrap(batch.as_bytes()).unwrap()).await.unwrap();
        match FramedRead::new(stream, Mllp::default()).next().await {
            Some(answer) => answer.unwrap().to_vec(),
            None => Vec::new(),
        }
    };
    assert!(send().await.is_empty(), "the whole batch is the sender's still");
    assert_eq!(count("SELECT count(*) FROM patient_number"), 1);
    database.execute_batch("DROP TRIGGER refuse_one").unwrap();
    let first = send().await;
    let again = send().await;
    let acknowledged = |answer: &[u8]| -> Vec<String> {
        let lines = String::from_utf8_lossy(answer).into_owned();
        lines.split('\r').filter(|line| line.starts_with("MSA|")).map(str::to_owned).collect()
    };
    assert_eq!(acknowledged(&first), ["MSA|AA|C1", "MSA|AA|C2", "MSA|AA|C3"]);
    assert_eq!(acknowledged(&first), acknowledged(&again));
    assert_eq!(count("SELECT count(*) FROM patient_number"), 3);
    assert_eq!(count("SELECT count(*) FROM feed_message WHERE state = 'applied'"), 3);
    assert_eq!(count("SELECT count(*) FROM feed_message WHERE state = 'duplicate'"), 4);
}
