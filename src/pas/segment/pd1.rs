use super::Draft;
use crate::hl7v2::write::Writer;

/// The registered practice (PD1-3, XON), where it is known.
pub(in crate::pas) fn pd1(writer: &mut Writer, draft: &Draft<'_>) {
    if let Some(practice) = &draft.notice.patient.demographics.practice {
        writer.segment("PD1").parts(3, &["", "", practice.as_str()]);
    }
}
