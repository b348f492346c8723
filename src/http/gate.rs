//! Whose message is worked on next. So many are at a time; who must wait does so behind messages of the own system, and
//! the systems take turns. So a system that sends more than there is time for waits for itself and not for others, and is
//! told at once when too many of its messages wait.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The gate.
pub(super) struct Gate {
    state: Mutex<State>,
    waiting_max: usize,
}

struct State {
    /// Messages that could be worked on at once. While there is one, nobody waits.
    free: usize,
    /// The systems that wait, in the order of their turns.
    queues: VecDeque<Queue>,
}

struct Queue {
    system: String,
    waiting: VecDeque<oneshot::Sender<Pass>>,
}

/// One message may be worked on. The next one may when this is dropped.
pub(super) struct Pass {
    gate: Arc<Gate>,
}

/// Too many messages of the system wait.
#[derive(Debug)]
pub(super) struct Full;

impl Gate {
    /// So many messages at a time, and so many of each system that wait.
    pub(super) fn new(work_max: usize, waiting_max: usize) -> Arc<Self> {
        let state = State { free: work_max, queues: VecDeque::new() };
        Arc::new(Self { state: Mutex::new(state), waiting_max })
    }

    /// Waits for the system's turn. Whoever stops waiting loses it.
    pub(super) async fn enter(self: &Arc<Self>, system: &str) -> Result<Pass, Full> {
        let turn = {
            let mut state = self.lock();
            if 0 < state.free {
                state.free -= 1;
                return Ok(Pass { gate: Arc::clone(self) });
            }
            state.wait(system, self.waiting_max)?
        };
        turn.await.map_err(|_| Full)
    }

    fn hand_on(self: &Arc<Self>) {
        let next = self.lock().next();
        if let Some(next) = next {
            // Who has just stopped waiting lets it drop, and so hands it on.
            drop(next.send(Pass { gate: Arc::clone(self) }));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wait(&mut self, system: &str, waiting_max: usize) -> Result<oneshot::Receiver<Pass>, Full> {
        let place = self.queues.iter().position(|queue| queue.system == system).unwrap_or_else(|| {
            self.queues.push_back(Queue { system: system.to_owned(), waiting: VecDeque::new() });
            self.queues.len() - 1
        });
        let waiting = &mut self.queues[place].waiting;
        if waiting_max <= waiting.len() {
            waiting.retain(|turn| !turn.is_closed());
        }
        if waiting_max <= waiting.len() {
            return Err(Full);
        }
        let (turn, mine) = oneshot::channel();
        waiting.push_back(turn);
        Ok(mine)
    }

    /// Whose turn it is; the system's next one comes after all others have had theirs.
    fn next(&mut self) -> Option<oneshot::Sender<Pass>> {
        while let Some(mut queue) = self.queues.pop_front() {
            while let Some(turn) = queue.waiting.pop_front() {
                if !turn.is_closed() {
                    self.queues.push_back(queue);
                    return Some(turn);
                }
            }
        }
        self.free += 1;
        None
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.gate.hand_on();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn systems_take_turns_and_each_waits_behind_its_own() {
        let gate = Gate::new(1, 3);
        let working = gate.enter("noisy").await.unwrap();
        let mut waiting: Vec<_> = ["noisy", "noisy", "noisy", "quiet"]
            .map(|system| (system, Box::pin(gate.enter(system))))
            .into_iter()
            .collect();
        assert!(waiting.iter_mut().all(|(_, turn)| turn.as_mut().now_or_never().is_none()));
        assert!(gate.enter("noisy").await.is_err(), "three wait already");
        let mut served = Vec::new();
        let mut working = Some(working);
        while working.take().is_some() {
            let next = waiting.iter_mut().position(|(_, turn)| {
                working = turn.as_mut().now_or_never().map(Result::unwrap);
                working.is_some()
            });
            served.extend(next.map(|at| waiting.remove(at).0));
        }
        assert_eq!(served, ["noisy", "quiet", "noisy", "noisy"]);
        assert_eq!(gate.lock().free, 1);
    }

    #[tokio::test]
    async fn who_stops_waiting_keeps_nobody_waiting() {
        let gate = Gate::new(1, 2);
        let working = gate.enter("a").await.unwrap();
        let mut gone = Box::pin(gate.enter("a"));
        assert!(gone.as_mut().now_or_never().is_none());
        drop(gone);
        let mut stays = Box::pin(gate.enter("a"));
        assert!(stays.as_mut().now_or_never().is_none());
        // The place of one that is gone is free for another one.
        let mut third = Box::pin(gate.enter("a"));
        assert!(third.as_mut().now_or_never().is_none());
        drop(working);
        let pass = stays.await.unwrap();
        // It has its turn and does not look any more.
        drop(pass);
        drop(third);
        assert_eq!(gate.lock().free, 1);
        assert!(gate.lock().queues.is_empty());
    }
}
