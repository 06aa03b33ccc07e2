//! Routers that speak BGP, by other people's programs: Debian's FRR, BIRD, GoBGP, OpenBGPD and ExaBGP in
//! the lab's router namespace.
//!
//! Each takes everything, announces nothing, and is asked by its own command line what it knows. What it
//! agrees on with whom is a list of [`Neighbour`]s. One that is not installed is named and skipped; what
//! one cannot do is said by [`Kind::cannot`].

mod bfd;
pub mod bird;
mod exabgp;
mod feature;
pub mod frr;
mod gobgp;
mod openbgpd;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

pub use bfd::{Bfd, Watched};
pub use feature::Feature;

use crate::lab::Lab;
use crate::program::Program;
use crate::topology::NodeNumber;

/// The AS of the router and that of the nodes.
pub const ROUTER_AS: u32 = 64_513;
/// See [`ROUTER_AS`].
pub const NODE_AS: u32 = 64_512;

/// The router's addresses.
pub const ADDRESSES: [&str; 2] = ["10.73.0.1", "fd73::1"];

/// How long a program may take to start, and to end.
const START: Duration = Duration::from_secs(10);
/// See [`START`].
const PATIENCE: Duration = Duration::from_secs(3);

/// Whose program it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// FRRouting: zebra, bgpd and bfdd.
    Frr,
    /// BIRD 2.
    Bird,
    /// GoBGP; it has no routes in the kernel.
    Gobgp,
    /// OpenBGPD's portable edition; likewise.
    Openbgpd,
    /// ExaBGP, which keeps no routes: what it was told is written down.
    Exabgp,
}

/// One session as the router has it.
#[derive(Debug, Clone)]
pub struct Neighbour {
    /// The node at the other end.
    pub node: NodeNumber,
    /// Its address.
    pub address: IpAddr,
    /// The router's.
    pub local: IpAddr,
    /// Whether it carries IPv4 and IPv6, whatever the addresses are.
    pub both: bool,
    /// TCP MD5.
    pub password: Option<&'static str>,
    /// RFC 5082 for neighbours on the link.
    pub ttl_security: bool,
    /// The node is further away.
    pub multihop: bool,
    /// The node is watched.
    pub bfd: Option<Bfd>,
    /// The router opens connections; FRR and BIRD do in any case.
    pub opens: bool,
}

impl Neighbour {
    /// A node by its address of one family (0 is IPv4), with nothing special agreed on.
    pub fn plain(node: NodeNumber, family: usize) -> Self {
        let locals = ADDRESSES.map(|address| address.parse::<IpAddr>());
        let [four, six] = node.lan();
        let (address, local) = if family == 0 { (four, 0) } else { (six, 1) };
        Self {
            node,
            address,
            // ADDRESSES are addresses.
            local: locals.into_iter().flatten().nth(local).unwrap_or(address),
            both: false,
            password: None,
            ttl_security: false,
            multihop: false,
            bfd: None,
            opens: false,
        }
    }

    /// Which families it carries: IPv4, IPv6.
    fn carries(&self) -> [bool; 2] {
        [
            self.both || self.address.is_ipv4(),
            self.both || self.address.is_ipv6(),
        ]
    }

    /// IPv4 routes over IPv6, with next hops of IPv6 (RFC 8950).
    fn extended_next_hop(&self) -> bool {
        self.both && self.address.is_ipv6()
    }
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
pub struct Files {
    directory: PathBuf,
    netns: crate::netns::Netns,
    neighbours: Vec<Neighbour>,
}

impl Files {
    /// In a directory of this name, for these neighbours.
    pub fn make(lab: &Lab, name: &str, neighbours: Vec<Neighbour>) -> Result<Self> {
        let directory = lab.files.state.join(name);
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        Ok(Self {
            directory,
            netns: lab.topology.router.clone(),
            neighbours,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Whether it watches any node.
    fn watch(&self) -> bool {
        self.neighbours.iter().any(|one| one.bfd.is_some())
    }

    /// A file as an argument.
    fn word(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Frr,
        Self::Bird,
        Self::Gobgp,
        Self::Openbgpd,
        Self::Exabgp,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Frr => "FRR",
            Self::Bird => "BIRD",
            Self::Gobgp => "GoBGP",
            Self::Openbgpd => "OpenBGPD",
            Self::Exabgp => "ExaBGP",
        }
    }

    /// How it writes communities 64512:100, no-export, large 64512:1:2 and route target 64512:100.
    pub fn communities(self) -> [&'static str; 4] {
        match self {
            Self::Frr => ["64512:100", "no-export", "64512:1:2", "RT:64512:100"],
            Self::Bird => [
                "(64512,100)",
                "(65535,65281)",
                "(64512, 1, 2)",
                "(rt, 64512, 100)",
            ],
            Self::Gobgp => [
                "4227858532",
                "4294967041",
                "\"LocalData2\":2",
                "\"value\":\"64512:100\"",
            ],
            Self::Openbgpd => ["64512:100", "NO_EXPORT", "64512:1:2", "rt 64512:100"],
            Self::Exabgp => [
                "[64512,100]",
                "[65535,65281]",
                "[64512,1,2]",
                "target:64512:100",
            ],
        }
    }

    /// Whether its routes are the kernel's.
    pub fn forwards(self) -> bool {
        match self {
            Self::Frr | Self::Bird => true,
            Self::Gobgp | Self::Openbgpd | Self::Exabgp => false,
        }
    }

    fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Frr => &[
                "/usr/lib/frr/zebra",
                "/usr/lib/frr/bgpd",
                "/usr/lib/frr/bfdd",
                "/usr/bin/vtysh",
            ],
            Self::Bird => &["/usr/sbin/bird", "/usr/sbin/birdc"],
            Self::Gobgp => &["/usr/bin/gobgpd", "/usr/bin/gobgp"],
            Self::Openbgpd => &["/usr/sbin/bgpd", "/usr/sbin/bgpctl"],
            Self::Exabgp => &["/usr/sbin/exabgp"],
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
    pub fn start(lab: &Lab, kind: Kind, neighbours: Vec<Neighbour>) -> Result<Self> {
        let name = format!("router-{}", kind.name().to_lowercase());
        let files = Files::make(lab, &name, neighbours)?;
        let programs = match kind {
            Kind::Frr => frr::start(lab, &files)?,
            Kind::Bird => bird::start(lab, &files)?,
            Kind::Gobgp => gobgp::start(lab, &files)?,
            Kind::Openbgpd => openbgpd::start(lab, &files)?,
            Kind::Exabgp => exabgp::start(lab, &files)?,
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
            Kind::Openbgpd => openbgpd::paths(&self.files, prefix),
            Kind::Exabgp => exabgp::paths(&self.files, prefix),
        }
    }

    /// Asks a node for all routes once more (RFC 2918).
    pub fn refresh(&self, neighbour: IpAddr) -> Result<()> {
        match self.kind {
            Kind::Frr => frr::refresh(&self.files, neighbour),
            Kind::Bird => bird::refresh(&self.files, neighbour),
            Kind::Gobgp => bail!("GoBGP never asks for a refresh"),
            Kind::Openbgpd => openbgpd::refresh(&self.files, neighbour),
            Kind::Exabgp => exabgp::refresh(&self.files),
        }
    }

    /// What it tells its operator of the sessions: its log, and its command line where that tells more.
    pub fn told(&self, neighbour: IpAddr) -> Result<String> {
        let mut told: String = self.programs.iter().map(Program::logged).collect();
        told.push_str(&match self.kind {
            Kind::Frr => frr::told(&self.files, neighbour)?,
            Kind::Openbgpd => openbgpd::told(&self.files, neighbour)?,
            Kind::Exabgp => exabgp::told(&self.files)?,
            Kind::Bird | Kind::Gobgp => String::new(),
        });
        Ok(told)
    }

    /// How nodes are watched, in the router's words, by their addresses.
    pub fn watched(&self) -> Result<BTreeMap<IpAddr, Watched>> {
        match self.kind {
            Kind::Frr => frr::watched(&self.files),
            Kind::Bird => bird::watched(&self.files),
            Kind::Gobgp | Kind::Openbgpd | Kind::Exabgp => {
                bail!("{} has no BFD", self.kind.name())
            }
        }
    }

    /// Waits until it watches every node by its IPv4 address, and BFD is up.
    pub fn wait_for_bfd(&self, lab: &Lab) -> Result<()> {
        let waited = lab.wait("BFD is not up", Duration::from_secs(30), |lab| {
            let watched = self.watched()?;
            for node in &lab.topology.nodes {
                let seen = watched.get(&node.number.lan()[0]);
                if !seen.is_some_and(|seen| seen.up) {
                    bail!("{} with {}: {seen:?}", self.kind.name(), node.number.name());
                }
            }
            Ok(true)
        });
        waited.map(drop)
    }

    /// Switches its end of a BFD session off (RFC 5880 section 6.8.16), or on again.
    pub fn switch_bfd(&self, neighbour: IpAddr, on: bool) -> Result<()> {
        match self.kind {
            Kind::Frr => frr::switch_bfd(&self.files, neighbour, on),
            Kind::Bird | Kind::Gobgp | Kind::Openbgpd | Kind::Exabgp => {
                bail!("{} switches no BFD session off", self.kind.name())
            }
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
