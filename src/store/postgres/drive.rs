//! Waiting for the server on a thread that may be anybody's.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use tokio::runtime::{Handle, Runtime};

/// Who moves the bytes of a connection.
pub(super) enum Drive {
    /// The thread that waits, which is no thread of a runtime: no other thread takes part.
    Own(Runtime),
    /// A runtime in the background. Whoever waits may be a thread of a runtime itself.
    Shared,
}

impl Drive {
    /// Waits here.
    pub(super) fn wait<F: Future>(&self, future: F) -> F::Output {
        match self {
            Self::Own(runtime) => runtime.block_on(future),
            Self::Shared => parked(future),
        }
    }

    /// Where the connection's own task is to run.
    pub(super) fn home(&self, shared: &Handle) -> Handle {
        match self {
            Self::Own(runtime) => runtime.handle().clone(),
            Self::Shared => shared.clone(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Sleeps until there is something to look at. A runtime's own way of waiting panics on a thread of a runtime.
fn parked<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
