//! SIU^S14: the content of a booking changes, but not its time.

use super::segment::Action;
use super::{Kind, siu_s12};
use crate::booking::decision::NoticeKind;

pub(super) const KIND: Kind = Kind {
    event: "SIU^S14",
    structure: "SIU_S12",
    notice: NoticeKind::BookingAmended,
    summary: "the content of a booking changes, but not its time",
    body: |writer, draft| siu_s12::body(writer, draft, Action::Update),
};
