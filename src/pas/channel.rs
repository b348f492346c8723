//! How the messages of one destination are to look: `[destination.channel]` in the configuration.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

/// The form of the messages of a destination.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Channel {
    /// MSH-12. The UK's own profile of HL7 v2 is of 2.4.
    pub version: Version,
    /// MSH-3, and who issued the ids of this gateway where there is no [`Channel::sending_facility`].
    pub sending_application: String,
    /// MSH-4: the ODS code of the organisation that runs this gateway.
    pub sending_facility: String,
    /// MSH-5.
    pub receiving_application: String,
    /// MSH-6: the ODS code of the hospital.
    pub receiving_facility: String,
    /// MSH-11. Training is the default, so that a forgotten setting is refused by a live system and not the
    /// other way round.
    pub processing_id: ProcessingId,
    /// Where the hospital's clock stands.
    pub time_zone: Zone,
    /// Times carry their offset. Without it the hour that comes twice in autumn is ambiguous.
    pub offsets: bool,
    /// The NHS number before the local one in PID-3, for systems that look at the first only.
    pub nhs_number_first: bool,
    /// Ask for a commit acknowledgement (MSH-15 `AL`, MSH-16 `NE`) instead of the plain one.
    pub commit_acknowledgement: bool,
}

impl Default for Channel {
    fn default() -> Self {
        Self {
            version: Version::V2_4,
            sending_application: "ONWARD".to_owned(),
            sending_facility: String::new(),
            receiving_application: String::new(),
            receiving_facility: String::new(),
            processing_id: ProcessingId::Training,
            time_zone: Zone::default(),
            offsets: true,
            nhs_number_first: true,
            commit_acknowledgement: false,
        }
    }
}

impl Channel {
    /// Who issues the ids that this gateway gives: the namespace of EI and CX.
    pub fn authority(&self) -> &str {
        if self.sending_facility.is_empty() { &self.sending_application } else { &self.sending_facility }
    }

    /// An instant on the hospital's clock, to the second.
    pub fn instant(&self, instant: Timestamp) -> String {
        let format = if self.offsets { "%Y%m%d%H%M%S%z" } else { "%Y%m%d%H%M%S" };
        instant.to_zoned(self.time_zone.0.clone()).strftime(format).to_string()
    }

    /// As [`Channel::instant`]; nothing where there is none.
    pub fn instant_or_empty(&self, instant: Option<Timestamp>) -> String {
        instant.map_or_else(String::new, |instant| self.instant(instant))
    }
}

/// A version of HL7 v2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[allow(missing_docs)]
pub enum Version {
    #[serde(rename = "2.3")]
    V2_3,
    #[serde(rename = "2.3.1")]
    V2_3_1,
    #[serde(rename = "2.4")]
    V2_4,
    #[serde(rename = "2.5")]
    V2_5,
    #[serde(rename = "2.5.1")]
    V2_5_1,
}

impl Version {
    /// As in MSH-12.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2_3 => "2.3",
            Self::V2_3_1 => "2.3.1",
            Self::V2_4 => "2.4",
            Self::V2_5 => "2.5",
            Self::V2_5_1 => "2.5.1",
        }
    }
}

/// What the messages are for (table 0103).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum ProcessingId {
    /// Real patients.
    #[serde(rename = "P")]
    Production,
    /// Training and tests.
    #[serde(rename = "T")]
    Training,
    /// Debugging.
    #[serde(rename = "D")]
    Debugging,
}

impl ProcessingId {
    /// As in MSH-11.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Production => "P",
            Self::Training => "T",
            Self::Debugging => "D",
        }
    }
}

/// A time zone by its IANA name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Zone(TimeZone);

impl Default for Zone {
    /// Europe/London. Its present rule is the fallback on machines without a time zone database.
    fn default() -> Self {
        let named = TimeZone::get("Europe/London").or_else(|_| TimeZone::posix("GMT0BST,M3.5.0/1,M10.5.0"));
        Self(named.unwrap_or(TimeZone::UTC))
    }
}

impl Zone {
    /// The rules of its clock.
    pub fn get(&self) -> &TimeZone {
        &self.0
    }
}

impl TryFrom<String> for Zone {
    type Error = jiff::Error;

    fn try_from(name: String) -> Result<Self, jiff::Error> {
        TimeZone::get(&name).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, offsets: bool) -> String {
        Channel { offsets, ..Channel::default() }.instant(text.parse().unwrap())
    }

    #[test]
    fn instants_are_on_the_hospital_s_clock_at_both_edges_of_summer_time() {
        for (instant, local, offset) in [
            ("2026-03-29T00:59:59Z", "20260329005959", "+0000"),
            ("2026-03-29T01:00:00Z", "20260329020000", "+0100"),
            ("2026-10-25T00:30:00Z", "20261025013000", "+0100"),
            ("2026-10-25T01:30:00Z", "20261025013000", "+0000"),
            ("2026-10-25T02:00:00Z", "20261025020000", "+0000"),
            ("2026-06-30T23:30:00.987Z", "20260701003000", "+0100"),
        ] {
            assert_eq!(at(instant, false), local, "{instant}");
            assert_eq!(at(instant, true), format!("{local}{offset}"), "{instant}");
        }
    }

    #[test]
    fn the_fallback_zone_has_the_same_edges() {
        let fallback = TimeZone::posix("GMT0BST,M3.5.0/1,M10.5.0").unwrap();
        for hour in 0..24 * 365 {
            let instant = Timestamp::from_second(1_767_225_600 + hour * 3600).unwrap();
            assert_eq!(fallback.to_offset(instant), Zone::default().0.to_offset(instant), "{instant}");
        }
    }

    #[test]
    fn is_read_from_the_configuration_with_defaults() {
        let channel: Channel =
            toml::from_str("receiving_facility = \"RH8\"\nprocessing_id = \"P\"\nversion = \"2.5\"").unwrap();
        assert_eq!((channel.version, channel.processing_id), (Version::V2_5, ProcessingId::Production));
        assert_eq!((channel.receiving_facility.as_str(), channel.authority()), ("RH8", "ONWARD"));
        for wrong in
            ["version = \"3\"", "processing_id = \"X\"", "time_zone = \"Europe/Londinium\"", "verson = \"2.4\""]
        {
            assert!(toml::from_str::<Channel>(wrong).is_err(), "{wrong}");
        }
    }
}
