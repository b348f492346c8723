use super::{Draft, location, register};
use crate::hl7v2::write::Writer;

/// Where the patient is to be seen, who sent them, and in which function.
pub(in crate::pas) fn pv1(writer: &mut Writer, draft: &Draft<'_>) {
    let service = &draft.notice.service;
    let requester = &draft.notice.referral.requester;
    let mut pv1 = writer.segment("PV1");
    pv1.number(1, 1).text(2, "O").parts(3, &location(service));
    let (family, given) = requester.practitioner_name.as_ref().map_or(("", ""), |(family, given)| (family, given));
    let (number, issuer) = requester.practitioner.as_ref().map_or(("", ""), |it| (it.value.as_str(), register(it)));
    pv1.parts(8, &[number, family, given, "", "", "", "", "", issuer]);
    pv1.text(10, service.treatment_function.as_deref().unwrap_or_default());
}
