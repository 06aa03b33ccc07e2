//! What a speaker remembers of the membership across its lives.
//!
//! A node that forgot which view it was in could hold up an owner that the others have replaced, so
//! the number is on the disk before it is used. The keys and addresses are there so that a speaker
//! that starts while the API server is away finds its peers. The file is readable by root only.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use herald_beacon::{Life, NodeId, View};
use serde::{Deserialize, Serialize};

use super::keys::Secrets;

const FILE: &str = "membership.json";

/// What is kept.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Remembered {
    pub cluster: u64,
    /// The life this is written in.
    pub life: Life,
    pub secrets: Secrets,
    pub view: Option<(u64, Vec<NodeId>)>,
    /// Who of the view votes; everybody, where it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voters: Option<Vec<NodeId>>,
    pub peers: BTreeMap<NodeId, SocketAddr>,
}

impl Remembered {
    pub(crate) fn view(&self) -> Option<View> {
        let (number, members) = self.view.clone()?;
        let mut view = View::of_equals(number, members.into_iter().collect());
        if let Some(voters) = &self.voters {
            view.voters = voters.iter().copied().collect();
        }
        Some(view)
    }
}

/// Where it is kept; nowhere, when the speaker was given no directory.
#[derive(Debug, Clone)]
pub(crate) struct Disk(Option<PathBuf>);

impl Disk {
    pub(crate) fn new(directory: Option<PathBuf>) -> Self {
        Self(directory)
    }

    /// What an earlier life wrote. A file that cannot be read is told of and counts as none.
    pub(crate) fn recall(&self) -> Option<Remembered> {
        let path = self.0.as_ref()?.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot be read");
                return None;
            }
        };
        serde_json::from_slice(&text)
            .inspect_err(
                |error| tracing::warn!(path = %path.display(), %error, "is not understood"),
            )
            .ok()
    }

    /// Writes it so that after a crash either the old or the new is there, whole.
    ///
    /// # Errors
    /// When it cannot be written; the old is there then.
    pub(crate) fn remember(&self, what: &Remembered) -> io::Result<()> {
        let Some(directory) = &self.0 else {
            return Ok(());
        };
        write(directory, FILE, &serde_json::to_vec(what)?)
    }
}

/// Replaces a file of a directory, which is made when it is missing.
fn write(directory: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let fresh = directory.join(format!(".{name}.new"));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&fresh)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&fresh, directory.join(name))?;
    File::open(directory)?.sync_all()
}
