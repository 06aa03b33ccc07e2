//! Copies on the disk: what a process that starts while the API server is away goes by.
//!
//! One file per kind, replaced as a whole. What is older than the API server's answer is never
//! preferred to it; who decides something that may not be decided on old knowledge asks
//! [`super::Watches::synced`].

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch as channel;

use super::{Reports, Watched};
use crate::supervise::Stop;

/// Changes are written this long after the first of them.
const PAUSE: Duration = Duration::from_secs(10);

type Content = Box<dyn Fn(&mut dyn io::Write) -> serde_json::Result<()> + Send>;

/// Where copies are kept; nowhere, by default.
#[derive(Default)]
pub struct Keepsake {
    directory: Option<PathBuf>,
    contents: Mutex<BTreeMap<&'static str, Content>>,
}

impl fmt::Debug for Keepsake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keepsake({:?})", self.directory)
    }
}

impl Keepsake {
    /// Kept in this directory, which is made when it is missing.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self {
            directory: Some(directory),
            contents: Mutex::default(),
        }
    }

    /// What was written of a kind; empty for one that is never written, when others were. None when
    /// nothing was.
    pub(super) fn recall<K: DeserializeOwned>(&self, name: &str) -> Option<Vec<K>> {
        let directory = self.directory.as_ref()?;
        match fs::read(file(directory, name)) {
            Ok(text) => serde_json::from_slice(&text)
                .inspect_err(|error| tracing::warn!(kind = name, %error, "the copy on the disk is not understood"))
                .ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let written = self.contents.lock();
                let kept = written.unwrap_or_else(PoisonError::into_inner).contains_key(name);
                let others = fs::read_dir(directory).ok()?.count() > 0;
                (!kept && others).then(Vec::new)
            }
            Err(error) => {
                tracing::warn!(kind = name, %error, "the copy on the disk cannot be read");
                None
            }
        }
    }

    pub(super) fn include<K>(&self, name: &'static str, watched: &Watched<K>)
    where
        K: Serialize + Send + Sync + 'static,
    {
        let watched = watched.clone();
        let content: Content = Box::new(move |sink| {
            let objects = watched.snapshot();
            let objects: Vec<&K> = objects.values().map(AsRef::as_ref).collect();
            serde_json::to_writer(sink, &objects)
        });
        let mut contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        contents.insert(name, content);
    }

    pub(super) async fn run(
        &self,
        mut changes: channel::Receiver<()>,
        reports: &Reports,
        stop: Stop,
    ) -> anyhow::Result<()> {
        let Some(directory) = &self.directory else {
            stop.wait().await;
            return Ok(());
        };
        let mut told = false;
        loop {
            tokio::select! {
                changed = changes.changed() => anyhow::ensure!(changed.is_ok(), "the watches ended"),
                () = stop.wait() => {}
            }
            if !stop.requested() {
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    () = stop.wait() => {}
                }
            }
            changes.borrow_and_update();
            if reports.synced() {
                let written = tokio::task::block_in_place(|| self.write(directory));
                if let Err(error) = &written
                    && !told
                {
                    let path = directory.display();
                    tracing::error!(%path, %error, "copies cannot be written: a start without the API server will know nothing");
                }
                told = written.is_err();
            }
            if stop.requested() {
                return Ok(());
            }
        }
    }

    fn write(&self, directory: &Path) -> io::Result<()> {
        fs::create_dir_all(directory)?;
        let contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, content) in contents.iter() {
            let fresh = directory.join(format!(".{name}.new"));
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let mut sink = BufWriter::new(options.open(&fresh)?);
            content(&mut sink)?;
            sink.flush()?;
            fs::rename(&fresh, file(directory, name))?;
        }
        Ok(())
    }
}

fn file(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.json"))
}

#[cfg(test)]
mod tests {
    use kube::runtime::watcher::Event;

    use super::*;
    use crate::watch::ObjectName;

    #[test]
    fn what_was_written_is_recalled_and_what_was_not_is_not() {
        let directory =
            std::env::temp_dir().join(format!("herald-keepsake-{}", std::process::id()));
        let keepsake = Keepsake::new(directory.clone());
        assert_eq!(
            keepsake.recall::<String>("services"),
            None,
            "nothing was ever written"
        );
        let watched: Watched<String> = Watched::default();
        keepsake.include("services", &watched);
        {
            let mut replica = watched.replica.write().expect("not poisoned");
            let named = |object: String| (ObjectName::new("", &object), object);
            replica.apply(Event::Apply("web".to_owned()), named);
        }
        keepsake.write(&directory).expect("written");
        let again = Keepsake::new(directory.clone());
        assert_eq!(again.recall("services"), Some(vec!["web".to_owned()]));
        assert_eq!(
            again.recall::<String>("secrets"),
            Some(vec![]),
            "never written"
        );
        fs::write(file(&directory, "services"), "nonsense").expect("written");
        assert_eq!(again.recall::<String>("services"), None);
        fs::remove_dir_all(directory).expect("removed");
    }
}
