//! Certificate to registered system to the organisations that it may act for.

use std::collections::HashMap;

use crate::config::{Organisations, System};
use crate::intake::Caller;
use crate::tls::PeerIdentity;

/// The role of systems that may ask the index of patients and change it.
const INDEX: &str = "index";

/// What is known of the other end of a connection, kept with the connection.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// Who it is by its certificate; `None`: it showed none.
    pub identity: Option<PeerIdentity>,
}

/// The registered systems.
#[derive(Clone, Debug)]
pub struct Systems {
    registered: Vec<System>,
    /// Where no certificate is asked for, everybody is this one.
    anonymous: Option<Caller>,
}

impl Systems {
    /// `open`: the listener asks for no certificates, so callers are not known. For experiments only.
    pub fn new(registered: Vec<System>, open: bool) -> Self {
        // Whoever shows no certificate may not ask who is who.
        let anonymous =
            open.then(|| Caller { system: "anonymous".into(), organisations: Organisations::Any, index: false });
        Self { registered, anonymous }
    }

    /// The system at the other end.
    pub fn caller(&self, peer: Option<&Peer>) -> Option<Caller> {
        let found = peer.and_then(|peer| peer.identity.as_ref()).and_then(|identity| self.find(identity));
        let known = found.map(|system| Caller {
            system: system.id.clone(),
            organisations: system.organisations.clone(),
            index: system.roles.iter().any(|role| role == INDEX),
        });
        known.or_else(|| self.anonymous.clone())
    }

    /// Requests per second of those that have a rate of their own.
    pub(super) fn rates(&self) -> HashMap<String, u32> {
        self.registered.iter().filter_map(|system| Some((system.id.clone(), system.rate_per_second?))).collect()
    }

    fn find(&self, identity: &PeerIdentity) -> Option<&System> {
        self.registered.iter().find(|system| identity.is_of(system))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_shows_no_certificate_is_nobody_or_may_not_ask_who_is_who() {
        assert!(Systems::new(Vec::new(), false).caller(None).is_none());
        let anonymous = Systems::new(Vec::new(), true).caller(None).expect("an open listener takes everybody");
        assert!(!anonymous.index);
    }
}
