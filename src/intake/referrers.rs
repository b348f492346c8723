//! The letters to referrers: which destination each goes to, and what it says.

use std::sync::Arc;

use uuid::Uuid;

use super::{Tell, content};
use crate::bars::telling;
use crate::booking::feed::Telling;
use crate::fhir::json::{self, Limits};
use crate::store::Letter;

/// An address that referrers give (`MessageHeader.source.endpoint`), and the destination that serves it.
pub type Address = (String, String);

/// Renders a letter for the destination of the referrer's address. Where none is configured the address itself is the
/// destination: the letter waits under that name, where it is counted and seen, until the address is registered.
pub fn tell(addresses: Vec<Address>, case_system: String) -> Tell {
    Arc::new(move |news: &Telling, cause: Uuid| {
        let original = news.original.as_deref().and_then(original);
        let Some(rendered) = telling::render(news, original.as_ref(), cause, &case_system) else {
            tracing::error!(message = %cause, "a referrer cannot be told");
            return None;
        };
        Some(Letter {
            destination: destination(&addresses, &news.origin.reply_to).to_owned(),
            key: news.order.0,
            event: rendered.event,
            control_id: rendered.request.to_string(),
            body: rendered.body,
        })
    })
}

/// The destination of an address, however its system is spelled; the address itself where it has none. Senders write
/// addresses, and names of destinations are listed and counted, so that not everything can be one.
pub fn destination<'a>(addresses: &'a [Address], address: &'a str) -> &'a str {
    const NO_ADDRESS: &str = "no address";
    let found = addresses.iter().find(|(known, _)| is_same(known, address));
    let is_one = address.len() <= 200 && address.contains('|') && address.bytes().all(|byte| byte.is_ascii_graphic());
    let waiting = if is_one { address } else { NO_ADDRESS };
    found.map_or(waiting, |(_, destination)| destination)
}

fn is_same(known: &str, address: &str) -> bool {
    use crate::bars::systems::same;
    match (known.split_once('|'), address.split_once('|')) {
        (Some((a, one)), Some((b, other))) => same(a, b) && one.trim() == other.trim(),
        _ => known.trim() == address.trim(),
    }
}

/// The message that is answered. It was checked when it came, so that limits on its size are not asked for again.
fn original(body: &[u8]) -> Option<serde_json::Value> {
    let limits = Limits { bytes_max: usize::MAX, ..Limits::default() };
    let content = content::read(body, &limits).ok()?;
    json::parse(&content.json, &limits).ok()
}

#[cfg(test)]
mod tests {
    use super::destination;

    #[test]
    fn an_address_is_known_however_it_is_spelled_and_nothing_else_becomes_a_name() {
        let addresses = [("https://fhir.nhs.uk/Id/dos-service-id|111".to_owned(), "advice".to_owned())];
        assert_eq!(destination(&addresses, "http://fhir.nhs.uk/id/dos-service-id|111"), "advice");
        let other = "https://fhir.nhs.uk/Id/dos-service-id|1112";
        assert_eq!(destination(&addresses, other), other);
        for odd in ["", "nowhere", "a|b\nc", &format!("a|{}", "b".repeat(200))] {
            assert_eq!(destination(&addresses, odd), "no address");
        }
    }
}
