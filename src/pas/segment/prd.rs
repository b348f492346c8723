use super::{DIRECTORY_OF_SERVICES, Draft, location, register};
use crate::booking::referral::Party;
use crate::hl7v2::write::Writer;

/// The provider who refers, as far as known.
pub(in crate::pas) fn referring(writer: &mut Writer, draft: &Draft<'_>) {
    let party = &draft.notice.referral.requester;
    if *party == Party::default() {
        return;
    }
    let organisation = party.organisation.as_ref().map_or("", |code| code.as_str());
    let name = party.organisation_name.as_deref().unwrap_or_default();
    let (family, given) = party.practitioner_name.as_ref().map_or(("", ""), |(family, given)| (family, given));
    let mut prd = writer.segment("PRD");
    prd.parts(1, &["RP", "Referring Provider", "HL70286"]).parts(2, &[family, given]);
    prd.parts(4, &["", "", "", organisation, "", "", "", "", name]);
    if let Some(practitioner) = &party.practitioner {
        prd.parts(7, &[&practitioner.value, register(practitioner)]);
    }
    if !organisation.is_empty() {
        prd.parts(7, &[organisation, "ODS"]);
    }
}

/// The service that the patient is referred to.
pub(in crate::pas) fn referred_to(writer: &mut Writer, draft: &Draft<'_>) {
    let service = &draft.notice.service;
    let mut prd = writer.segment("PRD");
    prd.parts(1, &["RT", "Referred to Provider", "HL70286"]).parts(4, &location(service));
    prd.parts(7, &[&service.id.0, DIRECTORY_OF_SERVICES]).parts(7, &[service.organisation.as_str(), "ODS"]);
}
