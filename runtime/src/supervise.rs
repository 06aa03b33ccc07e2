//! Every task has an owner.
//!
//! A process has one [`Tasks`]. The first task to end without having been asked to ends the
//! process, with its name. SIGTERM, SIGINT or [`Stop::request`] asks the workers to end; the tasks
//! they rely on (watches, the admin port, the view of the interfaces) run on until the last worker
//! has ended, so that a worker can do its last work properly.

use std::future::Future;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinError, JoinSet};
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

type Ended = (&'static str, anyhow::Result<()>);

/// The tasks of one process, by name.
#[derive(Debug, Default)]
pub struct Tasks {
    workers: JoinSet<Ended>,
    services: JoinSet<Ended>,
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

    /// Starts a worker: it may end only after a stop was requested, and has to end then.
    pub fn spawn<F>(&mut self, name: &'static str, task: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.workers.spawn(async move { (name, task.await) });
    }

    /// Starts a task that workers rely on: it never ends by itself and is dropped when the last
    /// worker has ended.
    pub fn spawn_service<F>(&mut self, name: &'static str, task: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.services.spawn(async move { (name, task.await) });
    }

    /// Runs until SIGTERM, SIGINT or a stop request, then until every worker has ended.
    ///
    /// # Errors
    /// When a task failed, ended unasked, panicked, or did not end in time; names the task.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let failure = tokio::select! {
            biased;
            () = self.stop.wait() => None,
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
            Some(ended) = self.workers.join_next() => Some(unasked(ended)),
            Some(ended) = self.services.join_next() => Some(unasked(ended)),
        };
        self.stop.request();
        let drained = tokio::time::timeout(GRACE, drain(&mut self.workers)).await;
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

fn unasked(ended: Result<Ended, JoinError>) -> anyhow::Error {
    match ended {
        Ok((name, Ok(()))) => anyhow::anyhow!("task {name} ended although nobody asked it to"),
        Ok((name, Err(error))) => error.context(format!("task {name} failed")),
        Err(panic) => anyhow::anyhow!("a task died: {panic}"),
    }
}

async fn drain(set: &mut JoinSet<Ended>) -> anyhow::Result<()> {
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
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn the_first_task_to_end_unasked_ends_the_process_with_its_name() {
        let mut tasks = Tasks::new();
        tasks.spawn_service("patient", std::future::pending());
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
        tasks.spawn_service("watch", async { anyhow::bail!("no route") });
        let error = tasks.run().await.expect_err("the task failed");
        assert_eq!(format!("{error:#}"), "task watch failed: no route");
    }

    #[tokio::test]
    async fn what_a_worker_relies_on_lives_until_the_worker_has_ended() {
        let mut tasks = Tasks::new();
        let stop = tasks.stop();
        let (question, asked) = oneshot::channel::<oneshot::Sender<&str>>();
        tasks.spawn_service("answers", async move {
            if let Ok(reply) = asked.await {
                let _ = reply.send("still here");
            }
            std::future::pending().await
        });
        tasks.spawn("works", async move {
            stop.request();
            stop.wait().await;
            let (reply, answer) = oneshot::channel();
            assert!(question.send(reply).is_ok());
            anyhow::ensure!(answer.await? == "still here");
            Ok(())
        });
        tasks.run().await.expect("a requested stop succeeds");
    }
}
