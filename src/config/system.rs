//! `[[system]]`: client systems, by the certificate that they show.

use serde::{Deserialize, Serialize};

use crate::booking::identifier::{OdsCode, OdsCodeError};
use crate::profile::policy::Mode;

/// `[[system]]`. One of `certificate_sha256`, `common_name` and `uri` says which certificate is its own;
/// where several are set, any one of them is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct System {
    /// Its name, in logs and in the journal.
    pub id: String,
    /// SHA-256 of its certificates (DER), in hexadecimal; several, so that one can be replaced.
    pub certificate_sha256: Vec<Fingerprint>,
    /// Common name in its certificate's subject.
    pub common_name: Option<String>,
    /// URI in its certificate's subject alternative names.
    pub uri: Option<String>,
    /// ODS codes of the organisations that it may act for; `*`: any.
    pub organisations: Organisations,
    /// What it may do besides what every client may. `index`: ask the index of patients who is who, and link and part
    /// records.
    pub roles: Vec<String>,
    /// How strictly its messages are checked: `strict`, `bars` or `lenient`; not set: as `validation.policy` says.
    pub validation: Option<Mode>,
    /// Requests per second; 0: no limit; not set: as `https.rate_per_second` says.
    pub rate_per_second: Option<u32>,
}

/// SHA-256 of a certificate, in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Fingerprint(String);

/// A text that is not a fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 fingerprint has 64 hexadecimal digits, with or without colons")]
pub struct FingerprintError;

impl Fingerprint {
    /// Reads 64 hexadecimal digits; colons are left out, upper case is lowered.
    pub fn parse(text: &str) -> Result<Self, FingerprintError> {
        let digits = text.trim().replace(':', "").to_ascii_lowercase();
        let fits = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        fits.then_some(Self(digits)).ok_or(FingerprintError)
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.0
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = FingerprintError;

    fn try_from(text: String) -> Result<Self, FingerprintError> {
        Self::parse(&text)
    }
}

/// The organisations that a system may act for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<String>", try_from = "Vec<String>")]
pub enum Organisations {
    /// Any.
    Any,
    /// These.
    Listed(Vec<OdsCode>),
}

impl Default for Organisations {
    /// None.
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

impl Organisations {
    /// May it act for this one?
    pub fn contains(&self, code: &OdsCode) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(codes) => codes.contains(code),
        }
    }

    /// Is there none that it may act for?
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Listed(codes) if codes.is_empty())
    }
}

impl From<Organisations> for Vec<String> {
    fn from(organisations: Organisations) -> Self {
        match organisations {
            Organisations::Any => vec!["*".into()],
            Organisations::Listed(codes) => codes.into_iter().map(String::from).collect(),
        }
    }
}

impl TryFrom<Vec<String>> for Organisations {
    type Error = OdsCodeError;

    fn try_from(texts: Vec<String>) -> Result<Self, OdsCodeError> {
        if texts.iter().any(|text| text == "*") {
            return Ok(Self::Any);
        }
        texts.iter().map(|text| OdsCode::parse(text)).collect::<Result<_, _>>().map(Self::Listed)
    }
}
