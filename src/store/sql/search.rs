//! Reading referrals and appointments back, as the resources that they came as.

use uuid::Uuid;

use super::fault::Fault;
use super::session::{Session, Value, text, values};
use crate::store::PatientQuery;

const BY_NUMBER: &str = "SELECT id FROM patient WHERE nhs_number = ?1";
const BY_DEMOGRAPHICS: &str =
    "SELECT id FROM patient WHERE birth_date IS NOT NULL AND birth_date = ?1 AND family = ?2 AND postal_code = ?3";

/// A ServiceRequest; an awaited referral has none.
pub(in crate::store) fn referral_resource(conn: &dyn Session, id: Uuid) -> Result<Option<String>, Fault> {
    resource(conn, "SELECT resource FROM referral WHERE id = ?1", id)
}

/// An Appointment.
pub(in crate::store) fn appointment_resource(conn: &dyn Session, id: Uuid) -> Result<Option<String>, Fault> {
    resource(conn, "SELECT resource FROM appointment WHERE id = ?1", id)
}

fn resource(conn: &dyn Session, sql: &str, id: Uuid) -> Result<Option<String>, Fault> {
    Ok(conn.one(sql, values![&id], |row| row.get(0))?.flatten())
}

/// The resources of a patient in `table`, newest first. More than one record may match demographics.
pub(in crate::store) fn resources_of(
    conn: &dyn Session,
    table: &'static str,
    patient: &PatientQuery,
) -> Result<Vec<String>, Fault> {
    match patient {
        PatientQuery::NhsNumber(number) => list(conn, table, BY_NUMBER, values![number.as_str()]),
        PatientQuery::Demographics { family, birth_date, postal_code } => {
            let (family, postal_code) = (folded::family(family), folded::postal_code(postal_code));
            list(conn, table, BY_DEMOGRAPHICS, values![birth_date, &family, &postal_code])
        }
    }
}

fn list(conn: &dyn Session, table: &str, whose: &str, params: &[Value<'_>]) -> Result<Vec<String>, Fault> {
    let sql = format!(
        "WITH RECURSIVE person (id) AS ({whose} UNION SELECT to_id FROM patient_link JOIN person ON record_id = person.id)
         SELECT resource FROM {table} WHERE patient_id IN (SELECT id FROM person) AND resource IS NOT NULL
         ORDER BY seq DESC"
    );
    conn.all(&sql, params, text)
}

/// The forms in which demographics are compared.
pub(in crate::store) mod folded {
    /// Letters only, in lower case.
    pub(in crate::store) fn family(text: &str) -> String {
        text.chars().filter(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect()
    }

    /// Without blanks, in upper case.
    pub(in crate::store) fn postal_code(text: &str) -> String {
        text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_uppercase).collect()
    }
}
