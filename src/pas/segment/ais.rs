use super::sch::{minutes, status};
use super::{Draft, location, service_code};
use crate::booking::appointment::Appointment;
use crate::hl7v2::write::Writer;

/// Segment action code (table 0206): what happens to what a booking takes up.
#[derive(Clone, Copy)]
pub(in crate::pas) enum Action {
    Add,
    Update,
    Delete,
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Self::Add => "A",
            Self::Update => "U",
            Self::Delete => "D",
        }
    }
}

/// What a booking takes up: the service (AIS), the slot of its diary (AIG) and the place (AIL), as one group (RGS).
pub(in crate::pas) fn resources(writer: &mut Writer, draft: &Draft<'_>, appointment: &Appointment, action: Action) {
    let service = &draft.notice.service;
    let (start, minutes) = (draft.channel.instant(appointment.start), minutes(appointment));
    let unit = if minutes.is_empty() { "" } else { "min" };
    let (action, status) = (action.as_str(), status(appointment.status));
    writer.segment("RGS").number(1, 1).text(2, action);
    let mut ais = writer.segment("AIS");
    ais.number(1, 1).text(2, action).parts(3, &service_code(service));
    ais.text(4, &start).text(7, &minutes).text(8, unit).text(10, status);
    drop(ais);
    if let Some(slot) = &appointment.slot {
        let mut aig = writer.segment("AIG");
        aig.number(1, 1).text(2, action).text(3, &slot.0).text(4, "SLOT");
        aig.text(8, &start).text(11, &minutes).text(12, unit).text(14, status);
    }
    let mut ail = writer.segment("AIL");
    ail.number(1, 1).text(2, action).parts(3, &location(service));
    ail.text(6, &start).text(9, &minutes).text(10, unit).text(12, status);
}
