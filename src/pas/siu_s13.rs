//! SIU^S13: a booking moves to another slot.

use super::segment::Action;
use super::{Kind, siu_s12};
use crate::booking::decision::NoticeKind;

pub(super) const KIND: Kind = Kind {
    event: "SIU^S13",
    structure: "SIU_S12",
    notice: NoticeKind::Rescheduled,
    summary: "a booking moves to another slot",
    body: |writer, draft| siu_s12::body(writer, draft, Action::Update),
};
