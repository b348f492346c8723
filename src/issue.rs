//! The one vocabulary for "what is wrong with this content".
//!
//! Content problems are data, not errors: every station keeps going and collects all of them, so that
//! a sender can mend everything at once. A [`Code`] is permanent: it is never reused or renumbered.
//! An issue's text never quotes a value from the message: it names the place and the rule.

use std::borrow::Cow;
use std::fmt;

/// How bad it is (`OperationOutcome.issue.severity`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing needs to be done.
    Information,
    /// Accepted, but somebody should look.
    Warning,
    /// The message is refused for it.
    Error,
}

/// Whose fault it is and so whose move is next; `http::failure` gives each its status and BaRS code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request cannot be used as it is: mend it and send it as a new one.
    BadRequest,
    /// The caller may not do this.
    Unauthorised,
    /// The caller is not known at all.
    Forbidden,
    /// What it names does not exist here.
    NotFound,
    /// What it routes to (`NHSD-Target-Identifier`) does not exist here.
    TargetUnknown,
    /// The routing header itself is malformed.
    TargetMalformed,
    /// The standard has it, this gateway does not offer it.
    NotImplemented,
    /// No such method on this path.
    MethodNotAllowed,
    /// The answer cannot be given in the form or version asked for.
    NotAcceptable,
    /// It collides with what is already held: read, decide, send anew.
    Conflict,
    /// The body is too large.
    TooLarge,
    /// The headers are too large.
    HeadersTooLarge,
    /// The content type or coding is not one that is read here.
    UnsupportedMediaType,
    /// Understood, but will not be done.
    Unprocessable,
    /// The first attempt is still being worked on: wait.
    TooEarly,
    /// Too much from this caller: wait.
    Throttled,
    /// It took too long: send the same again.
    Timeout,
    /// A station that it needs is down: send the same again later.
    Unavailable,
    /// The gateway failed: its operator must look.
    Internal,
}

/// A kind of issue.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// Permanent name, such as `ONW-2003`.
    pub id: &'static str,
    /// Severity where no policy says otherwise.
    pub severity: Severity,
    /// `OperationOutcome.issue.code` (FHIR IssueType).
    pub fhir: &'static str,
    /// Whose move is next.
    pub fault: Fault,
    /// What the kind means, for the documentation.
    pub meaning: &'static str,
}

macro_rules! codes {
    ($($name:ident $id:literal $severity:ident $fhir:literal $fault:ident $meaning:literal)*) => {
        $(#[doc = $meaning]
        pub static $name: Code = Code {
            id: $id, severity: Severity::$severity, fhir: $fhir, fault: Fault::$fault, meaning: $meaning,
        };)*

        /// Every code there is, in order of its number.
        pub static ALL: &[&Code] = &[$(&$name),*];
    };
}

// 1xxx the request and its headers · 2xxx JSON, XML and FHIR structure · 3xxx the message's rules ·
// 4xxx what is already held · 5xxx identity and access · 6xxx HL7 v2 · 9xxx the gateway itself.
codes! {
    HEADER_MISSING "ONW-1001" Error "required" BadRequest "A header that every request must carry is missing."
    HEADER_INVALID "ONW-1002" Error "value" BadRequest "A header's value is not of the form that the standard gives."
    TARGET_INVALID "ONW-1003" Error "invalid" TargetMalformed "NHSD-Target-Identifier is not base64."
    TARGET_STRUCTURE "ONW-1004" Error "structure" TargetMalformed "NHSD-Target-Identifier decodes, but not to an identifier."
    TARGET_UNKNOWN "ONW-1005" Error "not-found" TargetUnknown "NHSD-Target-Identifier names a service that this gateway does not act for."
    NOT_ACCEPTABLE "ONW-1006" Error "processing" NotAcceptable "The answer cannot be given in the form or version that Accept asks for."
    MEDIA_TYPE "ONW-1007" Error "not-supported" UnsupportedMediaType "The body's Content-Type or Content-Encoding is not one that is read here."
    PATH_UNKNOWN "ONW-1008" Error "not-found" NotFound "There is nothing at this path."
    METHOD_UNKNOWN "ONW-1009" Error "not-supported" MethodNotAllowed "This path does not take this method."
    BODY_TOO_LARGE "ONW-1010" Error "too-long" TooLarge "The body is larger than this gateway takes."
    THROTTLED "ONW-1011" Error "throttled" Throttled "More requests than the caller's share: wait and send again."
    TIMEOUT "ONW-1012" Error "timeout" Timeout "The request took longer than it may."
    PARAMETER_MISSING "ONW-1013" Error "required" BadRequest "A search parameter that must be given is missing."
    PARAMETER_INVALID "ONW-1014" Error "value" BadRequest "A search parameter's value is not of the right form."
    SEARCH_TOO_COSTLY "ONW-1015" Error "too-costly" Unprocessable "The search covers a wider range than is answered at once."
    ID_INVALID "ONW-1016" Error "value" BadRequest "The id in the path is not a UUID."
    RESOURCE_UNKNOWN "ONW-1017" Error "not-found" NotFound "No resource with this id is held here."
    SERVICE_UNKNOWN "ONW-1018" Error "not-found" NotFound "The service is not known here."
    NOT_IMPLEMENTED "ONW-1019" Error "not-supported" NotImplemented "The interaction is not offered."
    DUPLICATE "ONW-1020" Error "duplicate" Conflict "A request with this X-Request-Id was already processed with success."
    IN_FLIGHT "ONW-1021" Error "duplicate" TooEarly "The first request with this X-Request-Id is still being processed."
    REQUEST_INVALID "ONW-1022" Error "invalid" BadRequest "The request cannot be read."

    HEADERS_TOO_LARGE "ONW-1023" Error "too-long" HeadersTooLarge "The request's headers are larger than this gateway takes."

    JSON_INVALID "ONW-2001" Error "structure" BadRequest "The body is not well-formed JSON."
    JSON_DUPLICATE_KEY "ONW-2002" Error "structure" BadRequest "An object has the same key twice."
    JSON_TOO_DEEP "ONW-2003" Error "structure" BadRequest "The body is nested deeper than is read here."
    UTF8_INVALID "ONW-2004" Error "structure" BadRequest "The body is not valid UTF-8."
    RESOURCE_TYPE "ONW-2005" Error "structure" BadRequest "The resource is not of the type that belongs here."
    ELEMENT_UNKNOWN "ONW-2006" Error "structure" BadRequest "FHIR R4 has no such element here."
    ELEMENT_MISSING "ONW-2007" Error "required" BadRequest "An element that FHIR R4 requires is missing."
    ELEMENT_REPEATS "ONW-2008" Error "structure" BadRequest "An element occurs more often than FHIR R4 allows."
    ELEMENT_TYPE "ONW-2009" Error "structure" BadRequest "An element's JSON is not of the right shape for its type."
    VALUE_FORMAT "ONW-2010" Error "value" BadRequest "A primitive value is not in its type's format."
    CODE_UNKNOWN "ONW-2011" Error "code-invalid" BadRequest "The code is not in the value set that FHIR R4 requires."
    TOO_MANY_ENTRIES "ONW-2012" Error "too-long" BadRequest "The Bundle has more entries than are read here."
    REFERENCE_UNRESOLVED "ONW-2013" Error "invariant" BadRequest "A reference inside the Bundle points to no entry."
    FULL_URL "ONW-2014" Error "invariant" BadRequest "An entry's fullUrl is missing, not a urn:uuid, or there twice."

    PROFILE_UNKNOWN "ONW-2015" Warning "not-found" BadRequest "A declared profile is not loaded here, so it was not checked."
    PROFILE_TYPE "ONW-2016" Error "structure" BadRequest "The type is not one that the profile allows."
    PROFILE_MISMATCH "ONW-2017" Error "structure" BadRequest "None of the profiles that are allowed here fits."
    VALUE_FIXED "ONW-2018" Error "value" BadRequest "The value is not the one that the profile prescribes."
    VALUE_RANGE "ONW-2019" Error "value" BadRequest "The value is longer, smaller or larger than the profile allows."
    CODE_EXTENSIBLE "ONW-2020" Warning "code-invalid" BadRequest "The code is not in the value set that is expected here."
    CODE_PREFERRED "ONW-2021" Information "code-invalid" BadRequest "The code is not in the value set that is preferred here."
    CODE_NOT_CHECKED "ONW-2022" Information "not-supported" BadRequest "The code could not be checked, because its code system is not loaded."
    SLICE_UNMATCHED "ONW-2023" Error "structure" BadRequest "An occurrence fits none of the slices, and the profile allows no others."
    SLICE_ORDER "ONW-2024" Error "structure" BadRequest "Occurrences do not stand in the order of the profile's slices."
    SLICE_MISSING "ONW-2025" Error "required" BadRequest "An occurrence that the profile requires is missing."
    EXTENSION_UNKNOWN "ONW-2026" Error "extension" BadRequest "There is no definition of this extension."
    EXTENSION_CONTEXT "ONW-2027" Error "extension" BadRequest "The extension is not allowed on this element."
    EXTENSION_MODIFIER "ONW-2028" Error "extension" BadRequest "A modifier extension is not known, or not used as one."
    REFERENCE_TARGET "ONW-2029" Error "structure" BadRequest "A reference points to something that the profile does not allow."
    NARRATIVE "ONW-2030" Error "invalid" BadRequest "The narrative is not the XHTML that FHIR allows."
    BUNDLE_ENTRY "ONW-2031" Error "invalid" BadRequest "An entry's fullUrl is missing, relative or not that of its resource."
    INVARIANT "ONW-2032" Error "invariant" BadRequest "A rule of R4 or of a profile does not hold."
    INVARIANT_NOT_CHECKED "ONW-2033" Warning "incomplete" BadRequest "A rule could not be evaluated, so it was not checked."
    TOO_MANY_ISSUES "ONW-2034" Error "too-long" BadRequest "There are more problems than are listed."
    MARKUP_IN_TEXT "ONW-2035" Error "invalid" BadRequest "A text looks like HTML, which whoever shows it may run."
    PROFILE_MISSING "ONW-2036" Error "not-found" BadRequest "A profile asks for conformance to another one that is not loaded, so it was not checked."
    SLICE_AMBIGUOUS "ONW-2037" Error "structure" BadRequest "An occurrence fits more than one slice of the profile."
    QUESTIONNAIRE "ONW-2038" Error "business-rule" BadRequest "The questions or the answers of a questionnaire do not fit together."
    QUESTIONNAIRE_UNKNOWN "ONW-2039" Warning "not-found" BadRequest "The questionnaire of a response is not loaded here, so its answers were not checked."

    XML_INVALID "ONW-2051" Error "structure" BadRequest "The body is not well-formed XML, or not in the form of XML that is read here."
    XML_FORBIDDEN "ONW-2052" Error "structure" BadRequest "The XML has a document type, an entity or a processing instruction, none of which is read here."
    XML_NAMESPACE "ONW-2053" Error "structure" BadRequest "An XML element is not in the namespace that belongs here."
    XML_CONTENT "ONW-2054" Error "structure" BadRequest "The XML has an attribute, a text or a second resource where FHIR has none."
    ELEMENT_ORDER "ONW-2055" Error "structure" BadRequest "The XML has elements in another order than that of their definition."

    WORKFLOW "ONW-3001" Error "invariant" BadRequest "The combination of event, reason, category and status is not a workflow of the standard."
    VERSION_MISSING "ONW-3002" Error "invariant" BadRequest "Bundle.meta.versionId, the Application version, is missing."
    VERSION_UNSUPPORTED "ONW-3003" Error "not-supported" Unprocessable "The Application version is not supported."
    DESTINATION "ONW-3004" Error "value" BadRequest "MessageHeader.destination is not the service that the request was routed to."
    DEFINITION_UNKNOWN "ONW-3005" Error "invariant" BadRequest "MessageHeader.definition names no MessageDefinition that applies."
    DEFINITION_COUNT "ONW-3006" Error "invariant" BadRequest "The Bundle does not hold the resources that its MessageDefinition asks for."
    FOCUS "ONW-3007" Error "invariant" BadRequest "MessageHeader.focus is not the one resource that this event is about."
    USE_CASE_UNKNOWN "ONW-3008" Error "invariant" BadRequest "The use case is absent or not in usecases-categories-bars."
    USE_CASE_UNSUPPORTED "ONW-3009" Error "not-supported" Unprocessable "The service does not offer this use case."
    RESPONSE_MISSING "ONW-3010" Error "invariant" BadRequest "A response must say which message it answers."
    RESPONSE_UNKNOWN "ONW-3011" Error "not-found" NotFound "The message that this answers is not known here."
    CONTACT_RANK "ONW-3012" Error "invariant" BadRequest "Patient.contact must have exactly one contact of rank 1, with a telephone number."
    CONSENT "ONW-3013" Error "invariant" BadRequest "Consent must be for direct care, patient privacy, implied."
    RULE_MISSING "ONW-3014" Error "required" BadRequest "An element that BaRS requires is missing."
    RULE_VALUE "ONW-3015" Error "invariant" BadRequest "An element's value is not one that BaRS allows here."
    NHS_NUMBER_INVALID "ONW-3016" Error "value" BadRequest "An NHS number fails its check or is from a range that is never issued."
    NHS_NUMBER_FENCE "ONW-3017" Error "value" BadRequest "A live NHS number in a sandbox, or a test number in production."
    TARGET_ID_MISSING "ONW-3018" Error "invariant" BadRequest "An update or a cancellation must carry the id that the receiver gave."
    BUNDLE_ID_REUSED "ONW-3019" Error "invariant" BadRequest "A new message must have a Bundle.id of its own."
    IDENTITY_UNPROVEN "ONW-3020" Warning "business-rule" BadRequest "The NHS number is not used for identity; the patient is held as a record of its own."
    LINK_UNVERIFIED "ONW-3021" Warning "business-rule" BadRequest "A link to a booking could not be verified; it is carried and on a worklist."
    TIME_DIFFERS "ONW-3022" Error "invariant" BadRequest "The appointment's time is not the slot's time."
    SLOT_SERVICE_DIFFERS "ONW-3023" Error "invariant" BadRequest "The slot belongs to another service than the one booked."
    ELEMENT_NEEDED "ONW-3024" Warning "required" BadRequest "The guide's payload table asks for an element that is missing or has another value."
    ELEMENT_NOT_NEEDED "ONW-3025" Information "business-rule" BadRequest "The guide's payload table says that an element should not be there."

    SLOT_TAKEN "ONW-4001" Error "conflict" Conflict "The slot is no longer free."
    SLOT_UNKNOWN "ONW-4002" Error "conflict" Conflict "The slot is not in this service's diary."
    BOOKING_EXISTS "ONW-4003" Error "conflict" Conflict "The patient already has a booking with this service."
    REFERRAL_EXISTS "ONW-4004" Error "conflict" Conflict "The patient already has a live referral to this service."
    BOOKING_MISSING "ONW-4005" Error "invariant" BadRequest "The booking that this is about does not exist."
    REFERRAL_MISSING "ONW-4006" Error "invariant" BadRequest "The referral that this is about does not exist."
    REFERRAL_NOT_FOUND "ONW-4007" Error "not-found" NotFound "The request that this is about is not known here."
    BOOKING_NOT_LINKED "ONW-4008" Error "conflict" Conflict "The referral is not linked to the patient's booking."
    NOT_CURRENT "ONW-4009" Error "conflict" Conflict "It is no longer current, so it cannot be changed or cancelled."
    STALE "ONW-4010" Error "conflict" Conflict "A resource is older than the version held here."
    PATIENT_MISMATCH "ONW-4011" Error "processing" Unprocessable "The patient is not the one whose referral or booking this is."
    CANCEL_DIFFERS "ONW-4012" Error "processing" Unprocessable "The cancellation differs from the booking that it cancels."
    REFERRAL_NOT_ACTIVE "ONW-4013" Error "processing" Unprocessable "The referral is not live, so nothing can be booked on it."
    REFERRAL_BOOKED "ONW-4014" Error "conflict" Conflict "The referral already has a current appointment."
    SERVICE_DIFFERS "ONW-4015" Error "processing" Unprocessable "The referral is to another service than the one booked."
    NUMBER_ELSEWHERE "ONW-4016" Error "processing" Unprocessable "The booking reference number is of a referral of another patient: check the patient and the number."

    CLIENT_UNKNOWN "ONW-5001" Error "forbidden" Forbidden "The client certificate belongs to no registered system."
    CLIENT_REQUIRED "ONW-5002" Error "security" Unauthorised "A client certificate is required."
    ORGANISATION_FORBIDDEN "ONW-5003" Error "forbidden" Unauthorised "The system may not act for this organisation."
    ORGANISATION_CLOSED "ONW-5004" Error "forbidden" Unauthorised "The organisation is closed and can neither send nor receive."

    SERVICE_CLOSED "ONW-5005" Error "processing" Unprocessable "The service no longer takes referrals or bookings."

    HL7_NO_HEADER "ONW-6001" Error "structure" BadRequest "No MSH segment can be read."
    HL7_EVENT_UNSUPPORTED "ONW-6002" Error "not-supported" BadRequest "The message type or event is not one that this channel takes."
    HL7_FIELD_MISSING "ONW-6003" Error "required" BadRequest "A field that HL7 requires is missing."
    HL7_VALUE "ONW-6004" Error "value" BadRequest "A field's value is not in its data type's format."
    HL7_CHARSET "ONW-6005" Error "value" BadRequest "The message is not in the character set that MSH-18 or the channel says."
    HL7_LIMIT "ONW-6006" Error "too-long" BadRequest "The message has more segments, fields, repetitions or bytes than are read here."
    HL7_SEGMENT_MISSING "ONW-6007" Error "required" BadRequest "A segment that the event needs is missing."
    HL7_CONTROL "ONW-6008" Error "value" BadRequest "A field holds a NUL character."
    HL7_TYPE_UNSUPPORTED "ONW-6009" Error "not-supported" BadRequest "The message type is not one that this channel takes."
    HL7_FENCE "ONW-6010" Error "forbidden" BadRequest "MSH-11 is not one that this channel takes: live and test messages are kept apart."
    HL7_SENDER "ONW-6011" Error "forbidden" BadRequest "MSH-3 and MSH-4 do not name a sender that this channel takes."
    HL7_TIME_GAP "ONW-6012" Error "value" BadRequest "The time does not exist: the clocks went forward over it."
    HL7_TIME_TWICE "ONW-6013" Error "value" BadRequest "The time is there twice: the clocks went back over it, and no offset tells which is meant."
    HL7_SEVERAL "ONW-6014" Error "structure" BadRequest "Several messages stand in one frame without a batch around them."
    HL7_CHARSET_NOTE "ONW-6015" Warning "value" BadRequest "MSH-18 names a character set that is not known or not the one that was used; the message could be read all the same."
    HL7_EVN_DIFFERS "ONW-6016" Warning "value" BadRequest "EVN-1 names another event than MSH-9; MSH-9 was followed."
    HL7_STRAY_LINE "ONW-6017" Warning "structure" BadRequest "A line is no segment; it was kept and not read."
    HL7_AUTHORITY "ONW-6018" Information "value" BadRequest "The assigning authority is not one that the channel knows; its numbers are kept apart from all others."
    HL7_NUMBERS_CONFLICT "ONW-6019" Error "invariant" BadRequest "One patient is given two different NHS numbers."
    HL7_MERGE_SELF "ONW-6020" Error "invariant" BadRequest "A record is to be merged into itself."
    HL7_PLACEHOLDER "ONW-6021" Warning "value" BadRequest "A value stands for 'not known' and was not taken."
    FEED_IDENTITY_MISSING "ONW-6022" Error "required" BadRequest "No identifier says whose it is."
    FEED_IDENTITY_CONFLICT "ONW-6023" Error "conflict" Conflict "The identifiers belong to more than one record: a person must say whose it is."
    FEED_IDENTITY_DIFFERS "ONW-6024" Error "conflict" Conflict "The identifier finds a record whose name or date of birth is another: a person must say whose it is."
    FEED_BOOKING_OTHER "ONW-6025" Error "conflict" Conflict "The numbers belong to two bookings: a person must say which is meant."
    FEED_REFERRAL_OTHER "ONW-6026" Error "conflict" Conflict "The numbers belong to two referrals: a person must say which is meant."
    FEED_MERGE_CYCLE "ONW-6027" Error "conflict" Conflict "The record that should stay was merged into another one before."
    FEED_MERGE_LIVE "ONW-6028" Error "conflict" Conflict "Both records have a live referral to the same service: a person must close one first."
    EVENT_ORDER "ONW-6029" Information "business-rule" BadRequest "Another event of the same time was taken before: the later to arrive has the word."
    CONTROL_ID_REUSED "ONW-6030" Warning "business-rule" BadRequest "The control id was used before for other content; the message was taken as a new one."
    MERGED_NUMBER "ONW-6031" Warning "business-rule" BadRequest "The number was merged away: the event was applied to the record that is left."
    FEED_MERGED_BOOKING "ONW-6032" Warning "business-rule" BadRequest "The booking was merged into another one: the event was not applied."
    FEED_WAITING "ONW-6033" Information "business-rule" BadRequest "It is about something that is not held yet, and waits for it."
    FEED_REFERRAL_BOOKED "ONW-6034" Warning "business-rule" BadRequest "The referral that the booking names is not open for it; the booking waits for a referral of its own."
    PERSON_DECIDED "ONW-6035" Information "informational" BadRequest "A person decided so, and said why."
    FEED_UNTOLD "ONW-6036" Warning "informational" BadRequest "The standard has no message that tells the referrer of it: it is read with GET."
    FEED_LEAP "ONW-6037" Warning "incomplete" BadRequest "The count of MSH-13 leaps: messages before this one did not come on this channel."
    HL7_GROUPS "ONW-6038" Error "structure" BadRequest "The message is about several patients, moves or times: send a message for each."
    HL7_MIDNIGHT "ONW-6039" Error "value" BadRequest "A booking at midnight: a day whose hour was lost on the way looks like that, so a person must say what is meant."

    CREATE_RATE "ONW-7001" Error "throttled" Conflict "The source makes far more records of unproven people than usual: the message is held, and a person must look at the source."
    RECORD_UNKNOWN "ONW-7002" Error "not-found" NotFound "There is no such patient record."
    RECORD_NOT_LINKED "ONW-7003" Error "business-rule" Conflict "The record is not linked to another one."
    RECORDS_ARE_ONE "ONW-7004" Error "business-rule" Conflict "Both records are the same person's already."
    TASK_UNKNOWN "ONW-7005" Error "not-found" NotFound "There is no such entry of the worklist."
    TASK_DECIDED "ONW-7006" Error "conflict" Conflict "The entry of the worklist is decided already."
    NUMBERS_DIFFER "ONW-7007" Error "conflict" Conflict "The records have different proven NHS numbers: one of the numbers must be put right first."
    PERSON_ALIKE "ONW-7008" Warning "business-rule" BadRequest "The record may be the same person's as another one: it stays apart until a person has decided."
    PERSON_LINKED "ONW-7009" Information "informational" BadRequest "The record was linked to a person who is known already."
    ROLE_MISSING "ONW-7010" Error "forbidden" Forbidden "The system does not have the role that this asks for."
    TWIN "ONW-7011" Warning "business-rule" BadRequest "It may be one that is held already: both stay until a person has decided."
    NUMBER_NOT_HELD "ONW-7012" Error "not-found" NotFound "No record has this proven NHS number, or it has the newer one already."

    STORE_UNAVAILABLE "ONW-9001" Error "transient" Unavailable "The gateway cannot keep messages safely now: send the same again later."
    INTERNAL "ONW-9002" Error "exception" Internal "The gateway failed; its operator has been told."
    OVERLOADED "ONW-9003" Error "transient" Unavailable "The gateway has all the work that it can take: send the same again later."
}

/// One finding: what, where, and a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// Its kind.
    pub code: &'static Code,
    /// The code's own severity, unless a policy changed it.
    pub severity: Severity,
    /// A FHIRPath (`Bundle.entry[3].resource.status`), an HL7 path (`PID-3.1`), `http.Header` or empty.
    pub at: String,
    /// What to do about it, without any value from the message.
    pub text: Cow<'static, str>,
    /// Line and character in the body, both from 1, where they are known.
    pub position: Option<(u32, u32)>,
    /// The rule that is broken: a profile's URL with the element or invariant after `#`; or empty.
    pub rule: Cow<'static, str>,
}

impl Issue {
    /// An issue with its code's severity and meaning.
    pub fn new(code: &'static Code, at: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity,
            at: at.into(),
            text: Cow::Borrowed(code.meaning),
            position: None,
            rule: Cow::Borrowed(""),
        }
    }

    /// The same with a sentence that fits the case better.
    pub fn with(code: &'static Code, at: impl Into<String>, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            severity: code.severity,
            at: at.into(),
            text: text.into(),
            position: None,
            rule: Cow::Borrowed(""),
        }
    }

    /// The same, with its line and character.
    pub fn at_line(mut self, line: usize, column: usize) -> Self {
        self.position = u32::try_from(line).ok().zip(u32::try_from(column).ok());
        self
    }

    /// The same, with the rule that is broken.
    pub fn by_rule(mut self, rule: impl Into<Cow<'static, str>>) -> Self {
        self.rule = rule.into();
        self
    }

    /// What may help, where there is more to say than the text does.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self.code.id {
            "ONW-2006" => "Names of elements are case-sensitive; a choice has its type in the name (valueQuantity).",
            "ONW-2015" => "Add the package that has the profile, or take the profile out of meta.profile.",
            "ONW-2022" => "Add the package that has the code system, or check the code elsewhere.",
            "ONW-2026" => {
                "Add the package that defines the extension; a URL below hl7.org must be one that HL7 published."
            }
            _ => return None,
        })
    }

    /// The same, accepted with a warning.
    pub fn tolerated(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at.as_str() {
            "" => write!(f, "{}: {}", self.code.id, self.text),
            at => write!(f, "{} at {at}: {}", self.code.id, self.text),
        }
    }
}

/// Everything found so far, in the order in which it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Issues(Vec<Issue>);

impl Issues {
    /// Adds one finding.
    pub fn push(&mut self, issue: Issue) {
        self.0.push(issue);
    }

    /// Adds a finding with its code's own words.
    pub fn add(&mut self, code: &'static Code, at: impl Into<String>) {
        self.0.push(Issue::new(code, at));
    }

    /// Adds a finding with words of its own.
    pub fn say(&mut self, code: &'static Code, at: impl Into<String>, text: impl Into<Cow<'static, str>>) {
        self.0.push(Issue::with(code, at, text));
    }

    /// Adds all of another station's findings.
    pub fn extend(&mut self, other: Issues) {
        self.0.extend(other.0);
    }

    /// Is there anything that the message must be refused for?
    pub fn has_errors(&self) -> bool {
        self.errors().next().is_some()
    }

    /// What the message is refused for.
    pub fn errors(&self) -> impl Iterator<Item = &Issue> {
        self.0.iter().filter(|issue| issue.severity == Severity::Error)
    }

    /// All findings.
    pub fn iter(&self) -> impl Iterator<Item = &Issue> {
        self.0.iter()
    }

    /// Nothing found?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that are of a kind, and the others, each in their order.
    pub fn into_parts(self, is_it: impl Fn(&Issue) -> bool) -> (Self, Self) {
        let (of, others) = self.0.into_iter().partition(is_it);
        (Self(of), Self(others))
    }

    /// Sorts by where the findings stand in the text.
    pub fn in_order(mut self) -> Self {
        self.0.sort_by_key(|issue| issue.position);
        self
    }

    /// How many were found.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl From<Issue> for Issues {
    fn from(issue: Issue) -> Self {
        Self(vec![issue])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_in_order() {
        assert!(ALL.windows(2).all(|pair| pair[0].id < pair[1].id));
    }

    #[test]
    fn every_meaning_is_a_sentence() {
        assert!(ALL.iter().all(|code| code.meaning.ends_with('.') && 20 < code.meaning.len()));
    }
}
