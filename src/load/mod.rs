//! A load of messages on a gateway on this machine, and what came of it.
//!
//! What a gateway can do is only known from a load that looks like the real one: whole referrals of 25 kB with a
//! patient each, bookings of slots that were just searched for, reads of what was accepted. Two rules keep the numbers
//! honest: with a rate, a request is measured from when it was due and not from when there was time to send it; and the
//! tool costs next to nothing itself ([`synthetic`] fills messages by copying), because it runs beside what it measures.

pub mod client;
mod feed;
pub mod headers;
mod mix;
mod pace;
mod people;
mod reply;
pub mod report;
mod run;
mod slots;
pub mod synthetic;
mod template;

pub use feed::{Feed, Sender};
pub use mix::Mix;
pub use pace::Mode;
pub use report::{Kind, Report};
pub use run::{LoadError, Plan, run};
