//! What the fields of the usual segments are called, for people who read a message. Numbers and meanings are those
//! of HL7 v2.4; segments that begin with Z are as the UK profile has them.

/// Segments and their fields, from the first on; `-` is a field that nobody uses.
const SEGMENTS: &[(&str, &str, &str)] = &[
    (
        "MSH",
        "message header",
        "field separator|encoding characters|sending application|sending facility|receiving application|receiving facility|date and time|security|message type|control id|processing id|version|sequence number|continuation|accept acknowledgement|application acknowledgement|country|character set|language|-|profile",
    ),
    ("EVN", "event", "event type|recorded at|planned for|reason|operator|occurred at|facility"),
    (
        "PID",
        "patient",
        "set id|external id|identifiers|other identifiers|name|mother's maiden name|date of birth|sex|alias|race|address|county|home telephone|business telephone|language|marital status|religion|account|national number|driving licence|mother's identifier|ethnic group|place of birth|multiple birth|birth order|citizenship|veteran status|nationality|date of death|dead|identity unknown|reliability of identity",
    ),
    (
        "PD1",
        "patient, further",
        "living dependency|living arrangement|practice|primary care doctor|student|handicap|living will|organ donor|separate bill|duplicate|publicity|protection",
    ),
    ("NK1", "next of kin", "set id|name|relationship|address|telephone|business telephone|role|from|until"),
    (
        "MRG",
        "merged record",
        "former identifiers|former other identifiers|former account|former id|former visit|former other visit|former name",
    ),
    (
        "PV1",
        "visit",
        "set id|class|location|admission type|preadmit number|former location|attending doctor|referring doctor|consulting doctor|service|temporary location|preadmit test|readmission|admit source|ambulatory status|VIP|admitting doctor|patient type|visit number|financial class|charge|courtesy|credit|contract code|contract date|contract amount|contract period|interest|bad debt|bad debt date|agency|transfer amount|recovery|delete account|deleted at|disposition|discharged to|diet|servicing facility|bed status|account status|pending location|former temporary location|admitted at|discharged at|balance|charges|adjustments|payments|other visit number|visit indicator|other provider",
    ),
    (
        "PV2",
        "visit, further",
        "prior pending location|accommodation|admit reason|transfer reason|valuables|valuables location|user code|expected admission|expected discharge|expected stay|actual stay|description",
    ),
    (
        "SCH",
        "booking",
        "placer's number|filler's number|occurrence|group number|schedule|event reason|appointment reason|appointment type|duration|units|time|placer's contact|telephone|address|location|filler's contact|telephone|address|location|entered by|telephone|location|parent placer's number|parent filler's number|status|placer's order|filler's order",
    ),
    ("TQ1", "timing", "set id|quantity|pattern|time|units|service duration|start|end|priority"),
    ("RGS", "group of resources", "set id|action|group"),
    ("AIS", "service", "set id|action|service|start|start offset|units|duration|units|substitution|status"),
    (
        "AIG",
        "general resource",
        "set id|action|resource|type|group|quantity|units|start|start offset|units|duration|units|substitution|status",
    ),
    (
        "AIL",
        "location",
        "set id|action|location|type|group|start|start offset|units|duration|units|substitution|status",
    ),
    ("AIP", "person", "set id|action|person|role|group|start|start offset|units|duration|units|substitution|status"),
    (
        "RF1",
        "referral",
        "status|priority|type|disposition|category|originating number|effective|expires|processed|reason|external number",
    ),
    ("PRD", "provider", "role|name|address|location|telephone|contact|identifiers|from|until"),
    ("CTD", "contact", "role|name|address|location|telephone"),
    ("DG1", "diagnosis", "set id|coding method|code|description|at|type"),
    ("PR1", "procedure", "set id|coding method|code|description|at"),
    ("OBR", "request", "set id|placer's number|filler's number|service|priority|requested at|observed at"),
    ("OBX", "observation", "set id|type|what|sub id|value|units|range|flags|probability|nature|status"),
    ("ORC", "order", "control|placer's number|filler's number|group|status"),
    ("NTE", "note", "set id|source|text|type"),
    ("AL1", "allergy", "set id|type|what|severity|reaction|identified"),
    ("MSA", "acknowledgement", "code|control id|text|expected number|delayed|error"),
    ("ERR", "error", "where|location|code|severity|application's code|parameter|diagnostic|text"),
    ("MFI", "master file", "file|application|event|entered|effective|response"),
    ("MFE", "master file entry", "event|control id|effective|key|type"),
    ("LOC", "location", "key|description|type"),
    ("LDP", "department", "key|department|service"),
    (
        "ZU1",
        "referral and admission",
        "decision to admit|intended management|-|episode start|episode end|main specialty|-|-|-|overseas status|-|-|source of referral|service type requested|request received|referral date|received by",
    ),
    (
        "ZU3",
        "attendance",
        "location type|staff type|attended or not|outcome|transport|class|-|appointment type|-|-|-|first attendance|cancelled by|source",
    ),
    (
        "ZU4",
        "waiting list",
        "on list since|originally|guaranteed|suspended from|suspended until|to come in|provider|-|removal reason|removal date|outcome of offer|suspended by|list type",
    ),
    ("ZU8", "sharing", "orientation|share record|share summary|hide location"),
];

/// What a segment is called; `None`: it is not one of the usual ones.
pub fn segment(name: &[u8]) -> Option<&'static str> {
    SEGMENTS.iter().find(|(known, ..)| known.as_bytes() == name).map(|(_, meaning, _)| *meaning)
}

/// What a field is called, counted from 1.
pub fn field(name: &[u8], number: u16) -> Option<&'static str> {
    let (_, _, fields) = SEGMENTS.iter().find(|(known, ..)| known.as_bytes() == name)?;
    fields.split('|').nth(usize::from(number).checked_sub(1)?).filter(|meaning| *meaning != "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_the_numbers_of_the_standard() {
        for (name, number, meaning) in [
            ("MSH", 10, "control id"),
            ("MSH", 18, "character set"),
            ("PID", 3, "identifiers"),
            ("PID", 32, "reliability of identity"),
            ("PV1", 19, "visit number"),
            ("PV1", 44, "admitted at"),
            ("PV1", 50, "other visit number"),
            ("PV2", 8, "expected admission"),
            ("SCH", 25, "status"),
            ("SCH", 26, "placer's order"),
            ("RF1", 6, "originating number"),
            ("RF1", 11, "external number"),
            ("ZU3", 13, "cancelled by"),
        ] {
            assert_eq!(field(name.as_bytes(), number), Some(meaning), "{name}-{number}");
        }
        assert_eq!((segment(b"ZZZ"), field(b"PID", 99), field(b"PID", 0)), (None, None, None));
    }
}
