//! SIU^S12: a slot is booked.

use super::segment::{self, Action};
use super::{Draft, Kind, RenderError};
use crate::booking::decision::NoticeKind;
use crate::hl7v2::write::Writer;

pub(super) const KIND: Kind = Kind {
    event: "SIU^S12",
    structure: "SIU_S12",
    notice: NoticeKind::Booked,
    summary: "a slot is booked",
    body: |writer, draft| body(writer, draft, Action::Add),
};

/// The segments of all messages about bookings: they differ in what happens to what is taken up.
pub(super) fn body(writer: &mut Writer, draft: &Draft<'_>, action: Action) -> Result<(), RenderError> {
    let appointment = draft.appointment()?;
    segment::sch(writer, draft, appointment);
    segment::appointment_notes(writer, draft);
    segment::pid(writer, draft);
    segment::pd1(writer, draft);
    segment::pv1(writer, draft);
    segment::resources(writer, draft, appointment, action);
    Ok(())
}
