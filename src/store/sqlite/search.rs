//! Reading referrals and appointments back, as the resources that they came as.

use rusqlite::{Connection, OptionalExtension, ToSql};
use uuid::Uuid;

use super::fault::Fault;
use crate::store::PatientQuery;

const BY_NUMBER: &str = "SELECT id FROM patient WHERE nhs_number = ?1";
const BY_DEMOGRAPHICS: &str =
    "SELECT id FROM patient WHERE birth_date IS NOT NULL AND birth_date = ?1 AND family = ?2 AND postal_code = ?3";

/// A ServiceRequest; an awaited referral has none.
pub(super) fn referral_resource(conn: &Connection, id: Uuid) -> Result<Option<String>, Fault> {
    resource(conn, "SELECT resource FROM referral WHERE id = ?1", id)
}

/// An Appointment.
pub(super) fn appointment_resource(conn: &Connection, id: Uuid) -> Result<Option<String>, Fault> {
    resource(conn, "SELECT resource FROM appointment WHERE id = ?1", id)
}

fn resource(conn: &Connection, sql: &str, id: Uuid) -> Result<Option<String>, Fault> {
    let mut find = conn.prepare_cached(sql)?;
    Ok(find.query_row([id.as_bytes()], |row| row.get::<_, Option<String>>(0)).optional()?.flatten())
}

/// The resources of a patient in `table`, newest first. More than one record may match demographics.
pub(super) fn resources_of(
    conn: &Connection,
    table: &'static str,
    patient: &PatientQuery,
) -> Result<Vec<String>, Fault> {
    match patient {
        PatientQuery::NhsNumber(number) => list(conn, table, BY_NUMBER, &[&number.as_str()]),
        PatientQuery::Demographics { family, birth_date, postal_code } => {
            let (family, postal_code) = (folded::family(family), folded::postal_code(postal_code));
            list(conn, table, BY_DEMOGRAPHICS, &[birth_date, &family, &postal_code])
        }
    }
}

fn list(conn: &Connection, table: &str, whose: &str, params: &[&dyn ToSql]) -> Result<Vec<String>, Fault> {
    let sql = format!(
        "WITH RECURSIVE person (id) AS ({whose} UNION SELECT to_id FROM patient_link JOIN person ON record_id = person.id)
         SELECT resource FROM {table} WHERE patient_id IN (SELECT id FROM person) AND resource IS NOT NULL
         ORDER BY seq DESC"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map(params, |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The forms in which demographics are compared.
pub(super) mod folded {
    /// Letters only, in lower case.
    pub(in super::super) fn family(text: &str) -> String {
        text.chars().filter(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect()
    }

    /// Without blanks, in upper case.
    pub(in super::super) fn postal_code(text: &str) -> String {
        text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_uppercase).collect()
    }
}
