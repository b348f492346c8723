use super::{Draft, Kind};
use crate::hl7v2::write::Writer;

/// The header.
pub(in crate::pas) fn msh(writer: &mut Writer, draft: &Draft<'_>, kind: &Kind, control_id: &str) {
    let channel = draft.channel;
    let (message, event) = kind.event.split_once('^').unwrap_or((kind.event, ""));
    let mut msh = writer.segment("MSH");
    msh.text(3, &channel.sending_application).text(4, &channel.sending_facility);
    msh.text(5, &channel.receiving_application).text(6, &channel.receiving_facility);
    msh.text(7, &channel.instant(draft.notice.at)).parts(9, &[message, event, kind.structure]);
    msh.text(10, control_id).text(11, channel.processing_id.as_str()).text(12, channel.version.as_str());
    if channel.commit_acknowledgement {
        msh.text(15, "AL").text(16, "NE");
    }
    msh.text(17, "GBR").text(18, "UNICODE UTF-8");
}
