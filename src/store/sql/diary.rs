//! Services, schedules and slots: importing them again and again, and looking into them.

use super::column::{json, model};
use super::fault::Fault;
use super::session::{Row, Session, text, values};
use crate::booking::command::{Carried, PublishSlots};
use crate::booking::identifier::{ServiceId, SlotId};
use crate::booking::service::Service;
use crate::booking::slot::{Slot, SlotStatus};
use crate::store::{SlotQuery, SlotRow};

/// Takes a diary in. What it does not say is kept as it was, and what is sold stays sold.
pub(in crate::store) fn publish(conn: &dyn Session, diary: &PublishSlots) -> Result<(), Fault> {
    for (service, carried) in &diary.services {
        service_write(conn, service, carried.as_ref())?;
    }
    for (kind, id, carried) in &diary.directory {
        directory_write(conn, kind, id, carried)?;
    }
    for (slot, carried) in &diary.slots {
        slot_write(conn, slot, carried)?;
    }
    Ok(())
}

fn service_write(conn: &dyn Session, service: &Service, carried: Option<&Carried>) -> Result<(), Fault> {
    let held = service_find(conn, &service.id)?;
    let merged = held.map_or_else(|| service.clone(), |held| completed(service, held));
    conn.write("INSERT INTO service (id, model, resource) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET model = excluded.model, resource = coalesce(excluded.resource, service.resource)", values!(&service.id.0, &json(&merged)?, carried.map(|carried| &carried.0)))
}

/// The service as it comes in, with what it leaves open as it was held.
fn completed(service: &Service, held: Service) -> Service {
    let mut merged = service.clone();
    merged.destination = merged.destination.or(held.destination);
    merged.treatment_function = merged.treatment_function.or(held.treatment_function);
    if merged.use_cases.is_empty() {
        merged.use_cases = held.use_cases;
    }
    if merged.name.is_empty() {
        merged.name = held.name;
    }
    merged
}

fn directory_write(conn: &dyn Session, kind: &str, id: &str, carried: &Carried) -> Result<(), Fault> {
    conn.write(
        "INSERT INTO directory (kind, id, resource) VALUES (?1, ?2, ?3)
         ON CONFLICT (kind, id) DO UPDATE SET resource = excluded.resource",
        values!(kind, id, &carried.0),
    )
}

fn slot_write(conn: &dyn Session, slot: &Slot, carried: &Carried) -> Result<(), Fault> {
    let status = if slot_is_sold(conn, &slot.id)? { SlotStatus::Busy } else { slot.status };
    conn.write("INSERT INTO slot (id, schedule, start, \"end\", status, resource) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET schedule = excluded.schedule, start = excluded.start, \"end\" = excluded.\"end\",
             status = excluded.status, resource = excluded.resource", values!(
        &slot.id.0,
        &slot.schedule,
        slot.start,
        slot.end,
        status.as_str(),
        &carried.0,
    ))?;
    slot_services_write(conn, slot)
}

fn slot_services_write(conn: &dyn Session, slot: &Slot) -> Result<(), Fault> {
    conn.write("DELETE FROM slot_service WHERE slot_id = ?1", values![&slot.id.0])?;
    const INSERT: &str =
        "INSERT INTO slot_service (service_id, start, slot_id) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    slot.services.iter().try_for_each(|service| conn.write(INSERT, values![&service.0, slot.start, &slot.id.0]))
}

fn slot_is_sold(conn: &dyn Session, id: &SlotId) -> Result<bool, Fault> {
    conn.exists(
        "SELECT 1 FROM appointment WHERE slot_id = ?1 AND slot_id IS NOT NULL AND status IN ('booked', 'arrived')",
        values![&id.0],
    )
}

/// A service.
pub(in crate::store) fn service_find(conn: &dyn Session, id: &ServiceId) -> Result<Option<Service>, Fault> {
    let found = conn.one("SELECT model FROM service WHERE id = ?1", values![&id.0], text)?;
    found.map(|service| model(&service)).transpose()
}

/// All services, by their ids.
pub(in crate::store) fn service_list(conn: &dyn Session) -> Result<Vec<Service>, Fault> {
    conn.all("SELECT model FROM service ORDER BY id", &[], |row| model(&text(row)?))
}

/// A slot with all of its services.
pub(in crate::store) fn slot_find(conn: &dyn Session, id: &SlotId) -> Result<Option<Slot>, Fault> {
    const SLOT: &str = "SELECT id, schedule, start, \"end\", status, '' FROM slot WHERE id = ?1";
    const SERVICES: &str = "SELECT service_id FROM slot_service WHERE slot_id = ?1 ORDER BY service_id";
    let Some(row) = conn.one(SLOT, values![&id.0], slot_row)? else { return Ok(None) };
    let services = conn.all(SERVICES, values![&id.0], |row| Ok(ServiceId(row.get(0)?)))?;
    let SlotRow { schedule, start, end, status, .. } = row;
    Ok(Some(Slot { id: id.clone(), schedule, services, start, end, status }))
}

/// A service's slots in order of their start.
pub(in crate::store) fn slot_search(conn: &dyn Session, query: &SlotQuery) -> Result<Vec<SlotRow>, Fault> {
    const SEARCH: &str = "SELECT slot.id, schedule, slot.start, \"end\", status, resource
         FROM slot_service JOIN slot ON slot.id = slot_id
         WHERE service_id = ?1 AND slot_service.start >= ?2 AND slot_service.start < ?3 AND status IN (?4, ?5, ?6)
         ORDER BY slot_service.start, slot_id LIMIT ?7";
    let [a, b, c] = [SlotStatus::Free, SlotStatus::Busy, SlotStatus::BusyUnavailable]
        .map(|status| query.wants(status).then_some(status.as_str()));
    conn.all(SEARCH, values![&query.service.0, query.from, query.to, a, b, c, query.limit], slot_row)
}

fn slot_row(row: &dyn Row) -> Result<SlotRow, Fault> {
    Ok(SlotRow {
        id: row.get(0)?,
        schedule: row.get(1)?,
        start: row.get(2)?,
        end: row.get(3)?,
        status: slot_status(&row.get::<String>(4)?),
        resource: row.get(5)?,
    })
}

/// The column's constraint lets nothing else in.
fn slot_status(name: &str) -> SlotStatus {
    match name {
        "free" => SlotStatus::Free,
        "busy" => SlotStatus::Busy,
        _ => SlotStatus::BusyUnavailable,
    }
}

/// A resource that describes the diary; a service's own may also have come with the service.
pub(in crate::store) fn directory_resource(conn: &dyn Session, kind: &str, id: &str) -> Result<Option<String>, Fault> {
    let found = conn.one(
        "SELECT resource FROM directory WHERE kind = ?1 AND id = ?2
         UNION ALL SELECT resource FROM service WHERE id = ?2 AND ?1 = 'HealthcareService' AND resource IS NOT NULL",
        values![kind, id],
        text,
    )?;
    Ok(found)
}
