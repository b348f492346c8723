//! What people do at the command line that changes how the gateway works, or shows them patients: kept for ever.

use jiff::Timestamp;
use serde::Serialize;

/// Which way messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From hospitals, by a channel of HL7 v2.
    In,
    /// To a destination.
    Out,
}

impl Direction {
    /// The name in tables and numbers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

/// What somebody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// Nothing is taken by a channel any more.
    PauseIn,
    /// It takes messages again.
    ResumeIn,
    /// Nothing is sent to a destination any more.
    PauseOut,
    /// It is sent to again.
    ResumeOut,
    /// The content of a message is shown.
    ViewMessage,
    /// The content of a letter is shown.
    ViewLetter,
}

impl Deed {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::PauseIn, Self::ResumeIn, Self::PauseOut, Self::ResumeOut, Self::ViewMessage, Self::ViewLetter];

    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PauseIn => "pause-in",
            Self::ResumeIn => "resume-in",
            Self::PauseOut => "pause-out",
            Self::ResumeOut => "resume-out",
            Self::ViewMessage => "view-message",
            Self::ViewLetter => "view-letter",
        }
    }

    /// The deed of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|deed| deed.as_str() == name)
    }

    /// Which way is paused (`true`) or resumed.
    pub fn pauses(self) -> Option<(Direction, bool)> {
        match self {
            Self::PauseIn => Some((Direction::In, true)),
            Self::ResumeIn => Some((Direction::In, false)),
            Self::PauseOut => Some((Direction::Out, true)),
            Self::ResumeOut => Some((Direction::Out, false)),
            Self::ViewMessage | Self::ViewLetter => None,
        }
    }
}

/// Who did what, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Act {
    pub at: Timestamp,
    pub deed: Deed,
    /// The channel or destination, or the id of what was shown.
    pub of: String,
    pub who: String,
    /// Empty where none was asked for. It may name a patient, so it is shown to nobody but operators.
    pub why: String,
}

/// A channel or destination at which nothing goes on until somebody says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Pause {
    pub direction: Direction,
    pub name: String,
    pub since: Timestamp,
    pub who: String,
}
