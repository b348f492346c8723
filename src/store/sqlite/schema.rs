//! The schema and its versions. A file of a newer version is refused: writing into what is not
//! understood could break what a newer gateway relies on.

use rusqlite::{Connection, TransactionBehavior};

use crate::store::sql::fault::Fault;
use crate::store::sql::index;

/// Each brings the file from the version of its index to the next one. Never changed once released.
const MIGRATIONS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("feed.sql"),
    include_str!("decision.sql"),
    include_str!("index.sql"),
    include_str!("letters.sql"),
    include_str!("ledger.sql"),
    include_str!("act.sql"),
    include_str!("referral.sql"),
    include_str!("number.sql"),
];
/// The version from which on records are found by keys.
const KEYS_SINCE: i64 = 4;

/// Brings the file to the newest version, all steps or none.
pub(in crate::store) fn migrate(conn: &mut Connection) -> Result<(), Fault> {
    if version(conn)? == known() {
        return Ok(());
    }
    // Another process may be doing the same: look again under the lock.
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = check(&tx)?;
    for step in MIGRATIONS.iter().skip(found as usize) {
        tx.execute_batch(step)?;
    }
    if found < KEYS_SINCE {
        index::key_all(&*tx)?;
    }
    tx.pragma_update(None, "user_version", known())?;
    Ok(tx.commit()?)
}

/// The file's version, where it is one that is known here.
pub(super) fn check(conn: &Connection) -> Result<i64, Fault> {
    match version(conn)? {
        found if (0..=known()).contains(&found) => Ok(found),
        found => Err(Fault::SchemaTooNew { found, known: known() }),
    }
}

fn version(conn: &Connection) -> Result<i64, Fault> {
    Ok(conn.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

pub(super) fn known() -> i64 {
    MIGRATIONS.len() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of version 3 as a gateway of that time left it: two records of which one was merged into the other, the
    /// referral that came with the other, and somebody else.
    const THEN: &str = r#"
        INSERT INTO patient (seq, id, nhs_number, family, birth_date, model) VALUES
            (1, unhex('01980000000070008000000000000001'), '9990000018', 'nair', '1988-02-17',
             '{"id":"01980000-0000-7000-8000-000000000001","nhs_number":"9990000018","demographics":{"identifiers":[],
               "nhs_number_status":"01","names":[{"usage":"official","family":"Nair","given":["Priya"],"prefix":[],
               "suffix":[],"text":null}],"birth_date":"1988-02-17","gender":"female","addresses":[],"telecoms":[],
               "practice":null}}'),
            (2, unhex('01980000000070008000000000000002'), NULL, 'nair', '1988-02-17',
             '{"id":"01980000-0000-7000-8000-000000000002","nhs_number":null,"demographics":{"identifiers":[],
               "nhs_number_status":null,"names":[{"usage":"official","family":"Nair","given":["Priya"],"prefix":[],
               "suffix":[],"text":null}],"birth_date":"1988-02-17","gender":"female","addresses":[],"telecoms":[],
               "practice":null},"replaced_by":"01980000-0000-7000-8000-000000000001"}'),
            (3, unhex('01980000000070008000000000000003'), NULL, 'okoro', '1961-01-01',
             '{"id":"01980000-0000-7000-8000-000000000003","nhs_number":null,"demographics":{"identifiers":[],
               "nhs_number_status":null,"names":[{"usage":"official","family":"Okoro","given":["Jo"],"prefix":[],
               "suffix":[],"text":null}],"birth_date":"1961-01-01","gender":"male","addresses":[],"telecoms":[],
               "practice":null}}');
        INSERT INTO referral (id, patient_id, service_id, category, status, worklist, model) VALUES
            (unhex('01980000000070008000000000000009'), unhex('01980000000070008000000000000001'), 's', 'referral',
             'active', 'to-book', '{}');
        INSERT INTO patient_number (system, value, patient_id, merged) VALUES
            ('urn:h', 'P2', unhex('01980000000070008000000000000002'), 1);
    "#;

    fn of_version(version: usize) -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        MIGRATIONS.iter().take(version).for_each(|step| conn.execute_batch(step).unwrap());
        conn.pragma_update(None, "user_version", version as i64).unwrap();
        conn.execute_batch(THEN).unwrap();
        conn
    }

    fn count(conn: &Connection, sql: &str) -> i64 {
        conn.query_row(sql, (), |row| row.get(0)).unwrap()
    }

    /// What was there is there, is found by what it says, and is linked as it was merged.
    #[test]
    fn a_file_of_an_earlier_version_keeps_its_people_and_they_are_found() {
        for version in [2, 3] {
            let mut conn = of_version(version);
            migrate(&mut conn).unwrap();
            assert_eq!(super::version(&conn).unwrap(), known());
            assert_eq!(count(&conn, "SELECT count(*) FROM patient"), 3);
            let kept = count(&conn, "SELECT count(*) FROM referral WHERE record_id IS NULL AND status = 'active'");
            assert_eq!(kept, 1);
            let own = "SELECT min(n) FROM (SELECT count(key) AS n FROM patient LEFT JOIN patient_key ON patient = seq GROUP BY seq)";
            assert!(0 < count(&conn, own), "everybody is found by some key");
            let shared = "SELECT count(*) FROM patient_key AS a JOIN patient_key AS b USING (key) WHERE a.patient = 1 AND b.patient = ";
            assert!(0 < count(&conn, &format!("{shared}2")) && count(&conn, &format!("{shared}3")) == 0);
            let linked =
                "SELECT count(*) FROM patient_link JOIN patient ON patient.id = record_id WHERE patient.seq = 2";
            assert_eq!(count(&conn, linked), 1);
            let records = crate::store::sql::people::records(
                &conn,
                crate::booking::identifier::PatientId(uuid::Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0002)),
            );
            let records = records.unwrap();
            assert_eq!(records.len(), 2, "the link can be read, and both are one person");
            assert!(records[0].nhs_number.is_some());
            migrate(&mut conn).unwrap();
        }
    }
}
