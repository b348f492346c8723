use super::{Draft, coded, referral_ids};
use crate::booking::referral::{Category, Priority, Referral, ReferralStatus, ResponseKind};
use crate::hl7v2::write::Writer;

/// The referral.
pub(in crate::pas) fn rf1(writer: &mut Writer, draft: &Draft<'_>) {
    let (channel, referral) = (draft.channel, &draft.notice.referral);
    let own = referral.id.to_string();
    let mut rf1 = writer.segment("RF1");
    rf1.text(1, status(referral)).parts(2, &referral.priority.map_or([""; 3], priority));
    rf1.text(3, draft.notice.service.treatment_function.as_deref().unwrap_or_default());
    rf1.parts(4, &disposition(referral.category)).text(5, "O");
    if let Some(id) = referral_ids(draft, &own).next() {
        rf1.parts(6, &id);
    }
    rf1.text(7, &channel.instant_or_empty(referral.authored_on));
    rf1.text(8, &channel.instant_or_empty(referral.occurrence.1));
    rf1.text(9, &channel.instant(referral.received_at));
    for reason in &referral.reasons {
        rf1.parts(10, &coded(reason));
    }
    if referral.reasons.is_empty() {
        rf1.parts(10, &["", &one_line(referral.reason_text.as_deref().unwrap_or_default())]);
    }
    if !referral.case_reference.is_empty() {
        rf1.parts(11, &[&referral.case_reference, channel.authority()]);
    }
}

/// Table 0283: accepted, pending, rejected. What is no longer wanted is refused as well; the event says why.
fn status(referral: &Referral) -> &'static str {
    match (referral.status, referral.response) {
        (ReferralStatus::Revoked | ReferralStatus::EnteredInError, _) | (_, Some(ResponseKind::Rejected)) => "R",
        (ReferralStatus::Completed, _) => "A",
        (_, None) => "P",
        (_, Some(_)) => "A",
    }
}

/// Table 0280. It has no word for "urgent" between routine and as soon as possible: the NHS Data Dictionary's
/// PRIORITY TYPE 2 stands in.
fn priority(priority: Priority) -> [&'static str; 3] {
    match priority {
        Priority::Routine => ["R", "Routine", "HL70280"],
        Priority::Urgent => ["2", "Urgent", "NHS"],
        Priority::Asap => ["A", "ASAP", "HL70280"],
        Priority::Stat => ["S", "STAT", "HL70280"],
    }
}

/// Table 0282.
fn disposition(category: Category) -> [&'static str; 3] {
    match category {
        Category::Referral => ["AM", "Assume Management", "HL70282"],
        Category::Validation => ["SO", "Second Opinion", "HL70282"],
    }
}

/// Words where codes belong: NTE has them as they were written.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
