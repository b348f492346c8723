//! How hospitals differ: `[mllp.channel]` in the configuration. A dialect is configuration, not code: those that are
//! shipped are files in this folder, and a channel's own settings go before its dialect's.

use std::collections::BTreeMap;

use encoding_rs::Encoding;
use serde::Deserialize;

use crate::booking::appointment::AppointmentStatus;
use crate::hl7v2::charset::{self, Fallback};
use crate::hl7v2::path::Path;
use crate::pas::channel::Zone;

/// The dialects that are shipped, by name.
pub const SHIPPED: &[(&str, &str)] = &[
    ("itk", include_str!("itk.toml")),
    ("medway", include_str!("medway.toml")),
    ("system-c", include_str!("system-c.toml")),
    ("lorenzo", include_str!("lorenzo.toml")),
    ("cerner", include_str!("cerner.toml")),
    ("epic", include_str!("epic.toml")),
    ("drdoctor", include_str!("drdoctor.toml")),
];

/// How the messages of a channel are read.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dialect {
    /// The shipped dialect that this one is like: `itk`, `medway`, `system-c`, `lorenzo`, `cerner`, `epic`, `drdoctor`.
    pub dialect: String,
    /// Message types that are taken.
    pub types: Vec<String>,
    /// Events that are kept and not applied, such as `ADT^A02`.
    pub ignored: Vec<String>,
    /// MSH-11 that is taken; empty: `P` in production, everything in a sandbox.
    pub processing_ids: Vec<String>,
    /// Senders that are taken, as `MSH-3|MSH-4`; either side may be empty for any. Empty: everybody.
    pub senders: Vec<String>,
    /// The character set of every message, whatever it says.
    pub charset: Option<Charset>,
    /// The character set of messages that say none that is known and are not UTF-8.
    pub charset_fallback: Charset,
    /// Read messages that are not in the set that they say by the fallback, instead of refusing them.
    pub charset_tolerant: bool,
    /// Where the hospital's clock stands.
    pub time_zone: Zone,
    /// Times that the clocks went forward over: `refuse` them, or move them `forward` by as much.
    pub gap: Gap,
    /// Times that are there twice: `hold` the message for a person, or take the `first`.
    pub overlap: Overlap,
    /// Bookings at midnight, which is what becomes of a day without an hour: `hold` the message for a person, or `take` it.
    pub midnight: Midnight,
    /// What `""` means: `delete` what is held, or `absent`.
    pub null: Null,
    /// Where the time of the event stands; the first that is valued.
    pub event_time: Vec<Place>,
    /// Where an NHS number stands beside PID-3.
    pub nhs_number: Vec<Place>,
    /// CX-5 of an NHS number.
    pub nhs_types: Vec<String>,
    /// Where the status of the NHS number stands.
    pub nhs_status: Vec<Place>,
    /// Who issues local numbers: CX-4.1 and the URI that stands for it.
    pub authorities: BTreeMap<String, String>,
    /// Where an ADT message has the number of the booking.
    pub booking: Vec<Place>,
    /// Where an ADT message has the time of the booking.
    pub appointment_time: Vec<Place>,
    /// Where the clinic's code stands.
    pub clinic: Vec<Place>,
    /// Where the clinic's name stands.
    pub clinic_name: Vec<Place>,
    /// Where the site's ODS code stands.
    pub site: Vec<Place>,
    /// Where the treatment function code stands.
    pub treatment_function: Vec<Place>,
    /// Where the unique booking reference number stands.
    pub ubrn: Vec<Place>,
    /// Where the patient pathway identifier stands.
    pub pathway: Vec<Place>,
    /// Where it says whether the patient attended.
    pub attended: Vec<Place>,
    /// Where it says who cancelled, or why.
    pub cancelled_by: Vec<Place>,
    /// Where it says that address and telephone are not to be told (`1`, or `2` with PV1-16 `S`).
    pub restricted: Vec<Place>,
    /// Values that stand for "not known".
    pub placeholders: Vec<String>,
    /// Codes of attendance: `booked`, `arrived`, `fulfilled`, `cancelled` or `noshow`.
    pub attendance: BTreeMap<String, Status>,
    /// Codes of SCH-25, in capitals.
    pub schedule_status: BTreeMap<String, Status>,
    /// The service (Directory of Services id) of each clinic's code.
    pub services: BTreeMap<String, String>,
    /// The service of every other clinic; not set: the clinic stands for itself.
    pub service: Option<String>,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            dialect: "itk".to_owned(),
            types: ["ADT", "SIU", "REF", "RRI", "MFN"].map(str::to_owned).to_vec(),
            ignored: Vec::new(),
            processing_ids: Vec::new(),
            senders: Vec::new(),
            charset: None,
            charset_fallback: Charset(encoding_rs::WINDOWS_1252),
            charset_tolerant: false,
            time_zone: Zone::default(),
            gap: Gap::Refuse,
            overlap: Overlap::Hold,
            midnight: Midnight::Hold,
            null: Null::Delete,
            event_time: Vec::new(),
            nhs_number: Vec::new(),
            nhs_types: Vec::new(),
            nhs_status: Vec::new(),
            authorities: BTreeMap::new(),
            booking: Vec::new(),
            appointment_time: Vec::new(),
            clinic: Vec::new(),
            clinic_name: Vec::new(),
            site: Vec::new(),
            treatment_function: Vec::new(),
            ubrn: Vec::new(),
            pathway: Vec::new(),
            attended: Vec::new(),
            cancelled_by: Vec::new(),
            restricted: Vec::new(),
            placeholders: Vec::new(),
            attendance: BTreeMap::new(),
            schedule_status: BTreeMap::new(),
            services: BTreeMap::new(),
            service: None,
        }
    }
}

/// Why a channel's settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DialectError {
    /// There is no dialect of this name.
    #[error("there is no dialect {0:?}; there are: {known}", known = names())]
    Unknown(String),
    /// A setting is not known or not of its kind.
    #[error("{0}")]
    Setting(#[from] toml::de::Error),
}

fn names() -> String {
    SHIPPED.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

impl Dialect {
    /// Does the text stand for "not known"?
    pub fn is_placeholder(&self, text: &str) -> bool {
        self.placeholders.iter().any(|placeholder| placeholder.eq_ignore_ascii_case(text))
    }

    /// The shipped one of a name.
    pub fn shipped(name: &str) -> Result<Self, DialectError> {
        let mut table = toml::Table::new();
        table.insert("dialect".to_owned(), name.into());
        Self::read(&table)
    }

    /// A channel's own settings, over those of its dialect, over those of the UK profile.
    pub fn read(own: &toml::Table) -> Result<Self, DialectError> {
        let name = own.get("dialect").and_then(toml::Value::as_str).unwrap_or("itk");
        let mut table = file("itk")?;
        if name != "itk" {
            table = over(table, file(name)?);
        }
        Ok(over(table, own.clone()).try_into()?)
    }

    /// What the character set is where the message does not say.
    pub fn fallback(&self) -> Fallback {
        Fallback {
            always: self.charset.map(|charset| charset.0),
            otherwise: self.charset_fallback.0,
            tolerant: self.charset_tolerant,
        }
    }

    /// Is this one of those whose messages are taken?
    pub fn knows_sender(&self, application: &str, facility: &str) -> bool {
        let fits = |wanted: &str, said: &str| wanted.is_empty() || wanted == said;
        self.senders.is_empty()
            || self.senders.iter().any(|sender| {
                let (wanted_application, wanted_facility) = sender.split_once('|').unwrap_or((sender, ""));
                fits(wanted_application, application) && fits(wanted_facility, facility)
            })
    }
}

fn file(name: &str) -> Result<toml::Table, DialectError> {
    let found = SHIPPED.iter().find(|(known, _)| *known == name);
    let (_, text) = found.ok_or_else(|| DialectError::Unknown(name.to_owned()))?;
    Ok(text.parse()?)
}

/// What is said above goes before what is said below; a table of codes is the whole table.
fn over(mut below: toml::Table, above: toml::Table) -> toml::Table {
    below.extend(above);
    below
}

/// What `""` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Null {
    Delete,
    Absent,
}

/// What becomes of a time that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Gap {
    Refuse,
    Forward,
}

/// What becomes of a time that is there twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Overlap {
    Hold,
    First,
}

/// What becomes of a booking at midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Midnight {
    Hold,
    Take,
}

/// Where a booking stands, in a table of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Status {
    Pending,
    Booked,
    Arrived,
    Fulfilled,
    Cancelled,
    NoShow,
}

impl Status {
    /// `None`: it is no booking yet.
    pub fn appointment(self) -> Option<AppointmentStatus> {
        match self {
            Self::Pending => None,
            Self::Booked => Some(AppointmentStatus::Booked),
            Self::Arrived => Some(AppointmentStatus::Arrived),
            Self::Fulfilled => Some(AppointmentStatus::Fulfilled),
            Self::Cancelled => Some(AppointmentStatus::Cancelled),
            Self::NoShow => Some(AppointmentStatus::NoShow),
        }
    }
}

/// A place in a message, such as `PV1-19.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Place(pub Path);

impl TryFrom<String> for Place {
    type Error = crate::hl7v2::path::PathError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Path::parse(&text).map(Self)
    }
}

/// A character set by its name in table 0211, or by its usual one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Charset(pub &'static Encoding);

impl TryFrom<String> for Charset {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        charset::encoding(&name).map(Self).ok_or_else(|| format!("{name:?} is not a character set that is known here"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_dialect_can_be_read() {
        for (name, _) in SHIPPED {
            let dialect = Dialect::shipped(name).unwrap();
            assert_eq!(dialect.dialect, *name);
            assert!(!dialect.event_time.is_empty() && !dialect.attendance.is_empty(), "{name}");
        }
    }

    #[test]
    fn a_channel_goes_before_its_dialect() {
        let own = "dialect = \"cerner\"\nnull = \"delete\"\nubrn = [\"ZZZ-1\"]\n[services]\nORTHO1 = \"1\"";
        let dialect = Dialect::read(&own.parse().unwrap()).unwrap();
        assert_eq!((dialect.null, dialect.ubrn.as_slice()), (Null::Delete, &[Place(Path::of("ZZZ-1"))][..]));
        assert_eq!((dialect.booking.len(), dialect.services["ORTHO1"].as_str()), (1, "1"));
        for wrong in ["dialect = \"klingon\"", "ubrn = [\"rf1-6\"]", "nul = \"delete\"", "charset = \"KLINGON\""] {
            assert!(Dialect::read(&wrong.parse().unwrap()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn knows_its_senders() {
        let dialect = |text: &str| Dialect::read(&text.parse().unwrap()).unwrap();
        assert!(dialect("").knows_sender("A", "B"));
        let some = dialect("senders = [\"PAS|RXX\", \"|RYY\"]");
        assert!(some.knows_sender("PAS", "RXX") && some.knows_sender("X", "RYY"));
        assert!(!some.knows_sender("X", "RXX") && !some.knows_sender("PAS", ""));
    }
}
