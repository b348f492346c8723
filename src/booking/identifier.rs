//! Business identifiers: a value that means something only together with who issued it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

uuid_id! {
    /// A patient record in this gateway.
    PatientId
    /// A referral (or validation request) in this gateway: the receiver's `ServiceRequest.id`.
    ReferralId
    /// An appointment in this gateway: the receiver's `Appointment.id`.
    AppointmentId
}

/// A service, by its Directory of Services id (`https://fhir.nhs.uk/Id/dos-service-id`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServiceId(pub String);

/// A slot, by the id that its diary gave it (not always a UUID).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SlotId(pub String);

impl std::fmt::Display for ServiceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// An organisation's ODS code, such as `RH8`: 3 to 8 letters and digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct OdsCode(String);

/// A text that is not an ODS code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an ODS code has 3 to 8 letters and digits")]
pub struct OdsCodeError;

impl OdsCode {
    /// Reads a code; lower case is raised.
    pub fn parse(text: &str) -> Result<Self, OdsCodeError> {
        let text = text.trim();
        let fits = (3..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        fits.then(|| Self(text.to_ascii_uppercase())).ok_or(OdsCodeError)
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<OdsCode> for String {
    fn from(code: OdsCode) -> Self {
        code.0
    }
}

impl TryFrom<String> for OdsCode {
    type Error = OdsCodeError;

    fn try_from(text: String) -> Result<Self, OdsCodeError> {
        Self::parse(&text)
    }
}

/// A unique booking reference number: twelve digits, leading zeros significant.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ubrn(String);

impl Ubrn {
    /// Who issues them, as a FHIR system (NHS Data Dictionary, UNIQUE BOOKING REFERENCE NUMBER).
    pub const SYSTEM: &str = "https://fhir.nhs.uk/Id/UBRN";

    /// Reads twelve digits, grouped 4-4-4 by blanks or hyphens or not at all.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.trim().as_bytes();
        let joined = match bytes {
            [_, _, _, _, b' ' | b'-', _, _, _, _, b' ' | b'-', _, _, _, _] if bytes[4] == bytes[9] => {
                [&bytes[..4], &bytes[5..9], &bytes[10..]].concat()
            }
            _ => bytes.to_vec(),
        };
        let fits = joined.len() == 12 && joined.iter().all(u8::is_ascii_digit);
        fits.then(|| String::from_utf8(joined).ok().map(Self)).flatten()
    }

    /// The twelve digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&Ubrn> for Identifier {
    fn from(ubrn: &Ubrn) -> Self {
        Self { system: Ubrn::SYSTEM.to_owned(), value: ubrn.0.clone() }
    }
}

impl std::fmt::Debug for Ubrn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ubrn(***)")
    }
}

/// An identifier as somebody issued it.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identifier {
    /// The issuer's URI.
    pub system: String,
    /// The value, byte for byte.
    pub value: String,
}

impl std::fmt::Debug for Identifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identifier({}|***)", self.system)
    }
}

/// A code with the system that it comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Coding {
    /// The code system's URI; empty where none was given.
    pub system: String,
    /// The code.
    pub code: String,
    /// What it is called, as sent.
    pub display: String,
}
