//! SIU^S26: the patient did not come.

use super::segment::Action;
use super::{Kind, siu_s12};
use crate::booking::decision::NoticeKind;

pub(super) const KIND: Kind = Kind {
    event: "SIU^S26",
    structure: "SIU_S12",
    notice: NoticeKind::NotAttended,
    summary: "the patient did not come",
    body: |writer, draft| siu_s12::body(writer, draft, Action::Update),
};
