use super::Draft;
use crate::hl7v2::write::Writer;
use crate::pas::channel::Version;

/// Table 0364.
const REASON: [&str; 3] = ["GR", "General Reason", "HL70364"];
const INSTRUCTION: [&str; 3] = ["PI", "Patient Instructions", "HL70364"];
const REMARK: [&str; 3] = ["RE", "Remark", "HL70364"];

/// Why the patient is referred, and what they were told.
pub(in crate::pas) fn referral_notes(writer: &mut Writer, draft: &Draft<'_>) {
    let referral = &draft.notice.referral;
    notes(writer, draft, &[(&referral.reason_text, REASON), (&referral.patient_instruction, INSTRUCTION)]);
}

/// What the booking is for, and why it was cancelled.
pub(in crate::pas) fn appointment_notes(writer: &mut Writer, draft: &Draft<'_>) {
    if let Some(appointment) = &draft.notice.appointment {
        notes(writer, draft, &[(&appointment.description, REMARK), (&appointment.cancel_reason, REASON)]);
    }
}

fn notes(writer: &mut Writer, draft: &Draft<'_>, notes: &[(&Option<String>, [&str; 3])]) {
    let said =
        notes.iter().filter_map(|(text, kind)| Some((text.as_deref().filter(|it| !it.trim().is_empty())?, kind)));
    for (number, (text, kind)) in (1_u32..).zip(said) {
        let mut nte = writer.segment("NTE");
        nte.number(1, number).formatted(3, text);
        if draft.channel.version >= Version::V2_4 {
            nte.parts(4, kind);
        }
    }
}
