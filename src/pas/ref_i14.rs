//! REF^I14: a referral is withdrawn, or should never have been.

use super::{Kind, ref_i12};
use crate::booking::decision::NoticeKind;

pub(super) const KIND: Kind = Kind {
    event: "REF^I14",
    structure: "REF_I12",
    notice: NoticeKind::ReferralCancelled,
    summary: "a referral is withdrawn, or should never have been",
    body: ref_i12::body,
};
