//! The whole state × action table, no cell unspecified: what may be done to a referral or an
//! appointment where it stands, and the code of the refusal where it may not.

use crate::booking::appointment::AppointmentStatus;
use crate::booking::referral::ReferralStatus;
use crate::issue::{Code, NOT_CURRENT, REFERRAL_MISSING, REFERRAL_NOT_ACTIVE};

/// What is done to a referral that is named by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferralAction {
    /// Other content.
    Amend,
    /// Withdraw it.
    Cancel,
    /// Record what the service said.
    Respond,
    /// Book on it.
    Book,
}

impl ReferralAction {
    /// All of them, for tests of the whole table.
    pub const ALL: [Self; 4] = [Self::Amend, Self::Cancel, Self::Respond, Self::Book];
}

/// What is done to an appointment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppointmentAction {
    /// Other content, same time.
    Amend,
    /// Another slot.
    Reschedule,
    /// Withdraw it.
    Cancel,
    /// The patient did not come.
    NoShow,
}

impl AppointmentAction {
    /// All of them, for tests of the whole table.
    pub const ALL: [Self; 4] = [Self::Amend, Self::Reschedule, Self::Cancel, Self::NoShow];
}

/// May this be done to a referral that stands so? Nobody outside knows the id of an awaited one.
/// A response is always recorded: it is evidence, whatever happened meanwhile.
pub fn referral_permits(status: ReferralStatus, action: ReferralAction) -> Result<(), &'static Code> {
    use ReferralAction::{Amend, Book, Cancel, Respond};
    use ReferralStatus::{Active, Awaited, Completed, EnteredInError, OnHold, Revoked};
    match (status, action) {
        (Active, Amend | Cancel | Respond | Book) => Ok(()),
        (OnHold, Amend | Cancel | Respond) => Ok(()),
        (OnHold, Book) => Err(&REFERRAL_NOT_ACTIVE),
        (Awaited, Respond) => Ok(()),
        (Awaited, Amend | Cancel | Book) => Err(&REFERRAL_MISSING),
        (Revoked | EnteredInError | Completed, Respond) => Ok(()),
        (Revoked | EnteredInError | Completed, Amend | Cancel) => Err(&NOT_CURRENT),
        (Revoked | EnteredInError | Completed, Book) => Err(&REFERRAL_NOT_ACTIVE),
    }
}

/// May this be done to an appointment that stands so?
pub fn appointment_permits(status: AppointmentStatus, action: AppointmentAction) -> Result<(), &'static Code> {
    use AppointmentAction::{Amend, Cancel, NoShow, Reschedule};
    use AppointmentStatus::{Arrived, Booked, Cancelled, EnteredInError, Fulfilled, NoShow as Missed};
    match (status, action) {
        (Booked, Amend | Reschedule | Cancel | NoShow) => Ok(()),
        (Arrived, Amend | NoShow) => Ok(()),
        (Arrived, Reschedule | Cancel) => Err(&NOT_CURRENT),
        (Fulfilled | Cancelled | Missed | EnteredInError, _) => Err(&NOT_CURRENT),
    }
}
