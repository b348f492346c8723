//! The walk-through: one referral and one booking, sent over TLS like anybody's, told in plain words.

use std::fmt::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hyper::Method;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::{client_tls, world};
use crate::app::App;
use crate::booking::slot::SlotStatus;
use crate::fhir::view::str_at;
use crate::load::client::{Client, Response};
use crate::load::headers::Headers;
use crate::load::synthetic::{Bundles, FreeSlot, Message, People};
use crate::pas::simulator::Simulator;
use crate::store::{OutboxState, Page, SlotQuery};
use crate::tls::authority::Pki;

/// How long the PAS has to confirm.
const DELIVERY_MAX: Duration = Duration::from_secs(30);

/// Goes through it; what happened, in words.
pub(super) async fn through(app: &App, pki: &Pki, simulator: Option<&Simulator>, began: Instant) -> anyhow::Result<String> {
    let client = Client::new(&app.base, client_tls(pki)?)?.at(app.https);
    let (headers, bundles) = (Headers::new(world::SERVICE), Bundles::new(world::SERVICE));
    let person = People::new(1).next();
    let mut told = opening(app, began);

    let referral = bundles.referral(&person, Timestamp::now());
    let answer = post(&client, &headers, &referral).await.context("the referral")?;
    let request = resource_id(&answer, "ServiceRequest")?;
    let _ = writeln!(told, "\nA REFERRAL: a GP system refers a patient to service {}.", world::SERVICE);
    stations(app, &referral, &answer, &request, "ServiceRequest", &mut told).await?;

    let slot = free_slot(app)?;
    let booking = bundles.booking(&person, &slot, Some(&request), Timestamp::now());
    let answer = post(&client, &headers, &booking).await.context("the booking")?;
    let appointment = resource_id(&answer, "Appointment")?;
    let _ = writeln!(told, "\nA BOOKING: the same system books {} for that referral.", slot.start);
    stations(app, &booking, &answer, &appointment, "Appointment", &mut told).await?;

    if let Some(simulator) = simulator {
        let counts = simulator.counts();
        let _ = writeln!(told, "\nThe PAS holds {} messages, {} of them came twice.", counts.messages, counts.repeats);
    }
    told += &curls(app, pki, &request);
    Ok(told)
}

fn opening(app: &App, began: Instant) -> String {
    let mut told = format!("Onward is ready after {} ms.\n", began.elapsed().as_millis());
    let _ = writeln!(told, "  FHIR and BaRS  {}", app.base);
    let _ = writeln!(told, "  status         http://{}/_status", app.status);
    for (name, address) in &app.mllp {
        let _ = writeln!(told, "  HL7 v2 (MLLP)  {address} ({name})");
    }
    told
}

async fn post(client: &Client, headers: &Headers, message: &Message) -> anyhow::Result<Response> {
    let answer = client.send(Method::POST, "/$process-message", headers.write(), Some(message.body.clone().into())).await?;
    ensure!(answer.status == 200, "was answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
    Ok(answer)
}

/// The id that the receiver gave to the resource of this type.
fn resource_id(answer: &Response, kind: &str) -> anyhow::Result<String> {
    let bundle: Value = serde_json::from_slice(&answer.body)?;
    let entries = bundle["entry"].as_array().context("the answer has no entries")?;
    let resource = entries.iter().map(|entry| &entry["resource"]).find(|it| it["resourceType"] == kind);
    let id = resource.and_then(|resource| str_at(resource, "id"));
    Ok(id.with_context(|| format!("the answer has no {kind}"))?.to_owned())
}

/// What happened to one message, station by station.
async fn stations(
    app: &App,
    message: &Message,
    answer: &Response,
    id: &str,
    kind: &str,
    told: &mut String,
) -> anyhow::Result<()> {
    let row = app.store.message_list(&Page { limit: 50, ..Page::default() })?.into_iter()
        .find(|row| row.bundle == message.id.to_string()).context("the journal has no such message")?;
    let (letter, sent) = delivered(app, row.id).await?;
    let _ = writeln!(told, "  receive    {} bytes over TLS, kept as they came (SHA-256 {}…)", row.body_bytes, &row.sha256[..12]);
    let _ = writeln!(told, "  identify   the certificate is that of the system `{}`", row.caller);
    let _ = writeln!(told, "  remember   X-Request-Id is new; a repeat would get 409 duplicate");
    let _ = writeln!(told, "  check      R4 structure, MessageDefinition and workflow: {} errors, {} remarks", 0, row.issues.len());
    let _ = writeln!(told, "  translate  {}: one command of the booking model", row.command.as_deref().unwrap_or("nothing"));
    let _ = writeln!(told, "  decide     accepted: {kind}/{id}");
    let _ = writeln!(told, "  commit     journal {}, durable before the answer", row.id);
    let _ = writeln!(told, "  answer     {} with the receiver's ids, {} bytes", answer.status.as_u16(), answer.body.len());
    let _ = writeln!(told, "  deliver    {} to `{}`, confirmed at attempt {}:", letter.event, letter.destination, letter.attempts);
    for segment in String::from_utf8_lossy(&sent).split('\r').filter(|segment| !segment.is_empty()) {
        let _ = writeln!(told, "             {segment}");
    }
    Ok(())
}

/// Waits until the other side has confirmed.
async fn delivered(app: &App, message: Uuid) -> anyhow::Result<(crate::store::OutboxRow, Vec<u8>)> {
    let deadline = Instant::now() + DELIVERY_MAX;
    loop {
        let rows = app.store.outbox_list(&Page { limit: 50, ..Page::default() })?;
        let row = rows.into_iter().find(|row| row.message == message).context("nothing was put into the outbox")?;
        if row.state == OutboxState::Delivered {
            return app.store.outbox_show(row.id)?.context("the letter is gone");
        }
        let why = row.failure.unwrap_or_else(|| "no answer yet".into());
        ensure!(Instant::now() < deadline, "{} was not confirmed within {} s: {why}", row.event, DELIVERY_MAX.as_secs());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn free_slot(app: &App) -> anyhow::Result<FreeSlot> {
    let query = SlotQuery {
        service: crate::booking::identifier::ServiceId(world::SERVICE.into()),
        from: Timestamp::now(),
        to: Timestamp::MAX,
        statuses: vec![SlotStatus::Free],
        limit: 1,
    };
    let row = app.store.slot_search(&query)?.into_iter().next().context("no slot is free")?;
    let text = |moment: Timestamp| format!("{moment}").replace('Z', "+00:00");
    Ok(FreeSlot { id: row.id, schedule: row.schedule, start: text(row.start), end: text(row.end) })
}

/// Three lines for another terminal.
fn curls(app: &App, pki: &Pki, request: &str) -> String {
    let pair = pki.clients.first().map(|pair| (pair.cert.display().to_string(), pair.key.display().to_string()));
    let (cert, key) = pair.unwrap_or_default();
    let tls = format!("--cacert {} --cert {cert} --key {key}", pki.ca.cert.display());
    let ids = format!("-H 'X-Request-Id: {}' -H 'X-Correlation-Id: {}'", Uuid::now_v7(), Uuid::now_v7());
    let base = &app.base;
    format!(
        "\nTry it from another terminal:\n\n\
         curl -s {tls} {base}/metadata\n\n\
         curl -s {tls} {ids} {base}/ServiceRequest/{request}\n\n\
         curl -s http://{}/_status\n\n",
        app.status
    )
}
