//! REF^I13: the content of a referral changes.

use super::{Kind, ref_i12};
use crate::booking::decision::NoticeKind;

pub(super) const KIND: Kind = Kind {
    event: "REF^I13",
    structure: "REF_I12",
    notice: NoticeKind::ReferralAmended,
    summary: "the content of a referral changes",
    body: ref_i12::body,
};
