//! REF^I12: a referral is accepted.

use super::{Draft, Kind, RenderError, segment};
use crate::booking::decision::NoticeKind;
use crate::hl7v2::write::Writer;

pub(super) const KIND: Kind = Kind {
    event: "REF^I12",
    structure: "REF_I12",
    notice: NoticeKind::ReferralPlaced,
    summary: "a referral is accepted",
    body,
};

/// The segments of all three messages about referrals: they differ in the event, which says what to do with them.
pub(super) fn body(writer: &mut Writer, draft: &Draft<'_>) -> Result<(), RenderError> {
    segment::rf1(writer, draft);
    segment::referring(writer, draft);
    segment::referred_to(writer, draft);
    segment::pid(writer, draft);
    segment::pd1(writer, draft);
    segment::obr(writer, draft);
    segment::pv1(writer, draft);
    segment::referral_notes(writer, draft);
    Ok(())
}
