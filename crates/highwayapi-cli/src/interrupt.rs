//! Ctrl-C, a request to terminate, a terminal that is closed: the first stops the waiting, never the task.

use std::future::{Future, IntoFuture};
use std::time::Duration;

use highwayapi_jobs::{HeldJob, Result};
use tokio::sync::watch;

use crate::exit::Failure;
use crate::report::Report;

/// How often Ctrl-C was pressed since the command began: none is lost between two steps.
#[derive(Clone)]
pub(crate) struct Interrupts(watch::Receiver<u32>);

impl Interrupts {
    /// From here on the process no longer ends by itself at a signal.
    pub(crate) fn listen() -> Self {
        let (presses, receiver) = watch::channel(0);
        let signals = Signals::new();
        tokio::spawn(async move {
            if let Ok(mut signals) = signals {
                while signals.next().await {
                    presses.send_modify(|presses| *presses += 1);
                }
            }
            // Without signals nothing is ever pressed; the channel must stay open.
            presses.closed().await;
        });
        Self(receiver)
    }

    /// Returns once Ctrl-C was pressed so often.
    pub(crate) async fn pressed(&self, times: u32) {
        let mut presses = self.0.clone();
        if presses.wait_for(|&presses| presses >= times).await.is_err() {
            std::future::pending().await
        }
    }

    /// Whether it was.
    pub(crate) fn any(&self) -> bool {
        *self.0.borrow() > 0
    }

    /// Runs the submit. Its answer holds the id of a paid task, so the first Ctrl-C does not throw it away; the second
    /// does.
    pub(crate) async fn submit(
        &self,
        submit: impl IntoFuture<Output = Result<HeldJob>>,
        report: &Report,
    ) -> Result<HeldJob, Failure> {
        let leave = async {
            self.pressed(1).await;
            // What stops at once, such as a pause between two attempts, needs no note.
            tokio::time::sleep(Duration::from_millis(100)).await;
            report.note("waiting for the answer, so that the task is not lost; Ctrl-C again leaves at once");
            self.pressed(2).await;
        };
        tokio::select! {
            biased;
            job = submit.into_future() => Ok(job?),
            () = leave => Err(Failure::left_in_submit()),
        }
    }

    /// Runs what may be stopped and taken up again; `None` after a Ctrl-C.
    pub(crate) async fn stoppable<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.pressed(1) => None,
            done = work => Some(done),
        }
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    /// The terminal is closed.
    hang_up: tokio::signal::unix::Signal,
    quit: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    async fn next(&mut self) -> bool {
        tokio::select! {
            signal = self.interrupt.recv() => signal.is_some(),
            signal = self.terminate.recv() => signal.is_some(),
            signal = self.hang_up.recv() => signal.is_some(),
            signal = self.quit.recv() => signal.is_some(),
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> bool {
        tokio::signal::ctrl_c().await.is_ok()
    }
}
