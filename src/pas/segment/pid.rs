use super::Draft;
use crate::booking::patient::{Address, Demographics, Gender, HumanName, Telecom};
use crate::hl7v2::write::{SegmentWriter, Writer};
use crate::pas::channel::Version;

/// The patient.
pub(in crate::pas) fn pid(writer: &mut Writer, draft: &Draft<'_>) {
    let demographics = &draft.notice.patient.demographics;
    let mut pid = writer.segment("PID");
    pid.number(1, 1);
    identifiers(&mut pid, draft);
    demographics.names.iter().for_each(|it| name(&mut pid, it));
    pid.text(7, &birth_date(demographics)).text(8, demographics.gender.map_or("", gender));
    demographics.addresses.iter().for_each(|it| address(&mut pid, it));
    contacts(&mut pid, demographics);
    if draft.notice.patient.nhs_number.is_some() && draft.channel.version >= Version::V2_4 {
        pid.text(32, "NSTS01");
    }
}

/// PID-3. A number that is not proven must not look like one that is: it is not sent at all. Numbers that others
/// gave the patient are theirs to send.
fn identifiers(pid: &mut SegmentWriter<'_>, draft: &Draft<'_>) {
    let patient = &draft.notice.patient;
    let own = patient.id.to_string();
    let own = [own.as_str(), "", "", draft.channel.authority(), "PI"];
    let national = patient.nhs_number.as_ref().map(|number| [number.as_str(), "", "", "NHS", "NH"]);
    let (first, second) = if draft.channel.nhs_number_first { (national, Some(own)) } else { (Some(own), national) };
    for identifier in first.into_iter().chain(second) {
        pid.parts(3, &identifier);
    }
}

/// PID-5: XPN with its type (table 0200).
fn name(pid: &mut SegmentWriter<'_>, name: &HumanName) {
    let kind = match name.usage.as_deref() {
        Some("nickname") => "N",
        Some("maiden") => "M",
        Some("anonymous") => "S",
        Some("old" | "temp") => "A",
        _ => "L",
    };
    let given = name.given.first().map_or("", String::as_str);
    let further = name.given.get(1..).unwrap_or_default().join(" ");
    // A name that was only said as a whole is better than no name.
    let whole = name.text.as_deref().filter(|_| name.family.is_none() && name.given.is_empty());
    let family = name.family.as_deref().or(whole).unwrap_or_default();
    if !(family.is_empty() && given.is_empty()) {
        pid.parts(5, &[family, given, &further, &name.suffix.join(" "), &name.prefix.join(" "), "", kind]);
    }
}

/// PID-7: the date as it was said, never moved by a time zone.
fn birth_date(demographics: &Demographics) -> String {
    demographics.birth_date.as_deref().unwrap_or_default().chars().filter(char::is_ascii_digit).collect()
}

/// PID-8: PERSON GENDER CODE of the NHS Data Dictionary.
fn gender(gender: Gender) -> &'static str {
    match gender {
        Gender::Male => "1",
        Gender::Female => "2",
        Gender::Other => "9",
        Gender::Unknown => "0",
    }
}

/// PID-11: XAD with its type (table 0190). A former address is left out: the list is the present one.
fn address(pid: &mut SegmentWriter<'_>, address: &Address) {
    let kind = match address.usage.as_deref() {
        Some("old") => return,
        Some("temp") => "TMP",
        Some("work") => "B",
        Some("billing") => "PST",
        _ => "H",
    };
    let line = |at: usize| address.lines.get(at).map_or("", String::as_str);
    let whole = address.text.as_deref().filter(|_| address.lines.is_empty()).unwrap_or_default();
    let first = if whole.is_empty() { line(0) } else { whole };
    let further = address.lines.get(2..).unwrap_or_default().join(", ");
    let [city, district, postal_code, country] =
        [&address.city, &address.district, &address.postal_code, &address.country]
            .map(|it| it.as_deref().unwrap_or_default());
    let parts = [first, line(1), city, district, postal_code, country, "", &further];
    if parts.iter().any(|part| !part.is_empty()) {
        let [a, b, c, d, e, f, _, further] = parts;
        pid.parts(11, &[a, b, c, d, e, f, kind, further]);
    }
}

/// PID-13: landline first, then mobile, then e-mail; PID-14: at work.
fn contacts(pid: &mut SegmentWriter<'_>, demographics: &Demographics) {
    for (field, wanted, form) in [
        (13, Contact::Home, ["PRN", "PH"]),
        (13, Contact::Mobile, ["PRN", "CP"]),
        (13, Contact::Mail, ["NET", "Internet"]),
        (14, Contact::Work, ["WPN", "PH"]),
    ] {
        for telecom in demographics.telecoms.iter().filter(|it| contact(it) == Some(wanted)) {
            let value = telecom.value.as_deref().unwrap_or_default();
            let (number, mail) = if wanted == Contact::Mail { ("", value) } else { (value, "") };
            pid.parts(field, &[number, form[0], form[1], mail]);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Contact {
    Home,
    Mobile,
    Mail,
    Work,
}

/// What a contact is in PID; `None`: former, empty, or of a kind that PID has no place for.
fn contact(telecom: &Telecom) -> Option<Contact> {
    let filled = telecom.value.as_deref().is_some_and(|value| !value.is_empty());
    match (telecom.system.as_deref(), telecom.usage.as_deref()) {
        _ if !filled => None,
        (_, Some("old")) => None,
        (Some("email"), _) => Some(Contact::Mail),
        (Some("sms"), _) | (Some("phone") | None, Some("mobile")) => Some(Contact::Mobile),
        (Some("phone") | None, Some("work")) => Some(Contact::Work),
        (Some("phone") | None, _) => Some(Contact::Home),
        _ => None,
    }
}
