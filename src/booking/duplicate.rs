//! Two referrals that may be one, and two appointments that may be one: what must be looked up, and what is held.

use super::appointment::Appointment;
use super::identifier::{Identifier, PatientId, ReferralId};
use super::index::Task;
use super::referral::Referral;

/// What must be looked up to find out whether something new is there already.
#[derive(Clone, Debug, Default)]
pub struct TwinNeeds {
    /// Whose referral each of these numbers is.
    pub numbers: Vec<Identifier>,
    /// All referrals of everybody whom the command may be about.
    pub referrals: bool,
    /// Their current appointments.
    pub appointments: bool,
}

/// What is held of that.
#[derive(Clone, Debug, Default)]
pub struct TwinState {
    /// Referrals, the newest first.
    pub referrals: Vec<Referral>,
    /// Appointments.
    pub appointments: Vec<Appointment>,
    /// The referral that a number is of.
    pub numbered: Vec<(Identifier, Referral)>,
    /// What was asked about these before.
    pub tasks: Vec<Task>,
}

/// Most referrals and most appointments of one person that are looked at: the newest.
pub const TWINS_MAX: u32 = 32;

impl TwinState {
    /// Whose referral has this number already.
    pub fn owner_of(&self, number: &Identifier) -> Option<(ReferralId, PatientId)> {
        let found = self.numbered.iter().find(|(held, _)| held == number);
        found.map(|(_, referral)| (referral.id, referral.patient))
    }
}
