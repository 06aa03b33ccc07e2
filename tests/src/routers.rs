//! Routers that speak BGP, by other people's programs: Debian's FRR, BIRD and GoBGP in the lab's router
//! namespace.
//!
//! Each peers with every node by IPv4 and by IPv6, takes everything, announces nothing, and is asked by
//! its own command line what it knows. One that is not installed is named and skipped.

mod bird;
mod frr;
mod gobgp;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::lab::Lab;
use crate::program::Program;
use crate::topology::NodeNumber;

/// The AS of the router and that of the nodes.
pub const ROUTER_AS: u32 = 64_513;
/// See [`ROUTER_AS`].
pub const NODE_AS: u32 = 64_512;

/// The router's addresses.
pub const ADDRESSES: [&str; 2] = ["10.73.0.1", "fd73::1"];

/// How long a program may take to end.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whose program it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// FRRouting: zebra and bgpd.
    Frr,
    /// BIRD 2.
    Bird,
    /// GoBGP; it has no routes in the kernel.
    Gobgp,
}

/// What is agreed on with the nodes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terms {
    /// TCP MD5.
    pub password: Option<&'static str>,
    /// IPv4 routes go over the IPv6 sessions too, and none over the IPv4 ones.
    pub dual_stack: bool,
}

/// What the router knows of one prefix: by next hop, what it says of the path.
pub type Paths = BTreeMap<String, String>;

/// A running router.
pub struct Router {
    kind: Kind,
    files: Files,
    programs: Vec<Program>,
}

/// Where a router's files are, and where it runs.
struct Files {
    directory: PathBuf,
    netns: crate::netns::Netns,
    nodes: Vec<NodeNumber>,
    terms: Terms,
}

impl Files {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Each node's addresses, by family.
    fn neighbours(&self) -> impl Iterator<Item = (NodeNumber, [String; 2])> {
        self.nodes.iter().map(|node| {
            let last = 10 + node.0;
            (
                *node,
                [format!("10.73.0.{last}"), format!("fd73::{last:x}")],
            )
        })
    }
}

impl Kind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Frr => "FRR",
            Self::Bird => "BIRD",
            Self::Gobgp => "GoBGP",
        }
    }

    /// How it writes communities 64512:100, no-export and large 64512:1:2.
    pub fn communities(self) -> [&'static str; 3] {
        match self {
            Self::Frr => ["64512:100", "no-export", "64512:1:2"],
            Self::Bird => ["(64512,100)", "(65535,65281)", "(64512, 1, 2)"],
            Self::Gobgp => ["4227858532", "4294967041", "\"LocalData2\":2"],
        }
    }

    /// Whether its routes are the kernel's.
    pub fn forwards(self) -> bool {
        match self {
            Self::Frr | Self::Bird => true,
            Self::Gobgp => false,
        }
    }

    fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Frr => &["/usr/lib/frr/zebra", "/usr/lib/frr/bgpd", "/usr/bin/vtysh"],
            Self::Bird => &["/usr/sbin/bird", "/usr/sbin/birdc"],
            Self::Gobgp => &["/usr/bin/gobgpd", "/usr/bin/gobgp"],
        }
    }

    /// What is missing to run it, if anything.
    pub fn missing(self) -> Option<String> {
        let missing = self
            .programs()
            .iter()
            .find(|path| !Path::new(path).exists());
        missing.map(|path| format!("{} is not installed ({path})", self.name()))
    }
}

impl Router {
    /// Starts it in the router's namespace.
    pub fn start(lab: &Lab, kind: Kind, terms: Terms) -> Result<Self> {
        let name = format!("router-{}", kind.name().to_lowercase());
        let directory = lab.files.state.join(name);
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        let files = Files {
            directory,
            netns: lab.topology.router.clone(),
            nodes: lab.topology.nodes.iter().map(|node| node.number).collect(),
            terms,
        };
        let programs = match kind {
            Kind::Frr => frr::start(lab, &files)?,
            Kind::Bird => bird::start(lab, &files)?,
            Kind::Gobgp => gobgp::start(lab, &files)?,
        };
        Ok(Self {
            kind,
            files,
            programs,
        })
    }

    /// Ends it as an operator does.
    pub fn stop(&mut self) {
        for program in self.programs.iter_mut().rev() {
            program.terminate(PATIENCE);
        }
    }

    /// Ends it without notice and starts it again.
    pub fn restart(&mut self) -> Result<()> {
        self.programs.iter_mut().try_for_each(Program::restart)
    }

    /// What it knows of a prefix.
    pub fn paths(&self, prefix: &str) -> Result<Paths> {
        match self.kind {
            Kind::Frr => frr::paths(&self.files, prefix),
            Kind::Bird => bird::paths(&self.files, prefix),
            Kind::Gobgp => gobgp::paths(&self.files, prefix),
        }
    }

    /// Waits until it knows a prefix by exactly these next hops.
    pub fn wait_for(&self, lab: &Lab, prefix: &str, hops: &BTreeSet<String>) -> Result<Duration> {
        let last = std::cell::RefCell::new(Paths::new());
        let waited = lab.wait("routes are not as wanted", Duration::from_secs(30), |_| {
            let paths = self.paths(prefix)?;
            let same = paths.keys().eq(hops);
            last.replace(paths);
            Ok(same)
        });
        waited.or_else(|error| {
            let known: Vec<String> = last.take().into_keys().collect();
            bail!(
                "{} knows {prefix} by {known:?}, wanted {hops:?}: {error:#}",
                self.kind.name()
            )
        })
    }
}
