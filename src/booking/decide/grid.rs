//! Every state and every action, through `decide` itself: what is permitted is done, and all else is refused with
//! the code that the table gives. The expected cells are written out here once more, so that neither is a copy.

use super::walk::{self, Action, STEP, Scene, Step, instant};
use super::world::World;
use super::{AppointmentAction, ReferralAction};
use crate::booking::appointment::AppointmentStatus;
use crate::booking::command::Command;
use crate::booking::decision::{Decision, Refusal};
use crate::booking::referral::{Category, ReferralStatus};

fn world() -> World {
    let mut world = World::default();
    world.submit(&Command::PublishSlots(walk::diary()), instant(0)).unwrap();
    world
}

/// The step, taken in the world as it is.
fn take(world: &mut World, step: Step) -> Result<Decision, Refusal> {
    let number = world.journal.len();
    let command = Scene { world, step, number }.command();
    world.submit(&command, instant(number))
}

fn name(verdict: &Result<Decision, Refusal>) -> &'static str {
    verdict.as_ref().map_or_else(|refusal| refusal.issue.code.id, |_| "done")
}

#[test]
fn every_referral_takes_or_refuses_every_action_as_the_table_says() {
    for category in [Category::Referral, Category::Validation] {
        for status in ReferralStatus::ALL {
            for action in ReferralAction::ALL {
                let found = on_referral(category, status, action);
                assert_eq!(found, expected_of_referral(category, status, action), "{category:?} {status:?} {action:?}");
            }
        }
    }
}

fn on_referral(category: Category, status: ReferralStatus, action: ReferralAction) -> &'static str {
    let mut world = world();
    let twist = if category == Category::Validation { 5 } else { 1 };
    take(&mut world, Step { twist, ..STEP }).unwrap();
    world.referrals[0].model.status = status;
    let step = match action {
        ReferralAction::Amend => Step { action: Action::AmendReferral, ..STEP },
        ReferralAction::Cancel => Step { action: Action::CancelReferral, ..STEP },
        ReferralAction::Respond => Step { action: Action::Respond, ..STEP },
        ReferralAction::Book => Step { action: Action::Book, link: Some(0), ..STEP },
    };
    let verdict = take(&mut world, step);
    let after = world.referrals[0].model.status;
    match (&verdict, action) {
        (Ok(_), ReferralAction::Amend) => assert_eq!(after, ReferralStatus::Active),
        (Ok(_), ReferralAction::Cancel) => assert_eq!(after, ReferralStatus::Revoked),
        _ => assert_eq!(after, status),
    }
    name(&verdict)
}

fn expected_of_referral(category: Category, status: ReferralStatus, action: ReferralAction) -> &'static str {
    use ReferralAction::{Amend, Book, Cancel, Respond};
    use ReferralStatus::{Active, Awaited, Completed, EnteredInError, OnHold, Revoked};
    match (action, status, category) {
        (Respond, ..) => "done",
        (Amend | Cancel, Active | OnHold, _) => "done",
        (Amend | Cancel, Awaited, Category::Referral) => "ONW-4006",
        (Amend | Cancel, Awaited, Category::Validation) => "ONW-4007",
        (Amend | Cancel, Revoked | EnteredInError | Completed, _) => "ONW-4009",
        (Book, Active, _) => "done",
        (Book, Awaited, _) => "ONW-4006",
        (Book, OnHold | Revoked | EnteredInError | Completed, _) => "ONW-4013",
    }
}

#[test]
fn every_appointment_takes_or_refuses_every_action_as_the_table_says() {
    for status in AppointmentStatus::ALL {
        for action in AppointmentAction::ALL {
            let found = on_appointment(status, action);
            assert_eq!(found, expected_of_appointment(status, action), "{status:?} {action:?}");
        }
    }
}

/// How it ended, and where the appointment stands then.
fn on_appointment(status: AppointmentStatus, action: AppointmentAction) -> (&'static str, AppointmentStatus) {
    let mut world = world();
    take(&mut world, Step { action: Action::Book, ..STEP }).unwrap();
    world.appointments[0].model.status = status;
    let step = match action {
        AppointmentAction::Amend => Step { action: Action::AmendBooking, ..STEP },
        AppointmentAction::Reschedule => Step { action: Action::Reschedule, slot: 3, ..STEP },
        AppointmentAction::Cancel => Step { action: Action::CancelBooking, ..STEP },
        // The sixth of the responses: the patient did not attend.
        AppointmentAction::NoShow => Step { action: Action::Respond, link: Some(0), twist: 5, ..STEP },
    };
    (name(&take(&mut world, step)), world.appointments[0].model.status)
}

/// A response is always taken: what it says of an appointment that is over is evidence, and changes nothing.
fn expected_of_appointment(status: AppointmentStatus, action: AppointmentAction) -> (&'static str, AppointmentStatus) {
    use AppointmentAction::{Amend, Cancel, NoShow, Reschedule};
    use AppointmentStatus::{Arrived, Booked, Cancelled, EnteredInError, Fulfilled, NoShow as Missed};
    match (status, action) {
        (Booked, Cancel) => ("done", Cancelled),
        (Booked, Amend | Reschedule) => ("done", Booked),
        (Arrived, Amend) => ("done", Arrived),
        (Booked | Arrived, NoShow) => ("done", Missed),
        (Fulfilled | Cancelled | Missed | EnteredInError, NoShow) => ("done", status),
        (Arrived, Reschedule | Cancel) => ("ONW-4009", Arrived),
        (Fulfilled | Cancelled | Missed | EnteredInError, Amend | Reschedule | Cancel) => ("ONW-4009", status),
    }
}
