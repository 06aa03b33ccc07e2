//! Every task has an owner.
//!
//! A process has one [`Tasks`]. The first task to end without having been asked to ends the
//! process, with its name. SIGTERM, SIGINT or [`Stop::request`] asks all of them to end.

use std::future::Future;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long tasks may take to end after they were asked to.
const GRACE: Duration = Duration::from_secs(10);

/// The request to stop, shared by every task. Cloning gives another handle on the same request.
#[derive(Debug, Clone, Default)]
pub struct Stop(CancellationToken);

impl Stop {
    /// Asks every task to end.
    pub fn request(&self) {
        self.0.cancel();
    }

    /// Whether tasks have been asked to end.
    #[must_use]
    pub fn requested(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until tasks are asked to end.
    pub async fn wait(&self) {
        self.0.cancelled().await;
    }
}

/// The tasks of one process, by name.
#[derive(Debug, Default)]
pub struct Tasks {
    set: JoinSet<(&'static str, anyhow::Result<()>)>,
    stop: Stop,
}

impl Tasks {
    /// No tasks yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A handle on the request to stop.
    #[must_use]
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Starts a task that may end only after a stop was requested.
    pub fn spawn<F>(&mut self, name: &'static str, task: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.set.spawn(async move { (name, task.await) });
    }

    /// Starts a task that is dropped when a stop is requested.
    pub fn spawn_until_stop<F>(&mut self, name: &'static str, task: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let stop = self.stop();
        self.spawn(name, async move {
            tokio::select! {
                result = task => result,
                () = stop.wait() => Ok(()),
            }
        });
    }

    /// Runs until SIGTERM, SIGINT or a stop request, then until every task has ended.
    ///
    /// # Errors
    /// When a task failed, ended unasked, panicked, or did not end in time; names the task.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let failure = loop {
            tokio::select! {
                _ = terminate.recv() => break None,
                _ = interrupt.recv() => break None,
                () = self.stop.wait() => break None,
                ended = self.set.join_next() => match ended {
                    None => break None,
                    Some(Ok((_, Ok(())))) if self.stop.requested() => {}
                    Some(Ok((name, Ok(())))) => {
                        break Some(anyhow::anyhow!("task {name} ended although nobody asked it to"));
                    }
                    Some(Ok((name, Err(error)))) => {
                        break Some(error.context(format!("task {name} failed")));
                    }
                    Some(Err(panic)) => break Some(anyhow::anyhow!("a task died: {panic}")),
                },
            }
        };
        self.stop.request();
        let drained = tokio::time::timeout(GRACE, drain(&mut self.set)).await;
        match (failure, drained) {
            (Some(error), _) => Err(error),
            (None, Ok(result)) => result,
            (None, Err(_)) => {
                anyhow::bail!(
                    "tasks did not end within {} s after the request",
                    GRACE.as_secs()
                )
            }
        }
    }
}

async fn drain(set: &mut JoinSet<(&'static str, anyhow::Result<()>)>) -> anyhow::Result<()> {
    let mut first_failure = Ok(());
    while let Some(ended) = set.join_next().await {
        let outcome = match ended {
            Ok((_, Ok(()))) => Ok(()),
            Ok((name, Err(error))) => Err(error.context(format!("task {name} failed"))),
            Err(panic) => Err(anyhow::anyhow!("a task died: {panic}")),
        };
        if first_failure.is_ok() {
            first_failure = outcome;
        }
    }
    first_failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_task_to_end_unasked_ends_the_process_with_its_name() {
        let mut tasks = Tasks::new();
        tasks.spawn_until_stop("patient", std::future::pending());
        tasks.spawn("hasty", async { Ok(()) });
        let error = tasks
            .run()
            .await
            .expect_err("a task that ends unasked is a failure");
        assert_eq!(
            error.to_string(),
            "task hasty ended although nobody asked it to"
        );
    }

    #[tokio::test]
    async fn a_failing_task_is_named_and_its_cause_kept() {
        let mut tasks = Tasks::new();
        tasks.spawn("watch", async { anyhow::bail!("no route") });
        let error = tasks.run().await.expect_err("the task failed");
        assert_eq!(format!("{error:#}"), "task watch failed: no route");
    }

    #[tokio::test]
    async fn a_requested_stop_is_a_success() {
        let mut tasks = Tasks::new();
        let stop = tasks.stop();
        tasks.spawn_until_stop("patient", std::future::pending());
        tasks.spawn("asks", async move {
            stop.request();
            Ok(())
        });
        tasks.run().await.expect("a requested stop succeeds");
    }
}
