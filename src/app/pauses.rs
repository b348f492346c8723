//! What people have paused, for the listeners: looked up every second, because they say so in another process.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config;
use crate::store::act::Direction;
use crate::store::{Store, StoreError};

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// Channels, and what tells each whether it is paused.
pub(super) struct Pauses {
    store: Arc<dyn Store>,
    channels: Vec<(String, watch::Sender<bool>)>,
}

impl Pauses {
    /// As it is now, so that nothing is taken by a channel that was paused before the start.
    pub(super) fn look(store: &Arc<dyn Store>, channels: &[config::Mllp]) -> Result<Self, StoreError> {
        let channels = channels.iter().map(|it| (it.name.clone(), watch::channel(false).0)).collect();
        let pauses = Self { store: Arc::clone(store), channels };
        pauses.tell()?;
        Ok(pauses)
    }

    /// What a channel's listener looks at.
    pub(super) fn of(&self, name: &str) -> watch::Receiver<bool> {
        let found = self.channels.iter().find(|(channel, _)| channel == name);
        found.map_or_else(|| watch::channel(false).1, |(_, sender)| sender.subscribe())
    }

    /// Keeps looking until the gateway stops. While the store does not answer everything stays as it was.
    pub(super) fn watch(self, stop: &CancellationToken, tracker: &TaskTracker) {
        let (stop, pauses) = (stop.clone(), Arc::new(self));
        tracker.spawn(async move {
            while stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_some() {
                let pauses = Arc::clone(&pauses);
                let told = tokio::task::spawn_blocking(move || pauses.tell()).await;
                if let Ok(Err(error)) = told {
                    tracing::warn!(%error, "what is paused cannot be read");
                }
            }
        });
    }

    fn tell(&self) -> Result<(), StoreError> {
        let pauses = self.store.pauses()?;
        for (name, sender) in &self.channels {
            let paused = pauses.iter().any(|it| it.direction == Direction::In && it.name == *name);
            let turned = sender.send_if_modified(|before| std::mem::replace(before, paused) != paused);
            if turned {
                tracing::info!(
                    channel = name,
                    outcome = if paused { "paused" } else { "resumed" },
                    "A person has decided"
                );
            }
        }
        Ok(())
    }
}
