use super::{Draft, service_code};
use crate::hl7v2::write::Writer;

/// What is asked for. OBR-2 is this gateway's own id of the referral, whatever stands in RF1-6.
pub(in crate::pas) fn obr(writer: &mut Writer, draft: &Draft<'_>) {
    let mut obr = writer.segment("OBR");
    obr.number(1, 1).parts(2, &[&draft.notice.referral.id.to_string(), draft.channel.authority()]);
    obr.parts(4, &service_code(&draft.notice.service));
}
