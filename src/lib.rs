//! Onward: a referral gateway.
//!
//! A GP system, an urgent care service, a hospital or another gateway sends a referral or a booking. Onward checks it,
//! understands it, keeps it safe, answers, and sees to it that the other side gets it. Nothing that was accepted is
//! lost, nobody is taken for somebody else, and no appointment hangs on another patient's referral.
//!
//! # One way through the house
//!
//! ```text
//!  BaRS message ─┐                                                                       ┌▶ FHIR reply
//!                ├▶ receive ▶ identify ▶ remember ▶ check ▶ translate ▶ decide ▶ commit ─┼▶ HL7 v2 ACK
//!  HL7 v2/MLLP ──┘                                                                       └▶ outbox ▶ deliver
//!     http, mllp      http      http      intake,   profile,    bars      booking  store      outbox
//!                                         store     bars
//! ```
//!
//! * **receive**: bytes and headers, within limits ([`http`], [`mllp`]). The bytes are kept as they came; what follows
//!   works on JSON, which XML is turned into ([`intake::content`]).
//! * **identify**: the certificate says which registered system calls, and for which organisations it may act
//!   ([`http::Systems`], [`intake::Caller`]).
//! * **remember**: the ledger of first answers. A repeat is answered from it, whatever crashed in between
//!   ([`store::Verdict`]).
//! * **check**: FHIR R4 and the profiles in force ([`profile::validate`]), as strictly as the sender's policy has it
//!   ([`profile::policy`]), then the standard's own rules ([`bars::check`]). Every problem is found; each has a permanent
//!   code, a place and a person whose move it is ([`issue`]).
//! * **translate**: one vocabulary for all dialects ([`booking::command::Command`]). Nothing after it knows FHIR, HL7
//!   or HTTP.
//! * **decide**: a pure function of the command, what is held and the time ([`booking::decide::decide`]). It says what
//!   changes, what others are to be told and what to warn of, and does none of it.
//! * **commit**: journal entry, changes, letters and answer become durable in one transaction ([`store::Store::submit`]).
//!   Only then does the answer leave.
//! * **deliver**: the outbox sends, in order per patient, until the other side has confirmed or a person is told
//!   ([`outbox`]).
//!
//! [`http`] and [`mllp`] share [`intake`] and nothing else. [`status`] watches from outside of all this.
//!
//! # The modules, in reading order
//!
//! A module uses only what stands above its own paragraph below. `tests/it/tidy.rs` holds the source to that.
//!
//! | Paragraph | What it is |
//! |---|---|
//! | [`issue`] | What can be wrong with content: codes that are permanent. |
//! | [`booking`], [`fhir`], [`hl7v2`] | The booking model and its rules; FHIR R4 as it travels; HL7 v2 as bytes. Strangers to each other. |
//! | [`reconcile`] | Who is who: are two records about one person? |
//! | [`profile`] | Is a resource what FHIR R4 says it is? |
//! | [`bars`], [`pas`] | The dialects: BaRS messages, to us and to referrers; what a hospital's system is sent and sends. |
//! | [`config`] | Everything that can be set, checked before the start. |
//! | [`telemetry`] | Log lines and numbers. |
//! | [`store`], [`tls`] | The only SQL; certificates that are checked, watched and explained. |
//! | [`outbox`], [`intake`] | Delivery; and the use case, as a list of calls. |
//! | [`http`], [`mllp`], [`status`] | The three listeners. |
//! | [`load`], [`simulation`] | Synthetic messages, and a load made of them; a world in which everything goes wrong. |
//! | [`app`] | The composition root: a configuration becomes a running gateway. |
//! | [`cli`] | One file per subcommand. |
//!
//! # What must always hold
//!
//! Where a rule is enforced, and which tests hold it. What is not built or not tested yet is said here. Rules 1, 2, 5 and
//! 6 are also checked after every step of random walks through the rules of the field, in memory
//! (`what_must_always_hold_holds_after_every_step`) and against the store (`the_store_holds_what_the_world_in_memory_holds`).
//!
//! 1. **No appointment of one patient on a referral of another.** Decided in `booking::decide::booking`: a named referral
//!    must be the proven patient's own. Held by the foreign key `(referral_id, patient_id)` in the schemas of both
//!    stores. Tests: `nobody_books_on_somebody_elses_referral`,
//!    `an_appointment_on_another_patients_referral_is_refused`. Nor does an appointment go from one patient to another: it
//!    ends, and another one begins (`booking::decide::feed::passing`), so that no id leads to somebody else's. Test:
//!    `a_booking_that_is_another_patients_is_withdrawn_and_its_referrer_hears_nothing_of_the_other`.
//! 2. **No appointment without a live referral; at most one current appointment per referral; a slot is sold once.**
//!    The table [`booking::decide::referral_permits`]; the unique indexes `appointment_referral_once` and
//!    `appointment_slot_once`. Tests: `one_of_200_gets_the_slot`, `a_slot_is_sold_once`,
//!    `one_of_200_gets_the_slot_through_two_gateways`.
//! 3. **What was answered with success survives; what is repeated has one effect.** One transaction per batch with a
//!    full sync, and a ledger with a unique key. Rules 1 to 5 are also checked after every step of a simulation of senders,
//!    gateways, disk, network and hospital ([`simulation`]): `no_fault_in_a_million_steps_breaks_a_rule`; that it finds
//!    what it looks for is held by `every_planted_bug_is_found`. Tests: `nothing_is_lost_or_doubled_by_kill_9`,
//!    `the_same_request_50_times_at_once_has_one_effect`, `a_repeat_of_what_was_refused_gets_the_first_answer`,
//!    `what_a_hospital_was_acknowledged_survives_kill_9_once`,
//!    `the_same_request_through_two_gateways_has_one_effect`,
//!    `a_server_that_is_killed_in_the_middle_of_commits_loses_nothing`,
//!    `whatever_a_sender_does_each_message_is_applied_once_and_nobody_is_held_up`.
//! 4. **Every accepted message ends in exactly one of: delivered, parked with a person told, superseded. Every refused
//!    one is kept with its reason and its bytes. Every message of a hospital is in one state.** [`store::OutboxState`],
//!    constraints on the tables, and the ledger that proves it of a running gateway ([`store::ledger::standing`]; `onward
//!    ledger`, the status page). Tests: `whatever_is_lost_is_named`,
//!    `whatever_a_peer_does_everything_is_delivered_once_and_in_order`, `depth_counts_what_there_is`,
//!    `every_message_ends_in_one_counted_state`,
//!    `whatever_a_referrer_answers_a_letter_is_delivered_or_waits_for_a_person`,
//!    `what_a_hospital_changed_is_told_once_and_in_order_though_the_gateway_is_killed`. A hospital's message can be read
//!    again from the journal, a referrer's not yet.
//! 5. **Every live referral is on a worklist.** [`booking::referral::Referral::worklist`] is total; the constraint
//!    `live_is_on_a_worklist`. Tests: `a_live_referral_without_a_worklist_is_refused`.
//! 6. **"Not found" or "look-up failed" never means "new patient". An absent value never erases a present one.**
//!    A look-up that fails ends the transaction: nothing is done and the sender tries again. A proven NHS number or a
//!    local number finds a record; anything else makes a record of its own, which is linked to a person only where that
//!    is certain, and for whom somebody is asked where it may be ([`booking::index`]). What rules, sources or people link
//!    can be parted, and leaves nothing behind. A source that makes too many records of unproven people is held.
//!    [`booking::patient::Demographics::updated_by`] keeps what a message does not say; [`pas`] never orders a receiver to
//!    delete. Tests: `every_message_is_sound`, `absent_null_and_present_are_three_things`,
//!    `failures_in_the_middle_of_a_batch_undo_only_themselves`, `merged_edited_and_parted_is_the_same_as_edited`,
//!    `a_hundred_first_messages_at_once_make_one_person`,
//!    `blank_records_by_the_hundred_stop_within_the_hour_until_a_person_has_looked`,
//!    `where_not_all_can_be_looked_at_a_person_is_asked`. Referrals and appointments that may be there twice are asked
//!    about: `another_booking_reference_for_the_same_is_taken_and_asked_about`,
//!    `what_two_had_who_turn_out_to_be_one_is_asked_about_and_parts_again`.
//! 7. **A waiting-time clock's start never moves without a rule.** An amendment keeps the held clock; an awaited
//!    referral hands its clock on ([`booking::pathway`]). The rules of the clock itself are not built yet.
//! 8. **Patient data is never in an error text or a log.** Issues name places and rules, never values; types that hold
//!    patient data print as `***`; [`telemetry`] has a closed list of fields. Tests:
//!    `no_issue_holds_a_value_of_the_message`, `is_masked_when_printed_for_debugging`. Restricted records are not told
//!    from others yet.
//! 9. **The status endpoint tells the truth when everything else is down.** [`status`] has its own threads and socket
//!    and answers from memory. Tests: `a_database_that_hangs_is_told_and_holds_up_nobody`,
//!    `an_api_whose_places_are_all_taken_is_told`, `a_disk_that_is_full_is_told_and_its_end_is_noticed`,
//!    `a_database_file_that_is_gone_is_told_and_takes_nothing`.
//!
//! # Where this differs from the first plan, and why
//!
//! * `serde` in [`booking`]. The model was to know nothing but time and errors. The store keeps a record whole, as
//!   JSON; a second set of types only for that would have to be kept equal by hand.
//! * [`booking::decide::decide`] runs inside the store's writer transaction. It stays pure: the store calls it. So no race
//!   lies between looking and deciding, and no decision is made twice.
//! * [`booking::referral::ReferralStatus::Awaited`]. BaRS lets a booking come before its referral. It then hangs on a
//!   referral that is awaited, so that no appointment is ever without one. When the referral comes it takes that
//!   place, id and clock included.
//! * [`bars::outcome`] is the place where kinds of failure meet status codes. It was to be in [`http`]; but what a
//!   refusal looks like is the standard's matter, and it is also needed where the answer is rendered, inside the
//!   transaction.
//! * Packages are held without snapshots once they are compiled ([`profile::library`]): they weigh more than all else, and
//!   only a schema needs them again. They are made anew then, from the tables and the differentials in memory.
//! * The payload tables ([`bars::necessity`]) are no station. The standard's own examples break them, so they are told to
//!   whoever asks (`$validate`, `onward validate`) and stop no message.
//! * XML is turned into JSON and back at the edge ([`fhir::xml`]); there is no tree that stands for both. So there is one
//!   check, one translation and one reply, and JSON, which nearly all send, pays nothing. The reader and the writer stand
//!   with the other form in [`fhir`] and know no types: they ask a small trait, [`fhir::xml::Schema`], which
//!   [`profile::xml`] answers from R4's facts. The way back from the JSON to the places in the XML is a list of offsets.
//!   The journal has no column for the form: the first byte of a body tells it ([`fhir::form`]).
//! * [`tls`] and [`load`] are rooms of their own. Certificates are checked by the listener, by the outbox and by the
//!   command line; the synthetic messages serve the load tool, the demo and the tests.
//! * A success of BaRS keeps no reply body in the ledger. The standard answers a repeat of a success with 409, so the
//!   body would never be sent again. A refusal is kept whole, because its repeat gets it again.
//! * Reading over the API is not audited yet. Every message is in the journal with its caller; a `GET` leaves only a
//!   number. What the command line shows of messages and letters is ([`store::act`]).
//! * A record and a person are rows of one table, `patient`. A record that follows no other one stands for its person,
//!   and a link moves nothing but what hangs on it, which remembers where it came from. So parting needs no copy of what
//!   was before. Sources that prove the same NHS number with names and dates that agree share one record, as BaRS messages
//!   do; the journal tells what each of them said.
//! * Whether records are alike is found out by the store with [`reconcile`], and handed to the decision as what is held:
//!   [`booking::decide::decide`] stays pure, and below the matcher in reading order.
//! * What hospitals say is not applied in the order in which it comes, with what is wrong blocking what follows, but by
//!   the time at which it was true ([`booking::feed`]). So no queue stands between a message and its effect, a message
//!   in quarantine blocks nobody, and there is nothing to recover after a crash.
//!   `any_order_of_any_history_ends_as_the_right_one_or_a_person_is_asked` and
//!   `a_long_past_delays_no_start_and_takes_up_no_memory` hold it to that.
//! * One text of SQL for two databases. The statements see a connection as a `Session`, called through a trait object: a
//!   type parameter on a hundred functions would have saved nanoseconds beside microseconds, and compiled them twice.
//! * Many gateways on one database claim what a decision rests on before they look it up, by locks on rows of a small
//!   table, and not by versions that are compared afterwards. So a decision is made once and on what is true, also about
//!   what is not there yet; `store::postgres::claims` has the argument. Nobody is notified of new letters: whoever
//!   writes one sends it, and PostgreSQL's `NOTIFY` lets commits only pass one at a time.
//! * What the outbox does next is decided by a machine that knows no clock, no store and no network
//!   (`outbox::machine`), and that two things drive: the dispatcher, and the simulation. Loops that wait cannot be tried
//!   step by step; a function of what happened can. For the same reason leases and fences are statements that SQLite
//!   understands too, though only PostgreSQL has them in earnest: the simulated database ([`simulation`]) is the embedded
//!   store's schema, statements and batches in memory, with two gateways on it. Threads, files and the server's locks are
//!   not simulated but killed and cut off for real.
//! * The ledger reads indexes and compares sums; it keeps no state of a message. A column that says where a message stands
//!   would have been one more write per letter, and one more thing that can be wrong.
//! * What a hospital changes on a referrer's booking is a letter to the referrer ([`bars::telling`]), written in the
//!   transaction of the change like those to hospitals. It holds the request's headers too, so that a repeat of it is the
//!   same request. A letter to an address that nobody registered waits under the address.
//!
//! # A referral goes through
//!
//! 1. [`http::Server`] takes a connection and reads the client's certificate once. [`http::Front::serve`] finds
//!    `POST /$process-message` in [`bars::capability::INTERACTIONS`], the system in [`http::Systems`], and reads the
//!    headers ([`bars::headers::read`]) and the body, within [`http::Limits`].
//! 2. [`intake::Intake::process_message`] takes off: a second request with the same `X-Request-Id` gets 425 until this one
//!    has landed. It looks up the service and asks whether the caller may act for the organisation.
//! 3. The bytes become spans ([`fhir::json::read`]), which must be a sound R4 Bundle
//!    ([`profile::validate::Validator::check`]), and a message of the standard ([`bars::check::check`]): version,
//!    destination, a row of [`bars::workflow::ROWS`], the counts of its [`bars::definitions`], the rules for its
//!    elements. A resource becomes a tree when somebody looks at it ([`fhir::document::Document`]). With one error in it,
//!    the message is kept with everything that was found ([`store::Work::Refuse`]) and answered with an
//!    OperationOutcome ([`bars::outcome::outcome`]).
//! 4. [`bars::translate::translate`] makes a [`booking::command::PlaceReferral`] of it, with fresh ids
//!    ([`bars::reply::Ids`]) and with the sender's own resource to carry ([`booking::command::Carried`]).
//! 5. [`store::Store::submit`] hands it to the writer. In the transaction that will make it durable the store asks the
//!    ledger, looks up what the command needs ([`booking::command::Command::needs`]) and calls
//!    [`booking::decide::decide`]. The answer is rendered, and with it the letters: [`pas::render`] writes REF^I12 for
//!    the service's destination. Changes, journal and letters are written; many submissions share one sync.
//! 6. The caller gets the Bundle back with the receiver's ids ([`bars::reply::Ids::reply`]).
//! 7. The outbox wakes ([`outbox::OutboxHandle::wake`]), sends the letter over MLLP and waits for the acknowledgement of
//!    exactly this control id. AA settles it; AE parks it for a person; silence means the same bytes again, later.

pub mod issue;

pub mod booking;
pub mod fhir;
pub mod hl7v2;

pub mod reconcile;

pub mod profile;

pub mod bars;
pub mod pas;

pub mod config;

pub mod telemetry;

pub mod store;
pub mod tls;

pub mod intake;
pub mod outbox;

pub mod http;
pub mod mllp;
pub mod status;

pub mod load;
pub mod simulation;

pub mod app;

pub mod cli;
