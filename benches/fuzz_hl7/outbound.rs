//! The other way: what hospitals and referrers are told, of resources and notices that are damaged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use onward::bars::telling;
use onward::booking::decision::Notice;
use onward::booking::feed::{News, Telling};
use onward::booking::identifier::OdsCode;
use onward::cli::hl7::notice::{self, Hints};
use onward::hl7v2::frame::wrap;
use onward::hl7v2::header::Header;
use onward::hl7v2::message::Message;
use onward::load::synthetic::{Bundles, FreeSlot, People};
use onward::pas::channel::Channel;
use onward::pas::inbound::convert::to_fhir;
use onward::pas::inbound::dialect::Dialect;
use onward::pas::{self, kind_of};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Numbers, VALUES};

/// What is damaged.
pub(crate) struct Seeds {
    /// Notices, each with the channel that it is for.
    notices: Vec<Value>,
    /// Messages of referrers, and resources of them.
    resources: Vec<Value>,
    /// How hospitals want their messages.
    channels: Vec<Channel>,
    organisation: Option<OdsCode>,
    dialect: Dialect,
}

/// What goes through the mappers that lead out.
pub(crate) struct Input {
    notice: Value,
    resource: Value,
    channel: usize,
    news: News,
    /// Is the message that is answered at hand?
    answers: bool,
}

impl Input {
    /// As it is left behind should it fail.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        json!({ "notice": self.notice, "resource": self.resource, "channel": self.channel, "answers": self.answers })
            .to_string()
            .into_bytes()
    }
}

/// How often each mapper made something, by its name.
pub(crate) type Made = BTreeMap<String, u64>;

impl Seeds {
    /// Those of `fixtures/pas/`, and the messages of the load tool.
    pub(crate) fn read(feed: &[String]) -> Self {
        let mut files = Vec::new();
        super::collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pas"), "json", &mut files);
        files.sort();
        let read = |file: &PathBuf| serde_json::from_slice::<Value>(&std::fs::read(file).unwrap()).unwrap();
        let notices: Vec<Value> = files.iter().map(read).collect();
        let channel = |notice: &Value| serde_json::from_value(notice["channel"].clone()).ok();
        let own = [("2.2", false), ("2.3.1", true), ("2.4", false), ("2.6", true)].map(|(version, offsets)| {
            json!({ "version": version, "offsets": offsets, "time_zone": "Europe/London", "commit_acknowledgement": offsets })
        });
        let own = own.into_iter().filter_map(|it| serde_json::from_value(it).ok());
        let channels: Vec<Channel> = notices.iter().filter_map(channel).chain(own).collect();
        assert!(1 < channels.len());
        let dialect = Dialect::shipped("itk").unwrap();
        let resources = resources(feed, &dialect);
        Self { notices, resources, channels, organisation: OdsCode::parse("RXX").ok(), dialect }
    }

    /// The next one.
    pub(crate) fn input(&self, numbers: &mut Numbers) -> Input {
        let damaged = |seeds: &[Value], numbers: &mut Numbers| {
            let mut value = numbers.one(seeds).clone();
            (0..numbers.below(5)).for_each(|_| damage(&mut value, numbers));
            value
        };
        // Much of what is damaged is no notice any more, and tells of no mapper.
        let mut notice = damaged(&self.notices, numbers);
        for _ in 0..8 {
            if Notice::deserialize(&notice).is_ok() {
                break;
            }
            notice = damaged(&self.notices, numbers);
        }
        Input {
            notice,
            resource: damaged(&self.resources, numbers),
            channel: numbers.below(self.channels.len()),
            news: *numbers.one(&News::ALL),
            answers: numbers.below(4) != 0,
        }
    }

    /// Through every mapper that leads out.
    pub(crate) fn run(&self, input: &Input, twice: bool, made: &mut Made) {
        let channel = &self.channels[input.channel];
        if let Ok(notice) = Notice::deserialize(&input.notice) {
            self.hospital(&notice, channel, made);
            told(notice, input, twice, made);
        } else {
            *made.entry("no notice any more".to_owned()).or_default() += 1;
        }
        let hints = Hints { kind: None, organisation: self.organisation.clone() };
        if let Ok(notice) = notice::read(&input.resource, &hints) {
            *made.entry("resources to HL7 v2".to_owned()).or_default() += 1;
            self.hospital(&notice, channel, made);
        }
    }

    /// What a hospital is sent can be framed and read, is about what it should be, and orders nothing to be deleted.
    fn hospital(&self, notice: &Notice, channel: &Channel, made: &mut Made) {
        let kind = kind_of(notice.kind);
        let Ok(rendered) = pas::render(notice, channel, Uuid::from_u128(7)) else {
            assert!(notice.appointment.is_none(), "it cannot be rendered");
            return;
        };
        *made.entry(kind.event.to_owned()).or_default() += 1;
        assert!(wrap(&rendered.body).is_ok(), "it cannot be framed");
        let message = Message::parse(&rendered.body).expect("it cannot be read");
        super::written(&message, &rendered.body);
        let header = Header::read(&rendered.body);
        assert_eq!((header.event().as_str(), header.control_id()), (kind.event, rendered.control_id.as_bytes()));
        let names: Vec<&[u8]> = message.segments().map(|segment| segment.name()).collect();
        assert!(names.iter().all(|name| KNOWN.contains(name)), "a value became a segment");
        for segment in message.segments() {
            let deletes = (1..=segment.fields()).any(|number| segment.field(number).raw() == b"\"\"");
            assert!(!deletes, "it orders something to be deleted");
        }
        assert!(to_fhir(&rendered.body, &self.dialect, true).is_ok(), "it cannot be converted");
    }
}

/// Segments that are sent.
const KNOWN: &[&[u8]] =
    &[b"MSH", b"SCH", b"RF1", b"PRD", b"PID", b"PD1", b"OBR", b"PV1", b"NTE", b"RGS", b"AIS", b"AIG", b"AIL"];

/// Messages of referrers, and what a hospital's messages become.
fn resources(feed: &[String], dialect: &Dialect) -> Vec<Value> {
    let bundles = Bundles::new("2000072489");
    let person = People::new(3).next();
    let at: Timestamp = "2026-03-01T09:15:00Z".parse().unwrap();
    let slot = FreeSlot {
        id: "slot-1".into(),
        schedule: "diary-1".into(),
        start: "2026-03-10T09:00:00Z".into(),
        end: "2026-03-10T09:20:00Z".into(),
    };
    let referral = Uuid::from_u128(2).to_string();
    let messages = [
        bundles.referral(&person, at),
        bundles.booking(&person, &slot, None, at),
        bundles.booking(&person, &slot, Some(&referral), at),
    ];
    let messages = messages.iter().map(|message| serde_json::from_slice(&message.body).unwrap());
    let converted = feed.iter().filter_map(|message| to_fhir(message.as_bytes(), dialect, true).ok());
    messages.chain(converted).collect()
}

/// What a referrer is told is a message whose headers are lines, whatever is known.
fn told(notice: Notice, input: &Input, twice: bool, made: &mut Made) {
    let news = if notice.appointment.is_none() { News::Progress } else { input.news };
    let Notice { service, patient, referral, appointment, at, .. } = notice;
    let origin = referral.origin.clone();
    let order = referral.id;
    let telling = Telling { news, service, patient, referral, order, appointment, origin, original: None, at };
    let original = Some(&input.resource).filter(|_| input.answers);
    let render = || telling::render(&telling, original, Uuid::from_u128(9), "https://onward.test/Id/case");
    let letter = render().expect("there is no message for it");
    assert!(!twice || letter.body == render().unwrap().body, "it is another one each time");
    *made.entry(format!("news: {news:?}")).or_default() += 1;
    let end = memchr::memmem::find(&letter.body, b"\r\n\r\n").expect("headers and a body");
    let head = std::str::from_utf8(&letter.body[..end]).expect("headers are text");
    assert!(head.split("\r\n").all(|line| line.split_once(": ").is_some()), "a header is no line");
    let bundle: Value = serde_json::from_slice(&letter.body[end + 4..]).expect("a body is JSON");
    let entries = bundle["entry"].as_array().expect("a message has entries");
    assert_eq!(entries[0]["resource"]["resourceType"], "MessageHeader");
    assert!(entries.iter().all(|entry| entry["fullUrl"].is_string()), "an entry that nothing can name");
}

/// One change somewhere in a document: a member gone, an item doubled, a value that is awkward.
fn damage(value: &mut Value, numbers: &mut Numbers) {
    let last = numbers.below(12) == 0;
    match value {
        Value::Object(members) if !members.is_empty() => {
            let name = members.keys().nth(numbers.below(members.len())).cloned().unwrap_or_default();
            match last {
                true => drop(members.remove(&name)),
                false => damage(&mut members[&name], numbers),
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let at = numbers.below(items.len());
            match (last, numbers.below(2)) {
                (true, 0) => drop(items.remove(at)),
                (true, _) => items.insert(at, items[at].clone()),
                _ => damage(&mut items[at], numbers),
            }
        }
        Value::String(text) => text.clone_from(&awkward(text, numbers)),
        Value::Number(number) => *number = [0, -1, 1, i64::MAX][numbers.below(4)].into(),
        Value::Bool(it) => *it = !*it,
        other => *other = [json!({}), json!([]), json!(""), json!(7)][numbers.below(4)].clone(),
    }
}

/// A text that is nothing like it, or it with something in it.
fn awkward(text: &str, numbers: &mut Numbers) -> String {
    const STATUSES: &[&str] = &[
        "booked",
        "arrived",
        "fulfilled",
        "cancelled",
        "noshow",
        "entered-in-error",
        "active",
        "on-hold",
        "revoked",
        "completed",
        "awaited",
        "referral",
        "validation",
        "routine",
        "stat",
        "home",
        "work",
        "old",
        "phone",
        "email",
    ];
    match numbers.below(4) {
        0 => (*numbers.one(VALUES)).to_owned(),
        1 => (*numbers.one(STATUSES)).to_owned(),
        2 => text.repeat(numbers.below(30)),
        _ => {
            let at = (0..=text.len()).filter(|at| text.is_char_boundary(*at)).nth(numbers.below(text.len() + 1));
            let mut text = text.to_owned();
            let value: &&str = numbers.one(VALUES);
            text.insert_str(at.unwrap_or(0), value);
            text
        }
    }
}
