//! `[[organisation]]` and `[[service]]`: who and what is known here.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::booking::identifier::{OdsCode, ServiceId};
use crate::booking::service::Service;

/// `[[organisation]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrganisationEntry {
    /// ODS code.
    pub ods: OdsCode,
    /// What it is called.
    #[serde(default)]
    pub name: String,
    /// The day from which it can neither send nor receive.
    #[serde(default)]
    pub closed_on: Option<Date>,
}

impl OrganisationEntry {
    /// Is it closed on this day?
    pub fn is_closed(&self, today: Date) -> bool {
        self.closed_on.is_some_and(|day| day <= today)
    }
}

/// `[[service]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceEntry {
    /// Directory of Services id.
    pub id: ServiceId,
    /// What it is called.
    #[serde(default)]
    pub name: String,
    /// ODS code of the organisation that provides it.
    pub organisation: OdsCode,
    /// Use cases that it takes (`usecases-categories-bars`); empty: all.
    #[serde(default)]
    pub use_cases: Vec<String>,
    /// Treatment function code, three digits.
    #[serde(default)]
    pub treatment_function: Option<String>,
    /// Name of the destination that its messages are delivered to; not set: kept here only.
    #[serde(default)]
    pub destination: Option<String>,
    /// No longer takes anything.
    #[serde(default)]
    pub closed: bool,
}

impl ServiceEntry {
    /// The service as the booking model knows it.
    pub fn to_service(&self) -> Service {
        Service {
            id: self.id.clone(),
            name: self.name.clone(),
            organisation: self.organisation.clone(),
            use_cases: self.use_cases.iter().map(|case| case.to_lowercase()).collect(),
            treatment_function: self.treatment_function.clone(),
            destination: self.destination.clone(),
            closed: self.closed,
        }
    }
}
