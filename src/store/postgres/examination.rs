//! The server, looked at from outside: nothing is written, and nothing brought to a newer schema.

use jiff::Timestamp;

use super::connection::Server;
use super::session::Link;
use super::{Options, background, schema};
use crate::store::sql::fault::Fault;
use crate::store::sql::session::{Session, text};
use crate::store::symptom::{Kind, Symptom};

/// Clocks further apart than this are told of.
const CLOCK_TOLERANCE_S: i64 = 1;

/// Everything that can be asked.
pub(in crate::store) fn examine(options: &Options) -> Vec<Symptom> {
    // On a thread of its own: whoever asks may be a thread of a runtime.
    let looked = std::thread::scope(|scope| scope.spawn(|| look(options)).join());
    match looked.unwrap_or(Err(Fault::Broken("looking at the database ended in a panic"))) {
        Ok(symptoms) => symptoms,
        Err(Fault::SchemaTooNew { found, known }) => {
            vec![Symptom::new(Kind::TooNew, format!("schema {found}, this version knows {known}"))]
        }
        Err(fault) => vec![Symptom::new(Kind::Unreachable, fault.to_string())],
    }
}

fn look(options: &Options) -> Result<Vec<Symptom>, Fault> {
    let runtime = background()?;
    let server = Server::new(options, runtime.handle().clone())?;
    let link = server.reader()?;
    let mut found = promises(&link, options.rules.sandbox)?;
    found.extend(clock(&link)?);
    if !schema::exists(&link)? {
        found.push(Symptom::new(Kind::Missing, "the database has no tables of this gateway"));
        return Ok(found);
    }
    let (version, known) = (schema::version(&link)?.unwrap_or_default(), schema::known());
    if version < known {
        found.push(Symptom::new(Kind::Older, format!("schema {version}, this version makes it {known}")));
    }
    Ok(found)
}

fn shown(link: &Link, setting: &str) -> Result<String, Fault> {
    let session: &dyn Session = link;
    Ok(session.one(&format!("SHOW {setting}"), &[], text)?.unwrap_or_default())
}

/// The settings that durability rests on.
fn promises(link: &Link, is_sandbox: bool) -> Result<Vec<Symptom>, Fault> {
    let version = shown(link, "server_version_num")?.parse::<i64>().unwrap_or_default();
    let words = shown(link, "server_version")?;
    let mut found = Vec::new();
    let mut tell = |kind: Kind, text: &str| found.push(Symptom::new(kind, text).tolerated(is_sandbox));
    match (version / 10_000, version % 10_000) {
        (..15, _) => tell(Kind::ServerOld, &words),
        (_, 0) => tell(Kind::ServerMinor, &words),
        _ => {}
    }
    let standbys = shown(link, "synchronous_standby_names")?;
    match shown(link, "synchronous_commit")?.as_str() {
        "off" => tell(Kind::CommitOff, "synchronous_commit = off"),
        "local" if !standbys.is_empty() => tell(Kind::CommitLocal, "synchronous_commit = local"),
        _ if standbys.is_empty() => tell(Kind::NoStandby, "synchronous_standby_names is empty"),
        _ => {}
    }
    for (setting, kind) in
        [("fsync", Kind::FsyncOff), ("full_page_writes", Kind::PagesOff), ("data_checksums", Kind::NoChecksums)]
    {
        if shown(link, setting)? == "off" {
            tell(kind, &format!("{setting} = off"));
        }
    }
    found.push(Symptom::new(Kind::Well, format!("PostgreSQL {words}")));
    Ok(found)
}

/// Leases go by the server's clock, messages by this machine's.
fn clock(link: &Link) -> Result<Option<Symptom>, Fault> {
    const CLOCK: &str = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)";
    let session: &dyn Session = link;
    let theirs: Option<Timestamp> = session.one(CLOCK, &[], |row| row.get(0))?;
    let apart_s = theirs.map_or(0, |theirs| Timestamp::now().duration_since(theirs).abs().as_secs());
    Ok((apart_s > CLOCK_TOLERANCE_S).then(|| Symptom::new(Kind::ClockDiffers, format!("by {apart_s} s"))))
}
