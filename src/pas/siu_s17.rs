//! SIU^S17: a booking should never have been.

use super::segment::Action;
use super::{Kind, siu_s12};
use crate::booking::decision::NoticeKind;

pub(super) const KIND: Kind = Kind {
    event: "SIU^S17",
    structure: "SIU_S12",
    notice: NoticeKind::BookingDeleted,
    summary: "a booking should never have been",
    body: |writer, draft| siu_s12::body(writer, draft, Action::Delete),
};
