//! What can be wrong with a database and where it lives, as data: for `onward doctor`.

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// Well; said so that nobody has to wonder whether it was looked at.
    Fine,
    /// Somebody should look.
    Warning,
    /// The gateway does not start with it, or what it has answered may be lost.
    Error,
}

/// Whose move is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Move {
    /// Nobody's.
    Nobody,
    /// Whoever writes the configuration.
    Configuration,
    /// Whoever runs the machine.
    Operator,
    /// Whoever runs the database server.
    Database,
    /// Whoever makes this program.
    Maker,
}

macro_rules! kinds {
    ($($name:ident $code:literal $grade:ident $whose:ident $meaning:literal)*) => {
        /// A kind of symptom. Its code is permanent: it is never renamed or used for something else.
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
            pub fn grade(self) -> Grade {
                match self { $(Kind::$name => Grade::$grade,)* }
            }

            /// Whose move is next.
            pub fn whose(self) -> Move {
                match self { $(Kind::$name => Move::$whose,)* }
            }

            /// What it means.
            pub fn meaning(self) -> &'static str {
                match self { $(Kind::$name => $meaning,)* }
            }
        }
    };
}

kinds! {
    Well "store-well" Fine Nobody "The database answers and keeps its promises."
    Missing "store-missing" Warning Operator "There is no database yet; the first start makes it."
    Unreachable "store-unreachable" Error Operator "The database cannot be opened."
    TooNew "store-too-new" Error Operator "A newer version of this program has written the database: this one does not open it."
    Older "store-older" Warning Operator "An older version wrote the database; the next start brings it to the newest schema. Make a backup first."
    Permissions "store-permissions" Warning Operator "Others than its owner may read the database file."
    Journal "store-journal-mode" Warning Operator "The file is not in write-ahead mode; the next start sets it, or something else keeps changing it."
    Integrity "store-integrity" Error Operator "The file is damaged. Stop the gateway, keep the file, restore the last backup."
    IntegrityUnknown "store-integrity-unknown" Warning Operator "The file is large, so it was not read whole. Run onward doctor --deep."
    Strays "store-foreign-keys" Error Maker "A row refers to one that is not there."
    DiskFull "disk-full" Error Operator "There is hardly room for another hour's messages."
    DiskShort "disk-short" Warning Operator "The disk of the database fills up."
    DiskFine "disk-fine" Fine Nobody "There is room on the disk of the database."
    DiskUnknown "disk-unknown" Warning Operator "Nobody can say how much room there is."
    ServerOld "server-too-old" Error Database "The PostgreSQL server lacks what is relied on here: version 15 or newer is needed."
    ServerMinor "server-without-fixes" Warning Database "The PostgreSQL server is the first release of its version: later ones mend faults."
    CommitOff "server-synchronous-commit-off" Error Database "What was answered is lost when the server dies."
    CommitLocal "server-standby-not-waited-for" Warning Database "There is a synchronous standby, and commits do not wait for it."
    NoStandby "server-alone" Warning Database "There is no synchronous standby: what was answered is lost with the server's disk."
    FsyncOff "server-fsync-off" Error Database "What was answered is lost in a power cut."
    PagesOff "server-full-page-writes-off" Error Database "A power cut may spoil the database."
    NoChecksums "server-without-checksums" Warning Database "A disk that returns something else is not noticed."
    ClockDiffers "clock-differs" Warning Operator "The clocks of this machine and of the database server differ."
    ClockBehind "clock-behind" Error Operator "This machine's clock is before what the database holds already: it was set back."
    ClockFine "clock-fine" Fine Nobody "The clock agrees with what is known."
}

impl Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Symptom {
    /// What kind of thing.
    #[serde(rename = "code")]
    pub kind: Kind,
    /// The kind's own, unless the case is milder.
    pub grade: Grade,
    /// In words, with the numbers.
    pub text: String,
}

impl Symptom {
    /// With its kind's grade.
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, grade: kind.grade(), text: text.into() }
    }

    /// The same, where only test data is at risk.
    pub fn tolerated(self, is_sandbox: bool) -> Self {
        let grade = if is_sandbox { self.grade.min(Grade::Warning) } else { self.grade };
        Self { grade, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_whatever_is_wrong_is_somebodys() {
        let mut codes: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            assert_eq!(kind.grade() == Grade::Fine, kind.whose() == Move::Nobody, "{kind:?}");
        }
    }
}
