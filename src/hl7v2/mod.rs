//! HL7 v2 in its ER7 form ("pipe and hat"): bytes to message and back, acknowledgements, MLLP frames.
//!
//! A stranger to the rest of the gateway: nothing here knows what a referral is. Reading is tolerant and never
//! fails on what it does not understand; writing is strict. Chapter 2 of the standard ("Control") is meant
//! wherever a section is named.
//!
//! * [`message`]: borrowed and lazy reading, [`path`]: where something stands in a message
//! * [`charset`]: bytes of any set become UTF-8 first, [`batch`]: many messages in one envelope
//! * [`write`](mod@write): the way out, [`escape`]: what both do to text
//! * [`ack`]: answers, also to what can hardly be read
//! * [`frame`]: minimal lower layer protocol (appendix C of the implementation guide)

pub mod ack;
pub mod batch;
pub mod charset;
pub mod delimiters;
pub mod escape;
pub mod frame;
pub mod header;
pub mod message;
pub mod names;
pub mod path;
pub mod write;
