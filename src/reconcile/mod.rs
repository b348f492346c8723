//! Who is who: is a record about the same person as another one?
//!
//! Normalise ([`normal`]) → block ([`block`]) → compare ([`compare`]) → decide ([`decide`]). Weights are those of
//! Fellegi and Sunter: each field adds or takes as many bits as its agreement or difference is evidence. A sum of bits
//! alone never joins two people, because what families share (surname, home, telephone) agrees for a reason. So rules
//! stand before the sum: some pairs are never joined, and a pair is joined by itself only where what is a person's own
//! agrees, something of another kind confirms it, and nobody else could be meant.
//!
//! Pure: no clock, no randomness, no environment, no input or output. Records are packed; the texts of names are kept
//! once in a [`lexicon`].

pub mod date;
pub mod diary;
pub mod distance;
pub mod lexicon;
pub mod name;
pub mod nickname;
pub mod normal;
pub mod number;
pub mod place;

pub mod block;
pub mod compare;
pub mod decide;
pub mod explain;
pub mod rival;
pub mod weight;

pub mod batch;
pub mod cluster;
pub mod index;
pub mod lookup;
pub mod said;
pub mod train;

use serde::Serialize;

/// How sure it is that two records are about one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// Different people, or nothing that says otherwise.
    None,
    /// Worth showing to somebody who asks; no task.
    Possible,
    /// A person decides.
    Probable,
    /// May be linked automatically.
    Certain,
}

impl Grade {
    /// The name in files and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Possible => "possible",
            Self::Probable => "probable",
            Self::Certain => "certain",
        }
    }
}
