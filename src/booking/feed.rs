//! What a hospital's own system says: it is the source of truth for its patients, bookings and attendances.
//!
//! It says so in events that may come late, twice or out of order. So what is held is not changed by the order of
//! arrival but by the time at which each thing was true: a [`Record`] remembers, for each source and group of
//! fields, the newest [`Version`] that was taken, and an older one changes nothing. A cancellation that comes before
//! its booking waits in the record for it. Whatever the order, the end is the same.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::appointment::{Appointment, AppointmentStatus, Passed};
use super::command::{Carried, PublishSlots, Subject};
use super::duplicate::TwinNeeds;
use super::identifier::{AppointmentId, Identifier, PatientId, ReferralId, ServiceId};
use super::patient::Patient;
use super::referral::{Origin, Referral, ReferralStatus, ResponseKind};
use super::service::Service;

/// When something was true, as its source says; later is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version {
    /// The time of the event.
    pub at: Timestamp,
    /// The source's own count, for events of one second; 0: it does not count.
    pub sequence: u64,
}

/// An event of a hospital's system.
#[derive(Clone, Debug)]
pub struct Event {
    /// Who says so: versions are compared within one source.
    pub source: String,
    /// When it was true.
    pub version: Version,
    /// The message.
    pub origin: Origin,
    /// Who it is about; `None`: nobody.
    pub who: Option<Who>,
    /// What happened.
    pub wish: Wish,
}

/// A person, as the hospital knows one.
#[derive(Clone, Debug)]
pub struct Who {
    /// The record to make should none be found, the verified NHS number, and what is said about the person.
    pub subject: Subject,
    /// Local numbers with who issued them: exact, and proof of identity where they are linked already.
    pub numbers: Vec<Identifier>,
    /// What is to be deleted.
    pub cleared: Vec<Group>,
}

/// What happened.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one per message, and it travels in a box")]
pub enum Wish {
    /// Something is said about the person.
    Person,
    /// The person's record is withdrawn.
    Withdraw,
    /// Something is said about a booking.
    Booking(SaidBooking),
    /// Something is said about a referral.
    Referral(SaidReferral),
    /// The records with these numbers are the same person's: they end in the one that the event is about.
    Merge(Vec<Identifier>),
    /// These numbers of the person are no longer in use; the record stays the same.
    Renumber(Vec<Identifier>),
    /// Two records are said to be the same person's, or no longer. `pair` names both, `other` the one that the event
    /// is not about.
    #[allow(missing_docs)]
    Link { pair: Identifier, other: Identifier, linked: bool },
    /// A booking of the person with these numbers is this person's.
    #[allow(missing_docs)]
    Move { from: Vec<Identifier>, booking: Identifier },
    /// Two bookings of the person are one.
    #[allow(missing_docs)]
    MergeBookings { loser: Identifier, survivor: Identifier },
    /// Clinics and what describes them.
    Directory(Box<PublishSlots>),
    /// Nothing that matters here.
    Nothing,
}

/// A booking, as far as an event speaks of it.
#[derive(Clone, Debug)]
pub struct SaidBooking {
    /// Its number and who issued it.
    pub key: Identifier,
    /// The same booking's other numbers.
    pub others: Vec<Identifier>,
    /// This gateway's own id, where the hospital gives it back.
    pub own: Option<AppointmentId>,
    /// Where it stands.
    pub status: Option<Standing>,
    /// First and last instant.
    pub time: Option<(Timestamp, Timestamp)>,
    /// Where it is to be.
    pub service: ServiceId,
    /// The referral that it is for, by any of its numbers.
    pub referral: Vec<Identifier>,
    /// The same by this gateway's own id.
    pub own_referral: Option<ReferralId>,
    /// In words.
    pub description: Option<String>,
    /// The resource that is made of the event; where it names the patient it names the subject's candidate.
    pub carried: Option<Carried>,
    /// It is about one that must be known: should it not be, what is said waits for it.
    pub known_only: bool,
}

/// Where a booking stands, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Where.
    pub status: AppointmentStatus,
    /// Why, in words.
    pub reason: Option<String>,
}

/// A referral, as far as an event speaks of it.
#[derive(Clone, Debug)]
pub struct SaidReferral {
    /// Its numbers and who issued them; the first is its key.
    pub keys: Vec<Identifier>,
    /// This gateway's own id, where the hospital gives it back.
    pub own: Option<ReferralId>,
    /// Where it stands.
    pub status: Option<ReferralStatus>,
    /// What the hospital answers.
    pub response: Option<ResponseKind>,
    /// The content, with a fresh id and the candidate as its patient; `None`: an answer only.
    pub content: Option<Referral>,
    /// The resource that is made of the event.
    pub carried: Option<Carried>,
}

/// Fields that are said together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Group {
    Status,
    Time,
    Content,
    Person,
    Response,
    NotArrived,
    Identifiers,
    NumberStatus,
    Names,
    BirthDate,
    Gender,
    Addresses,
    Telecoms,
    Practice,
    Death,
    Restriction,
    Unidentified,
}

impl Group {
    /// What is said of persons.
    pub const OF_PERSONS: [Self; 11] = [
        Self::Identifiers,
        Self::NumberStatus,
        Self::Names,
        Self::BirthDate,
        Self::Gender,
        Self::Addresses,
        Self::Telecoms,
        Self::Practice,
        Self::Death,
        Self::Restriction,
        Self::Unidentified,
    ];
}

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Kind {
    Person,
    Booking,
    Referral,
    Link,
}

impl Kind {
    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Booking => "booking",
            Self::Referral => "referral",
            Self::Link => "link",
        }
    }
}

/// What is remembered of what sources said about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What it is about.
    pub kind: Kind,
    /// Its number and who issued it.
    pub key: Identifier,
    /// The appointment, referral or patient that it is held as; `None`: it is not held yet.
    pub entity: Option<Uuid>,
    /// The newest that was taken, by source and group.
    pub versions: BTreeMap<String, Version>,
    /// Where the booking stands, by the newest that was said.
    pub standing: Option<Standing>,
    /// Since when it stands there.
    pub since: Option<Version>,
    /// The newest that said that the patient has not arrived after all.
    pub not_arrived: Option<Version>,
    /// When the booking is, by the newest that was said.
    pub time: Option<(Timestamp, Timestamp)>,
    /// The patient that it was moved to.
    pub moved_to: Option<PatientId>,
    /// Where the referral stands, by the newest that was said; for a link: whether it is one.
    pub state: Option<String>,
    /// What the hospital answered to the referral, by the newest that was said.
    #[serde(default)]
    pub response: Option<ResponseKind>,
    /// It turned out to be the same as this one.
    pub merged_into: Option<Identifier>,
}

/// How something that is said stands to what was said before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Later, or the first: it is taken.
    Later,
    /// Of the same time: it is taken, but nobody can tell whether it should be.
    Same,
    /// Earlier: it is not taken.
    Earlier,
}

impl Record {
    /// Nothing was said yet.
    pub fn new(kind: Kind, key: Identifier) -> Self {
        Self {
            kind,
            key,
            entity: None,
            versions: BTreeMap::new(),
            standing: None,
            since: None,
            not_arrived: None,
            time: None,
            moved_to: None,
            state: None,
            response: None,
            merged_into: None,
        }
    }

    /// Remembers that a source says something about a group, unless what it said before is newer.
    pub fn take(&mut self, source: &str, group: Group, version: Version) -> Order {
        let key = format!("{source}|{group:?}");
        let order = match self.versions.get(&key) {
            Some(held) if version < *held => return Order::Earlier,
            Some(held) if version == *held => Order::Same,
            _ => Order::Later,
        };
        self.versions.insert(key, version);
        order
    }

    /// The groups that another record was told of later, by whom and when.
    pub fn older_than<'o>(&self, other: &'o Self) -> Vec<(&'o str, Group, Version)> {
        let groups = |key: &str| Group::OF_PERSONS.into_iter().find(|group| key == format!("{group:?}"));
        let said =
            other.versions.iter().filter(|(key, version)| self.versions.get(*key).is_none_or(|own| own < *version));
        let parts = said.filter_map(|(key, version)| key.rsplit_once('|').zip(Some(*version)));
        parts.filter_map(|((source, group), version)| Some((source, groups(group)?, version))).collect()
    }

    /// Where the booking stands by all that was said. "Not arrived after all" undoes an arrival that was earlier, and
    /// nothing else: what was cancelled stays cancelled.
    pub fn stands(&self) -> Option<Standing> {
        let standing = self.standing.as_ref()?;
        let arrived = matches!(standing.status, AppointmentStatus::Arrived | AppointmentStatus::Fulfilled);
        let undone = arrived && self.not_arrived.is_some_and(|at| self.since <= Some(at));
        Some(if undone { Standing { status: AppointmentStatus::Booked, reason: None } } else { standing.clone() })
    }
}

/// The appointment that a number means where the hospital gives this gateway's own id back.
pub fn own_id(number: &Identifier) -> Option<AppointmentId> {
    Uuid::parse_str(&number.value).ok().map(AppointmentId)
}

/// The id that follows from a number: the same event makes the same record however often it comes.
pub fn derived_id(kind: Kind, number: &Identifier) -> Uuid {
    const NAMESPACE: Uuid = Uuid::from_u128(0x6f6e_7761_7264_4000_8000_6665_6564_0001);
    Uuid::new_v5(&NAMESPACE, format!("{}|{}|{}", kind.as_str(), number.system, number.value).as_bytes())
}

/// The key of the record about a person.
pub fn person_key(id: PatientId) -> Identifier {
    Identifier { system: "patient".to_owned(), value: id.to_string() }
}

/// What must be looked up before an event can be decided.
#[derive(Clone, Debug, Default)]
pub struct FeedNeeds<'a> {
    /// Whose local numbers these are.
    pub numbers: Vec<&'a Identifier>,
    /// What was said before.
    pub records: Vec<(Kind, &'a Identifier)>,
    /// Referrals by their numbers.
    pub referrals: Vec<&'a Identifier>,
    /// The same by their ids.
    pub referral: Option<ReferralId>,
    /// An appointment by its id.
    pub appointment: Option<AppointmentId>,
    /// The source, to find what it said about the people found.
    pub source: &'a str,
}

/// What is held of that.
#[derive(Clone, Debug, Default)]
pub struct FeedState {
    /// Whose each number is; `true`: it was another record's before a merge.
    pub numbers: Vec<(Identifier, Patient, bool)>,
    /// What was said before.
    pub records: Vec<Record>,
    /// The appointments of the records, and the one that was named.
    pub bookings: Vec<HeldBooking>,
    /// The referrals that were named, whose they are, and their current appointments.
    pub referrals: Vec<(Referral, Patient, Option<Appointment>)>,
    /// Patients that bookings were moved to.
    pub moved_to: Vec<Patient>,
    /// The services of bookings and referrals that referrers made …
    pub services: Vec<Service>,
    /// … and the messages that made them: `Bundle.id` and the bytes.
    pub originals: Vec<(String, Vec<u8>)>,
}

/// An appointment with all that hangs on it.
#[derive(Clone, Debug)]
pub struct HeldBooking {
    /// The appointment.
    pub appointment: Appointment,
    /// Its referral.
    pub referral: Referral,
    /// Whose it is.
    pub patient: Patient,
    /// The appointment that is current on that referral.
    pub current: Option<AppointmentId>,
}

impl FeedState {
    /// What was said before about this.
    pub fn record(&self, kind: Kind, key: &Identifier) -> Option<&Record> {
        self.records.iter().find(|record| record.kind == kind && record.key == *key)
    }

    /// The bytes of the message that made what has this origin.
    pub fn original(&self, origin: &Origin) -> Option<&[u8]> {
        self.originals.iter().find(|(bundle, _)| *bundle == origin.bundle).map(|(_, body)| body.as_slice())
    }

    /// Bookings and referrals that referrers made: where each came from, and the service that it is for.
    pub fn of_referrers(&self) -> impl Iterator<Item = (&Origin, &ServiceId)> {
        let bookings = self.bookings.iter().flat_map(|held| {
            [(&held.appointment.origin, &held.appointment.service), (&held.referral.origin, &held.referral.service)]
        });
        let referrals = self.referrals.iter().map(|(referral, ..)| (&referral.origin, &referral.service));
        bookings.chain(referrals).filter(|(origin, _)| !origin.reply_to.is_empty())
    }

    /// The appointment that now stands for the one with this id.
    pub fn booking(&self, id: AppointmentId) -> Option<&HeldBooking> {
        let first = self.first(id)?;
        match &first.appointment.passed {
            Some(Passed::To { now, .. }) => self.held(*now),
            _ => Some(first),
        }
    }

    /// The appointment that the one with this id was at first.
    pub fn first(&self, id: AppointmentId) -> Option<&HeldBooking> {
        let held = self.held(id)?;
        match held.appointment.passed {
            Some(Passed::From(first)) => self.held(first),
            _ => Some(held),
        }
    }

    /// The appointment with this id, whatever stands for it now.
    pub fn held(&self, id: AppointmentId) -> Option<&HeldBooking> {
        self.bookings.iter().find(|held| held.appointment.id == id)
    }
}

impl Event {
    /// What must be looked up to decide it.
    pub fn needs(&self) -> FeedNeeds<'_> {
        let mut needs = FeedNeeds { source: &self.source, ..FeedNeeds::default() };
        needs.numbers.extend(self.who.iter().flat_map(|who| &who.numbers));
        match &self.wish {
            Wish::Booking(said) => {
                needs.records.push((Kind::Booking, &said.key));
                needs.records.extend(said.others.iter().map(|other| (Kind::Booking, other)));
                needs.referrals.extend(&said.referral);
                needs.referral = said.own_referral;
                needs.appointment = said.own;
            }
            Wish::Referral(said) => {
                needs.records.extend(said.keys.iter().map(|key| (Kind::Referral, key)));
                needs.referrals.extend(&said.keys);
                needs.referral = said.own;
            }
            Wish::Merge(numbers) | Wish::Renumber(numbers) => needs.numbers.extend(numbers),
            Wish::Move { from, booking } => {
                needs.numbers.extend(from);
                needs.records.push((Kind::Booking, booking));
                needs.appointment = own_id(booking);
            }
            Wish::MergeBookings { loser, survivor } => {
                needs.records.extend([(Kind::Booking, loser), (Kind::Booking, survivor)]);
            }
            Wish::Link { pair, other, .. } => {
                needs.numbers.push(other);
                needs.records.push((Kind::Link, pair));
            }
            Wish::Person | Wish::Withdraw | Wish::Directory(_) | Wish::Nothing => {}
        }
        needs
    }

    /// What may be there already, of what it speaks of.
    pub fn twins(&self) -> TwinNeeds {
        TwinNeeds {
            numbers: Vec::new(),
            referrals: matches!(&self.wish, Wish::Referral(said) if said.content.is_some()),
            appointments: matches!(self.wish, Wish::Booking(_)),
        }
    }

    /// May records be joined or parted by it?
    pub fn joins_or_parts(&self) -> bool {
        matches!(self.wish, Wish::Merge(_) | Wish::Link { .. })
    }

    /// The service that it is for, where there is one.
    pub fn service(&self) -> Option<&ServiceId> {
        match &self.wish {
            Wish::Referral(said) => said.content.as_ref().map(|content| &content.service),
            _ => None,
        }
    }

    /// Its name, for the journal.
    pub fn name(&self) -> &'static str {
        match &self.wish {
            Wish::Person => "feed person",
            Wish::Withdraw => "feed withdraw",
            Wish::Booking(_) => "feed booking",
            Wish::Referral(_) => "feed referral",
            Wish::Merge(_) => "feed merge",
            Wish::Renumber(_) => "feed renumber",
            Wish::Link { .. } => "feed link",
            Wish::Move { .. } => "feed move",
            Wish::MergeBookings { .. } => "feed merge bookings",
            Wish::Directory(_) => "feed directory",
            Wish::Nothing => "feed nothing",
        }
    }
}

/// What came of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It changed something, or could have.
    #[default]
    Applied,
    /// Something newer was known already.
    Stale,
    /// It says nothing that matters here.
    Ignored,
}

impl Effect {
    /// The name in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Stale => "stale",
            Self::Ignored => "ignored",
        }
    }
}

/// What whoever made a booking or a referral is to be told, now that the hospital changed it. It holds all that a
/// message about it is made of, so that the message can be written where the change is.
#[derive(Clone, Debug)]
pub struct Telling {
    /// What it is about.
    pub news: News,
    /// Who tells: the service that the booking or referral is for.
    pub service: Service,
    /// Whose it is.
    pub patient: Patient,
    /// The referral as it is now.
    pub referral: Referral,
    /// What is told under the same goes in order.
    pub order: ReferralId,
    /// The appointment as it is now, where the news is about one.
    pub appointment: Option<Appointment>,
    /// The message that made what the news is about, and where the answer is to go.
    pub origin: Origin,
    /// The bytes of that message.
    pub original: Option<Vec<u8>>,
    /// When it was decided.
    pub at: Timestamp,
}

/// What there is to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum News {
    /// The booking is at another time, or stands again.
    BookingChanged,
    /// The booking is cancelled, or should never have been.
    BookingWithdrawn,
    /// The patient did not come.
    DidNotAttend,
    /// The service has got on with the referral, or will not.
    Progress,
}

impl News {
    /// All of them, for tests of whole tables.
    pub const ALL: [Self; 4] = [Self::BookingChanged, Self::BookingWithdrawn, Self::DidNotAttend, Self::Progress];
}
