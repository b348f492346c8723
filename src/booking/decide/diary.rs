//! Diaries are published by their owner; there is nothing to weigh.

use crate::booking::command::PublishSlots;
use crate::booking::decision::{Change, Decision};

/// Takes over what the owner says; a slot that is sold stays sold (the store's constraint).
pub(super) fn publish(it: &PublishSlots) -> Decision {
    Decision {
        patient: None,
        referral: None,
        appointment: None,
        changes: vec![Change::Diary(Box::new(it.clone()))],
        notices: Vec::new(),
        warnings: Vec::new(),
        effect: Default::default(),
    }
}
