//! The segments of the messages that are sent, one file each. Field numbers are those of HL7 v2.4; where a table is
//! named, the code that is written is read back as the same by this gateway.

use super::{Draft, Kind};
use crate::booking::identifier::{Coding, Identifier};
use crate::booking::service::Service;

mod ais;
mod msh;
mod nte;
mod obr;
mod pd1;
mod pid;
mod prd;
mod pv1;
mod rf1;
mod sch;

pub(super) use ais::{Action, resources};
pub(super) use msh::msh;
pub(super) use nte::{appointment_notes, referral_notes};
pub(super) use obr::obr;
pub(super) use pd1::pd1;
pub(super) use pid::pid;
pub(super) use prd::{referred_to, referring};
pub(super) use pv1::pv1;
pub(super) use rf1::rf1;
pub(super) use sch::sch;

/// Name of the directory that service ids come from.
const DIRECTORY_OF_SERVICES: &str = "DOS";

/// PL: the service as point of care, its organisation as facility, its name as description.
fn location(service: &Service) -> [&str; 9] {
    [&service.id.0, "", "", service.organisation.as_str(), "", "", "", "", &service.name]
}

/// CE: a service as what is asked for.
fn service_code(service: &Service) -> [&str; 3] {
    [&service.id.0, &service.name, DIRECTORY_OF_SERVICES]
}

/// CE: a code as somebody gave it.
fn coded(coding: &Coding) -> [&str; 3] {
    let system = match coding.system.as_str() {
        "http://snomed.info/sct" => "SCT",
        system if system.starts_with("http://hl7.org/fhir/sid/icd-10") => "I10",
        _ => "",
    };
    [&coding.code, &coding.display, system]
}

/// The short name of a register of practitioners (XCN-9, PRD-7.2).
fn register(identifier: &Identifier) -> &'static str {
    match identifier.system.rsplit('/').next().unwrap_or_default() {
        "sds-user-id" => "SDS",
        "sds-role-profile-id" => "SDSROLE",
        "gmc-number" => "GMC",
        "gmp-number" => "GMP",
        "nmc-number" => "NMC",
        "hcpc-number" => "HCPC",
        "gphc-number" => "GPHC",
        _ => "",
    }
}

/// EI: the ids of a referral, the national one first. Both are sent, so that the one that the receiver knows it by
/// is there even if the other came later.
fn referral_ids<'a>(draft: &'a Draft<'_>, own: &'a str) -> impl Iterator<Item = [&'a str; 2]> {
    let ubrn = draft.notice.referral.ubrn.as_ref().map(|ubrn| [ubrn.as_str(), E_REFERRAL_SERVICE]);
    ubrn.into_iter().chain([[own, draft.channel.authority()]])
}

/// Who issues unique booking reference numbers.
const E_REFERRAL_SERVICE: &str = "E-RS";
