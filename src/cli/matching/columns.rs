//! Which column of a file is which field.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::CallerFault;

/// Fields of a record, and other names under which files have them.
pub(in crate::cli) const FIELDS: [(&str, &[&str]); 21] = [
    ("id", &["unique_id", "record_id"]),
    ("nhs_number", &["nhs", "nhs_no"]),
    ("nhs_number_status", &["nhs_status", "nhs_number_status_code"]),
    ("nhs_superseded_by", &[]),
    ("family_name", &["surname", "last_name", "family"]),
    ("former_family_name", &["prev_surname", "previous_surname", "previous_family_name", "maiden_name"]),
    ("given_names", &["given_name", "first_name", "forename", "forenames", "first_names", "given"]),
    ("middle_names", &["middle_name"]),
    ("birth_date", &["dob", "date_of_birth"]),
    ("death_date", &["date_of_death", "deceased"]),
    ("gender", &["sex"]),
    ("postcode", &["post_code", "postal_code"]),
    ("address", &["address_line", "address_1", "address_line_1"]),
    ("town", &["city", "suburb"]),
    ("phone", &["telephone", "phone_number", "mobile"]),
    ("email", &["email_address"]),
    ("gp_practice", &["gp_code", "gp_practice_code", "practice_code"]),
    ("source", &["source_system"]),
    ("local_id", &["hospital_number", "mrn"]),
    ("other_id", &[]),
    ("flags", &[]),
];

/// What the caller says about columns: field → columns that are joined by a blank.
#[derive(Debug, Default)]
pub(in crate::cli) struct Columns(BTreeMap<String, Vec<String>>);

/// Where the fields of one file stand: for each of [`FIELDS`] the columns.
pub(in crate::cli) type Places = [Vec<usize>; FIELDS.len()];

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Written {
    One(String),
    Several(Vec<String>),
}

impl Columns {
    /// From a file and from the command line, which goes before it.
    pub(in crate::cli) fn new(file: Option<&Path>, map: &[String]) -> anyhow::Result<Self> {
        let mut columns = Self::default();
        if let Some(path) = file {
            let fault = |text: String| CallerFault(format!("{}: {text}", path.display()));
            let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
            let written: BTreeMap<String, Written> = toml::from_str(&text).map_err(|error| fault(error.to_string()))?;
            for (field, written) in written {
                let names = match written {
                    Written::One(name) => vec![name],
                    Written::Several(names) => names,
                };
                columns.put(&field, names)?;
            }
        }
        for pair in map {
            let (field, names) =
                pair.split_once('=').ok_or_else(|| CallerFault(format!("--map {pair}: write it as field=column")))?;
            columns.put(field.trim(), names.split('+').map(|name| name.trim().to_owned()).collect())?;
        }
        Ok(columns)
    }

    fn put(&mut self, field: &str, names: Vec<String>) -> Result<(), CallerFault> {
        if !FIELDS.iter().any(|(name, _)| *name == field) {
            let known: Vec<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
            return Err(CallerFault(format!("there is no field `{field}`; the fields are {}", known.join(", "))));
        }
        self.0.insert(field.to_owned(), names);
        Ok(())
    }

    /// Finds the columns in a heading.
    pub(in crate::cli) fn places(&self, heading: &csv::StringRecord, file: &Path) -> Result<Places, CallerFault> {
        let find = |name: &str| {
            heading.iter().position(|it| it.trim().trim_start_matches('\u{feff}').eq_ignore_ascii_case(name))
        };
        let mut places = Places::default();
        for ((field, others), place) in FIELDS.iter().zip(places.iter_mut()) {
            if let Some(names) = self.0.get(*field) {
                for name in names {
                    let missing =
                        || CallerFault(format!("{}: line 1: there is no column `{name}` for {field}", file.display()));
                    place.push(find(name).ok_or_else(missing)?);
                }
            } else {
                let known = std::iter::once(field).chain(others.iter());
                place.extend(known.filter_map(|name| find(name)).take(1));
            }
        }
        if places.iter().skip(1).all(Vec::is_empty) {
            let found: Vec<&str> = heading.iter().take(12).collect();
            let text =
                format!("{}: line 1: no column is known ({}); name them with --map", file.display(), found.join(", "));
            return Err(CallerFault(text));
        }
        Ok(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(map: &[&str], heading: &[&str]) -> Result<Places, String> {
        let map: Vec<String> = map.iter().map(ToString::to_string).collect();
        let columns = Columns::new(None, &map).map_err(|error| error.to_string())?;
        columns
            .places(&csv::StringRecord::from(heading.to_vec()), Path::new("a.csv"))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn columns_are_found_by_their_own_and_by_other_names() {
        let found = places(&["given_names=first+second"], &["ID", "surname", "first", "second", "dob"]).unwrap();
        assert_eq!((&found[0], &found[4], &found[6], &found[8]), (&vec![0], &vec![1], &vec![2, 3], &vec![4]));
    }

    #[test]
    fn what_is_not_there_is_named() {
        assert!(places(&["family_name=nom"], &["id", "surname"]).unwrap_err().contains("`nom`"));
        assert!(places(&["shoe=size"], &["id"]).unwrap_err().contains("`shoe`"));
        assert!(places(&["surname"], &["id"]).unwrap_err().contains("field=column"));
        assert!(places(&[], &["id", "x"]).unwrap_err().contains("--map"));
    }
}
