//! What is wrong with a package: data, all of it, each with its file and element.

use std::fmt;

use crate::issue::Severity;

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoadIssue {
    /// Nothing of the kind [`Severity::Error`] may be loaded into a gateway.
    pub severity: Severity,
    /// The package: `name#version`, or its path where it has no name.
    pub package: String,
    /// The file within the package; empty where it is about the package.
    pub file: String,
    /// The element: a path in the JSON of the file, or an ElementDefinition's id.
    pub element: Option<String>,
    /// What kind of problem.
    pub fault: LoadFault,
    /// A sentence.
    pub text: String,
}

/// Kinds of problems with packages; the names are permanent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadFault {
    /// It cannot be read from the disk.
    Unreadable,
    /// It is no gzipped tar archive.
    Archive,
    /// An entry would lie outside of the package, or is a link.
    UnsafePath,
    /// Larger than the limits.
    TooLarge,
    /// A file is not JSON, or not of the form that its resource type has.
    Malformed,
    /// It is made for another version of FHIR.
    FhirVersion,
    /// The same URL and version stands for different things.
    Twice,
    /// A package that it depends on is not there.
    DependencyMissing,
    /// No snapshot can be made.
    Snapshot,
    /// A profile or type that it refers to is not there.
    ProfileMissing,
    /// Some codes of a binding cannot be checked.
    NotChecked,
}

impl LoadFault {
    /// Its permanent name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Archive => "archive",
            Self::UnsafePath => "unsafe-path",
            Self::TooLarge => "too-large",
            Self::Malformed => "malformed",
            Self::FhirVersion => "fhir-version",
            Self::Twice => "twice",
            Self::DependencyMissing => "dependency-missing",
            Self::Snapshot => "snapshot",
            Self::ProfileMissing => "profile-missing",
            Self::NotChecked => "not-checked",
        }
    }
}

impl fmt::Display for LoadIssue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Information => "information",
        };
        write!(f, "{severity}: {}", self.package)?;
        if !self.file.is_empty() {
            write!(f, ": {}", self.file)?;
        }
        if let Some(element) = &self.element {
            write!(f, ": {element}")?;
        }
        write!(f, ": {}", self.text)
    }
}
