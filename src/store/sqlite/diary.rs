//! Services, schedules and slots: importing them again and again, and looking into them.

use rusqlite::{Connection, OptionalExtension, Row};

use super::column::{instant, json, model};
use super::fault::Fault;
use crate::booking::command::{Carried, PublishSlots};
use crate::booking::identifier::{ServiceId, SlotId};
use crate::booking::service::Service;
use crate::booking::slot::{Slot, SlotStatus};
use crate::store::{SlotQuery, SlotRow};

/// Takes a diary in. What it does not say is kept as it was, and what is sold stays sold.
pub(super) fn publish(conn: &Connection, diary: &PublishSlots) -> Result<(), Fault> {
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

fn service_write(conn: &Connection, service: &Service, carried: Option<&Carried>) -> Result<(), Fault> {
    let held = service_find(conn, &service.id)?;
    let merged = held.map_or_else(|| service.clone(), |held| completed(service, held));
    conn.prepare_cached(
        "INSERT INTO service (id, model, resource) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET model = excluded.model, resource = coalesce(excluded.resource, resource)",
    )?
    .execute((&service.id.0, json(&merged)?, carried.map(|carried| &carried.0)))?;
    Ok(())
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

fn directory_write(conn: &Connection, kind: &str, id: &str, carried: &Carried) -> Result<(), Fault> {
    conn.prepare_cached(
        "INSERT INTO directory (kind, id, resource) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET resource = excluded.resource",
    )?
    .execute((kind, id, &carried.0))?;
    Ok(())
}

fn slot_write(conn: &Connection, slot: &Slot, carried: &Carried) -> Result<(), Fault> {
    let status = if slot_is_sold(conn, &slot.id)? { SlotStatus::Busy } else { slot.status };
    conn.prepare_cached(
        "INSERT INTO slot (id, schedule, start, \"end\", status, resource) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET schedule = excluded.schedule, start = excluded.start, \"end\" = excluded.\"end\",
             status = excluded.status, resource = excluded.resource",
    )?
    .execute((
        &slot.id.0,
        &slot.schedule,
        slot.start.as_microsecond(),
        slot.end.as_microsecond(),
        status.as_str(),
        &carried.0,
    ))?;
    slot_services_write(conn, slot)
}

fn slot_services_write(conn: &Connection, slot: &Slot) -> Result<(), Fault> {
    conn.prepare_cached("DELETE FROM slot_service WHERE slot_id = ?1")?.execute([&slot.id.0])?;
    let mut insert =
        conn.prepare_cached("INSERT OR IGNORE INTO slot_service (service_id, start, slot_id) VALUES (?1, ?2, ?3)")?;
    for service in &slot.services {
        insert.execute((&service.0, slot.start.as_microsecond(), &slot.id.0))?;
    }
    Ok(())
}

fn slot_is_sold(conn: &Connection, id: &SlotId) -> Result<bool, Fault> {
    let mut find = conn.prepare_cached(
        "SELECT 1 FROM appointment WHERE slot_id = ?1 AND slot_id IS NOT NULL AND status IN ('booked', 'arrived')",
    )?;
    Ok(find.exists([&id.0])?)
}

/// A service.
pub(super) fn service_find(conn: &Connection, id: &ServiceId) -> Result<Option<Service>, Fault> {
    let mut find = conn.prepare_cached("SELECT model FROM service WHERE id = ?1")?;
    let found: Option<String> = find.query_row([&id.0], |row| row.get(0)).optional()?;
    found.map(|service| model(&service)).transpose()
}

/// All services, by their ids.
pub(super) fn service_list(conn: &Connection) -> Result<Vec<Service>, Fault> {
    let mut list = conn.prepare_cached("SELECT model FROM service ORDER BY id")?;
    let rows = list.query_map((), |row| row.get::<_, String>(0))?;
    rows.map(|row| model(&row?)).collect()
}

/// A slot with all of its services.
pub(super) fn slot_find(conn: &Connection, id: &SlotId) -> Result<Option<Slot>, Fault> {
    let mut find = conn.prepare_cached("SELECT id, schedule, start, \"end\", status, '' FROM slot WHERE id = ?1")?;
    let Some(row) = find.query_row([&id.0], slot_row).optional()? else { return Ok(None) };
    let mut list = conn.prepare_cached("SELECT service_id FROM slot_service WHERE slot_id = ?1 ORDER BY service_id")?;
    let services = list.query_map([&id.0], |row| row.get(0).map(ServiceId))?.collect::<Result<_, _>>()?;
    let SlotRow { schedule, start, end, status, .. } = row;
    Ok(Some(Slot { id: id.clone(), schedule, services, start, end, status }))
}

/// A service's slots in order of their start.
pub(super) fn slot_search(conn: &Connection, query: &SlotQuery) -> Result<Vec<SlotRow>, Fault> {
    let mut search = conn.prepare_cached(
        "SELECT slot.id, schedule, slot.start, \"end\", status, resource
         FROM slot_service JOIN slot ON slot.id = slot_id
         WHERE service_id = ?1 AND slot_service.start >= ?2 AND slot_service.start < ?3 AND status IN (?4, ?5, ?6)
         ORDER BY slot_service.start, slot_id LIMIT ?7",
    )?;
    let [a, b, c] = [SlotStatus::Free, SlotStatus::Busy, SlotStatus::BusyUnavailable]
        .map(|status| query.wants(status).then_some(status.as_str()));
    let (from, to) = (query.from.as_microsecond(), query.to.as_microsecond());
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
    let rows = search.query_map((&query.service.0, from, to, a, b, c, limit), slot_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn slot_row(row: &Row<'_>) -> rusqlite::Result<SlotRow> {
    Ok(SlotRow {
        id: row.get(0)?,
        schedule: row.get(1)?,
        start: instant(row, 2)?,
        end: instant(row, 3)?,
        status: slot_status(row.get_ref(4)?.as_str()?),
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
pub(super) fn directory_resource(conn: &Connection, kind: &str, id: &str) -> Result<Option<String>, Fault> {
    let mut find = conn.prepare_cached(
        "SELECT resource FROM directory WHERE kind = ?1 AND id = ?2
         UNION ALL SELECT resource FROM service WHERE id = ?2 AND ?1 = 'HealthcareService' AND resource IS NOT NULL",
    )?;
    Ok(find.query_row((kind, id), |row| row.get(0)).optional()?)
}
