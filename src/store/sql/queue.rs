//! The bounded queue before the writer. It is better to say "later" at once than to fall behind unseen.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};

use super::job::Job;
use crate::store::StoreError;

/// Bytes that wait.
pub(in crate::store) struct Load {
    bytes: AtomicUsize,
    bytes_max: usize,
}

impl Load {
    fn add(&self, bytes: usize) -> Result<(), StoreError> {
        let before = self.bytes.fetch_add(bytes, Relaxed);
        // One that is too large by itself still passes when nothing else waits.
        if before == 0 || before + bytes <= self.bytes_max {
            return Ok(());
        }
        self.remove(bytes);
        Err(StoreError::Full)
    }

    /// They were taken.
    pub(in crate::store) fn remove(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Relaxed);
    }
}

/// The end at which work is put in.
pub(in crate::store) struct Queue {
    sender: RwLock<Option<SyncSender<Job>>>,
    load: Arc<Load>,
}

impl Queue {
    /// A queue of so many jobs and bytes, and the end at which the writer takes them.
    pub(in crate::store) fn new(len: usize, bytes_max: usize) -> (Self, Receiver<Job>, Arc<Load>) {
        let (sender, receiver) = sync_channel(len);
        let load = Arc::new(Load { bytes: AtomicUsize::new(0), bytes_max });
        (Self { sender: RwLock::new(Some(sender)), load: Arc::clone(&load) }, receiver, load)
    }

    /// Puts a job in, or says at once why not.
    pub(in crate::store) fn push(&self, job: Job) -> Result<(), StoreError> {
        let guard = self.sender.read().unwrap_or_else(PoisonError::into_inner);
        let sender = guard.as_ref().ok_or(StoreError::Closed)?;
        let bytes = job.bytes();
        self.load.add(bytes)?;
        sender.try_send(job).map_err(|error| {
            self.load.remove(bytes);
            match error {
                TrySendError::Full(_) => StoreError::Full,
                TrySendError::Disconnected(_) => StoreError::Closed,
            }
        })
    }

    /// Nothing more is taken; what is in it will still be done.
    pub(in crate::store) fn close(&self) {
        self.sender.write().unwrap_or_else(PoisonError::into_inner).take();
    }
}
