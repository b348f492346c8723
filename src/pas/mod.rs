//! Dialect: HL7 v2 as a hospital's patient administration system speaks it.
//!
//! One file per message type, one line each in [`ALL`]; what the command line and the README say is supported is
//! read from that table. A message says what is known and nothing else: an absent value is an empty field, which
//! means "no change" to its receiver; nothing here ever orders a receiver to delete.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::booking::appointment::Appointment;
use crate::booking::decision::{Notice, NoticeKind};
use crate::hl7v2::delimiters::Delimiters;
use crate::hl7v2::write::Writer;

pub mod channel;
pub mod inbound;
mod segment;

mod ref_i12;
mod ref_i13;
mod ref_i14;
mod siu_s12;
mod siu_s13;
mod siu_s14;
mod siu_s15;
mod siu_s17;
mod siu_s26;

pub mod simulator;

#[cfg(test)]
mod golden;

use channel::Channel;

/// Every message that is sent.
pub const ALL: &[Kind] = &[
    ref_i12::KIND,
    ref_i13::KIND,
    ref_i14::KIND,
    siu_s12::KIND,
    siu_s13::KIND,
    siu_s14::KIND,
    siu_s15::KIND,
    siu_s17::KIND,
    siu_s26::KIND,
];

/// A kind of message.
#[derive(Debug)]
pub struct Kind {
    /// MSH-9.1 and MSH-9.2: `REF^I12`.
    pub event: &'static str,
    /// MSH-9.3: `REF_I12`.
    pub structure: &'static str,
    /// What it is sent for.
    pub notice: NoticeKind,
    /// What it means, in few words.
    pub summary: &'static str,
    /// Writes everything behind the header.
    body: fn(&mut Writer, &Draft<'_>) -> Result<(), RenderError>,
}

/// A message that is ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// `REF^I12`
    pub event: &'static str,
    /// MSH-10.
    pub control_id: String,
    /// The bytes, without a frame.
    pub body: Vec<u8>,
}

/// Why a notice cannot be said in HL7 v2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A message about a booking needs one.
    #[error("the notice is about an appointment but has none")]
    NoAppointment,
}

/// What a message is made of.
struct Draft<'a> {
    notice: &'a Notice,
    channel: &'a Channel,
}

impl<'a> Draft<'a> {
    fn appointment(&self) -> Result<&'a Appointment, RenderError> {
        self.notice.appointment.as_ref().ok_or(RenderError::NoAppointment)
    }
}

/// The message for a notice. `seed` is the id of the journal message that caused it: the same notice of the same
/// message has the same control id however often it is rendered.
pub fn render(notice: &Notice, channel: &Channel, seed: Uuid) -> Result<Rendered, RenderError> {
    let kind = kind_of(notice.kind);
    let control_id = control_id(notice, kind, seed);
    let mut writer = Writer::new(Delimiters::STANDARD);
    let draft = Draft { notice, channel };
    segment::msh(&mut writer, &draft, kind, &control_id);
    (kind.body)(&mut writer, &draft)?;
    Ok(Rendered { event: kind.event, control_id, body: writer.finish() })
}

/// The message that is sent for a kind of notice.
pub fn kind_of(notice: NoticeKind) -> &'static Kind {
    match notice {
        NoticeKind::ReferralPlaced => &ref_i12::KIND,
        NoticeKind::ReferralAmended => &ref_i13::KIND,
        NoticeKind::ReferralCancelled => &ref_i14::KIND,
        NoticeKind::Booked => &siu_s12::KIND,
        NoticeKind::Rescheduled => &siu_s13::KIND,
        NoticeKind::BookingAmended => &siu_s14::KIND,
        NoticeKind::BookingCancelled => &siu_s15::KIND,
        NoticeKind::BookingDeleted => &siu_s17::KIND,
        NoticeKind::NotAttended => &siu_s26::KIND,
    }
}

/// MSH-10: twenty characters (the most that 2.4 allows) of base 32, which are 100 bits of a hash of where the
/// message goes, what caused it, what it says and about what.
fn control_id(notice: &Notice, kind: &Kind, seed: Uuid) -> String {
    let entity = notice.appointment.as_ref().map_or(notice.referral.id.0, |appointment| appointment.id.0);
    let mut hash = Sha256::new();
    hash.update(notice.service.destination.as_deref().unwrap_or_default());
    hash.update([0]);
    hash.update(kind.event);
    hash.update(seed.as_bytes());
    hash.update(entity.as_bytes());
    base32(&hash.finalize()[..])
}

/// Twenty characters without the ones that are mistaken for each other.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let bits = bytes.iter().take(13).fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte)) >> 4;
    (0..20).rev().map(|place| char::from(ALPHABET[(bits >> (5 * place) & 31) as usize])).collect()
}

/// The table of [`ALL`] as Markdown, for the README and the command line.
pub fn support_table() -> String {
    let mut table = String::from("| Message | Sent when |\n|---|---|\n");
    for kind in ALL {
        // Writing to a String does not fail.
        let _ = writeln!(table, "| `{}` | {} |", kind.event, kind.summary);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTICES: [NoticeKind; 9] = [
        NoticeKind::ReferralPlaced,
        NoticeKind::ReferralAmended,
        NoticeKind::ReferralCancelled,
        NoticeKind::Booked,
        NoticeKind::Rescheduled,
        NoticeKind::BookingAmended,
        NoticeKind::BookingCancelled,
        NoticeKind::BookingDeleted,
        NoticeKind::NotAttended,
    ];

    #[test]
    fn every_notice_has_its_one_line_in_the_table() {
        assert_eq!(ALL.len(), NOTICES.len());
        for notice in NOTICES {
            assert_eq!(kind_of(notice).notice, notice);
            assert_eq!(ALL.iter().filter(|kind| kind.notice == notice).count(), 1, "{notice:?}");
        }
        for kind in ALL {
            assert_eq!(ALL.iter().filter(|other| other.event == kind.event).count(), 1, "{}", kind.event);
            assert!(support_table().contains(kind.summary) && kind.structure.starts_with(&kind.event[..3]));
        }
    }

    #[test]
    fn base32_is_twenty_characters_of_the_leading_hundred_bits() {
        assert_eq!(base32(&[0; 32]), "0".repeat(20));
        assert_eq!(base32(&[255; 32]), "Z".repeat(20));
        assert_eq!(base32(&[0b0000_1000; 13])[..3], *"104");
    }
}
