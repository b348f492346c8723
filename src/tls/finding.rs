//! What can be wrong with a certificate, a key or a revocation list, as data.
//!
//! A gateway that starts with a certificate which its partners will refuse looks healthy and is not; a gateway
//! that only says "TLS error" costs a night. So every finding names its file, its kind and the reason.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Somebody should look in the next weeks.
    Warning,
    /// Works today, but somebody must act now.
    Alarm,
    /// Handshakes fail or will be refused: not used.
    Error,
}

macro_rules! kinds {
    ($($name:ident $code:literal $level:ident $meaning:literal)*) => {
        /// A kind of finding. Its code is permanent: it is never renamed or reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind {
            $(#[doc = $meaning] $name,)*
        }

        impl Kind {
            /// Every kind there is.
            pub const ALL: &[Kind] = &[$(Kind::$name),*];

            /// The permanent code.
            pub fn as_str(self) -> &'static str {
                match self { $(Kind::$name => $code,)* }
            }

            /// How bad it usually is.
            pub fn level(self) -> Level {
                match self { $(Kind::$name => Level::$level,)* }
            }

            /// What it means.
            pub fn meaning(self) -> &'static str {
                match self { $(Kind::$name => $meaning,)* }
            }
        }
    };
}

kinds! {
    Unreadable "file-unreadable" Error "The file cannot be read."
    Unparsable "file-unparsable" Error "The file is not PEM of the kind that belongs here."
    Expired "certificate-expired" Error "The certificate's time is over."
    NotYetValid "certificate-not-yet-valid" Error "The certificate's time has not begun."
    ExpiresSoon "certificate-expires-soon" Warning "The certificate has less than 30 days left."
    ExpiresVerySoon "certificate-expires-very-soon" Alarm "The certificate has less than 7 days left."
    WrongHost "host-not-in-certificate" Error "The host is not among the certificate's names."
    WrongUsage "certificate-usage" Error "The certificate is not meant for this end of a connection."
    KeyMismatch "key-mismatch" Error "The private key does not belong to the certificate."
    KeyPermissions "key-permissions" Warning "Others than its owner may read the private key."
    WeakKey "weak-key" Error "The key is too short."
    WeakSignature "weak-signature" Error "The certificate is signed with a broken algorithm."
    ChainOrder "chain-order" Error "A certificate in the file is not the issuer of the one before it."
    ChainSignature "chain-signature" Error "A certificate's signature was not made by the next one's key."
    IssuerUnknown "issuer-unknown" Error "None of the trusted authorities stands at the end of the chain."
    ChainInvalid "chain-invalid" Error "The chain does not verify."
    AuthorityMissing "authority-missing" Error "Client certificates are asked for, but no authority is set."
    NotAuthority "not-an-authority" Error "The certificate may not issue others."
    CrlExpired "crl-expired" Error "The revocation list's time is over."
    CrlNotYetValid "crl-not-yet-valid" Error "The revocation list's time has not begun."
    CrlForeign "crl-foreign" Error "The revocation list is signed by none of the authorities."
}

impl Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One finding: where, what kind, and the reason in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its kind.
    #[serde(rename = "code")]
    pub kind: Kind,
    /// The kind's own level, unless the case is milder.
    pub level: Level,
    /// The file that must be replaced or mended.
    pub file: PathBuf,
    /// The reason, for a person.
    pub text: String,
}

impl Finding {
    /// A finding with its kind's level.
    pub fn new(kind: Kind, file: &Path, text: impl Into<String>) -> Self {
        Self { kind, level: kind.level(), file: file.to_owned(), text: text.into() }
    }

    /// The same, but it does not stop anything.
    pub fn tolerated(self) -> Self {
        Self { level: self.level.min(Level::Alarm), ..self }
    }

    /// Does it stop the use of the file?
    pub fn is_error(&self) -> bool {
        self.level == Level::Error
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.file.display(), self.text, self.kind.as_str())
    }
}

/// Is there anything that stops the use of the files?
pub fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(Finding::is_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Kind::ALL.len());
    }

    #[test]
    fn names_the_file_and_the_kind() {
        let finding = Finding::new(Kind::Expired, Path::new("a.pem"), "expired on 1 May");
        assert_eq!(finding.to_string(), "a.pem: expired on 1 May (certificate-expired)");
        assert!(!finding.tolerated().is_error());
    }
}
