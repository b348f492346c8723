//! SIU^S15: a booking is cancelled.

use super::segment::Action;
use super::{Kind, siu_s12};
use crate::booking::decision::NoticeKind;

pub(super) const KIND: Kind = Kind {
    event: "SIU^S15",
    structure: "SIU_S12",
    notice: NoticeKind::BookingCancelled,
    summary: "a booking is cancelled",
    body: |writer, draft| siu_s12::body(writer, draft, Action::Delete),
};
