use super::{Draft, coded, referral_ids};
use crate::booking::appointment::{Appointment, AppointmentStatus};
use crate::booking::decision::NoticeKind;
use crate::hl7v2::write::Writer;

/// The booking.
pub(in crate::pas) fn sch(writer: &mut Writer, draft: &Draft<'_>, appointment: &Appointment) {
    let channel = draft.channel;
    let own = draft.notice.referral.id.to_string();
    let minutes = minutes(appointment);
    let (start, end) = (channel.instant(appointment.start), channel.instant(appointment.end));
    let mut sch = writer.segment("SCH");
    sch.parts(1, &[&appointment.id.to_string(), channel.authority()]);
    sch.parts(6, &event_reason(draft.notice.kind, appointment));
    sch.parts(7, &draft.notice.referral.reasons.first().map_or([""; 3], coded));
    if !minutes.is_empty() {
        sch.text(9, &minutes).text(10, "min");
    }
    sch.parts(11, &["", "", &minutes, &start, &end]);
    // SCH-16 and SCH-20 are required: no person filed or entered this, the gateway did.
    sch.parts(16, &["", &channel.sending_application]).parts(20, &["", &channel.sending_application]);
    sch.parts(25, &[status(appointment.status), "", "HL70278"]);
    for id in referral_ids(draft, &own) {
        sch.parts(26, &id);
    }
}

/// SCH-9: whole minutes.
pub(super) fn minutes(appointment: &Appointment) -> String {
    let seconds = appointment.end.as_second() - appointment.start.as_second();
    if seconds > 0 && seconds % 60 == 0 { (seconds / 60).to_string() } else { String::new() }
}

/// SCH-6: what happened, and why where somebody said so.
fn event_reason(kind: NoticeKind, appointment: &Appointment) -> [&str; 2] {
    let code = match (kind, appointment.status) {
        (_, AppointmentStatus::EnteredInError) => "entered-in-error",
        (NoticeKind::BookingCancelled, _) => "cancelled",
        (NoticeKind::NotAttended, _) => "noshow",
        (NoticeKind::Rescheduled, _) => "rescheduled",
        (NoticeKind::BookingAmended, _) => "amended",
        _ => "booked",
    };
    [code, appointment.cancel_reason.as_deref().unwrap_or_default()]
}

/// Table 0278.
pub(super) fn status(status: AppointmentStatus) -> &'static str {
    match status {
        AppointmentStatus::Booked => "Booked",
        AppointmentStatus::Arrived => "Started",
        AppointmentStatus::Fulfilled => "Complete",
        AppointmentStatus::Cancelled => "Cancelled",
        AppointmentStatus::NoShow => "Noshow",
        AppointmentStatus::EnteredInError => "Deleted",
    }
}
