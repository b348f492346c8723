//! Every `fixtures/pas/<event>/*.json` is a [`Notice`], perhaps with the `channel` that it is for; the file of the
//! same name that ends in `.hl7` is the message, one segment per line. A new pair is a new test; `UPDATE=1` writes
//! what is rendered now.

use std::fs;
use std::path::{Path as File, PathBuf};

use serde::Deserialize;
use uuid::Uuid;

use super::channel::{Channel, Version};
use super::{ALL, Rendered, render};
use crate::booking::decision::Notice;
use crate::hl7v2::frame;
use crate::hl7v2::message::Message;
use crate::hl7v2::path::Path;

#[derive(Deserialize)]
struct Case {
    #[serde(default)]
    channel: Channel,
    #[serde(flatten)]
    notice: Notice,
}

const SEED: Uuid = Uuid::from_u128(0x0193_4f2a_0000_7000_8000_0000_0000_0001);

fn files() -> Vec<PathBuf> {
    let folder = File::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pas");
    let entries = |folder: PathBuf| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries(folder).filter(|path| path.is_dir()).flat_map(entries);
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|it| it == "json")).collect();
    files.sort();
    files
}

fn read(file: &File) -> Case {
    let text = fs::read_to_string(file).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn rendered(file: &File) -> (Case, Rendered) {
    let case = read(file);
    let rendered = render(&case.notice, &case.channel, SEED).unwrap();
    (case, rendered)
}

#[test]
fn renders_every_fixture_as_expected() {
    let update = std::env::var_os("UPDATE").is_some();
    for file in files() {
        let (_, rendered) = rendered(&file);
        let message = String::from_utf8(rendered.body).unwrap().replace('\r', "\n");
        let expected = file.with_extension("hl7");
        if update {
            fs::write(&expected, &message).unwrap();
        }
        let known = fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(message, known, "{} (UPDATE=1 accepts it)", file.display());
    }
}

#[test]
fn every_kind_of_message_has_two_fixtures_in_a_folder_of_its_name() {
    for kind in ALL {
        let folder = kind.event.to_lowercase().replace('^', "_");
        let files = files().into_iter().filter(|file| file.parent().unwrap().ends_with(&folder));
        let count = files.inspect(|file| assert_eq!(read(file).notice.kind, kind.notice, "{}", file.display())).count();
        assert!(count >= 2, "{folder} has {count}");
    }
}

#[test]
fn every_message_is_sound() {
    for file in files() {
        let (case, rendered) = rendered(&file);
        let name = file.display();
        let message = Message::parse(&rendered.body).unwrap();
        let text = |path: &str| message.get(Path::parse(path).unwrap()).text().unwrap_or_default().into_owned();
        assert_eq!(format!("{}^{}", text("MSH-9.1"), text("MSH-9.2")), rendered.event, "{name}");
        assert_eq!(text("MSH-10"), rendered.control_id, "{name}");
        assert_eq!(rendered.control_id.len(), 20, "{name}");
        assert!(!rendered.body.windows(2).any(|pair| pair == b"\"\""), "{name}: an order to delete");
        assert_eq!(text("PID-3.1") + &text("PID-3[2].1"), identifiers(&case), "{name}");
        let proven = case.notice.patient.nhs_number.is_some() && case.channel.version >= Version::V2_4;
        assert_eq!(text("PID-32"), if proven { "NSTS01" } else { "" }, "{name}");
        assert!(frame::wrap(&rendered.body).is_ok(), "{name}");
    }
}

fn identifiers(case: &Case) -> String {
    let national = case.notice.patient.nhs_number.map(|it| it.as_str().to_owned()).unwrap_or_default();
    let own = case.notice.patient.id.to_string();
    if case.channel.nhs_number_first { national + &own } else { own + &national }
}

#[test]
fn a_control_id_is_the_same_for_the_same_and_another_for_anything_else() {
    let (case, first) = rendered(&files()[0]);
    assert_eq!(render(&case.notice, &case.channel, SEED).unwrap().body, first.body);
    let other = |notice: &Notice, seed| render(notice, &case.channel, seed).unwrap().control_id;
    let mut elsewhere = case.notice.clone();
    elsewhere.service.destination = Some("elsewhere".to_owned());
    let mut another = case.notice.clone();
    another.referral.id.0 = Uuid::from_u128(99);
    let ids =
        [other(&case.notice, Uuid::from_u128(5)), other(&elsewhere, SEED), other(&another, SEED), first.control_id];
    let distinct: std::collections::HashSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "{ids:?}");
}
