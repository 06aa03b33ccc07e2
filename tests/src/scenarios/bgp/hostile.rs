//! What nobody would call a router answers a speaker's connections.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{
    ADDRESSES, PATIENCE, ROUTER_AS, announced, established, establishments, peer, prefix, present,
    routed_service, sessions,
};
use crate::clock::Stopwatch;
use crate::lab::Lab;
use crate::netns::Netns;
use crate::routers::{Kind, Neighbour, Router};
use crate::scenarios::Stage;
use crate::topology::NodeNumber;

const NODE: NodeNumber = NodeNumber(1);

/// How long they go on.
const SIEGE: Duration = Duration::from_secs(5);

/// How much a speaker may grow under it, in KiB.
const GROWTH: u64 = 8 * 1024;

/// The router beside them learns of a Service within this time.
const SOON: Duration = Duration::from_secs(2);

/// One kind of nuisance: its name, its port, and what it does with a connection until that ends.
type Nuisance = (&'static str, u16, fn(TcpStream, &AtomicBool));

const NUISANCES: [Nuisance; 5] = [
    ("noise", 1_791, noise),
    ("opens", 1_792, opens),
    ("deaf", 1_793, deaf),
    ("mute", 1_794, mute),
    ("shut", 1_795, |_, _| {}),
];

/// Those who send noise, OPEN without end, nothing, or take nothing, and those who hang up, have no
/// session, or one that harms nobody: the session with BIRD beside them stands, learns of a Service at
/// once, and the speaker does not grow.
pub(in crate::scenarios) fn hostile(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    present(Kind::Bird)?;
    let mut router = Router::start(lab, Kind::Bird, vec![Neighbour::plain(NODE, 0)])?;
    let mut siege = Siege::begin(&lab.topology.router)?;
    let outcome = withstood(lab, &router);
    siege.end()?;
    router.stop();
    outcome
}

fn withstood(lab: &mut Lab, router: &Router) -> Result<()> {
    lab.apply(&(announced() + &peer("four", Some(NODE), ADDRESSES[0], "")))?;
    established(lab, &[(NODE, "four")])?;
    let (standing, before) = (establishments(lab)?, memory(lab)?);
    let hostile: String = NUISANCES
        .iter()
        .map(|(name, port, _)| {
            let port = format!("peerPort: {port}");
            peer(name, Some(NODE), ADDRESSES[0], &port)
        })
        .collect();
    lab.apply(&hostile)?;
    thread::sleep(SIEGE);
    let addresses = routed_service(lab)?;
    let address = addresses.first().context("a Service has no address")?;
    let hops = [NODE.lan()[0].to_string()].into();
    let took = router.wait_for(lab, &prefix(*address), &hops)?;
    if took > SOON {
        bail!("the router beside them learned of a Service after {took:?}");
    }
    for name in ["noise", "opens", "mute", "shut"] {
        lab.wait("a session that cannot be has no error", PATIENCE, |lab| {
            let sessions = sessions(lab, &NODE.name())?;
            let mut sessions = sessions.iter().filter(|one| one["peer"] == name);
            let one = sessions.next().context("a session is not shown")?;
            let stands = one["state"] == "Established";
            Ok(!stands && (one["lastError"].is_string() || name == "mute"))
        })?;
    }
    let line = |all: &[String]| {
        let mut lines = all.iter().flat_map(|one| one.split(" herald"));
        let own = lines.find(|one| one.contains("peer=\"four\""));
        own.map(str::to_owned)
    };
    let (was, is) = (line(&standing), line(&establishments(lab)?));
    if was.is_none() || was.as_deref().map(count) != is.as_deref().map(count) {
        bail!("the session beside them was established {was:?} times and then {is:?}");
    }
    let after = memory(lab)?;
    if after > before + GROWTH {
        bail!("the speaker grew from {before} to {after} KiB");
    }
    Ok(())
}

/// The number at the end of a metric.
fn count(line: &str) -> Option<&str> {
    line.split_whitespace().last()
}

/// What the speaker occupies, in KiB.
fn memory(lab: &mut Lab) -> Result<u64> {
    let id = lab.herald()?.speaker(NODE)?.program.id();
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .context("a process has no VmRSS")
}

/// Listeners in the router's namespace.
struct Siege {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Siege {
    fn begin(netns: &Netns) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for (_, port, answer) in NUISANCES {
            let address = SocketAddr::new(ADDRESSES[0].parse()?, port);
            let listener = netns.within(|| TcpListener::bind(address))??;
            listener.set_nonblocking(true)?;
            let stop = Arc::clone(&stop);
            threads.push(thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    match listener.accept() {
                        Ok((stream, _)) => {
                            // A speaker has one connection to each at a time.
                            let _plain = stream.set_nonblocking(false);
                            let _short = stream.set_read_timeout(Some(MOMENT));
                            let _short = stream.set_write_timeout(Some(MOMENT));
                            answer(stream, &stop);
                        }
                        Err(_) => thread::sleep(MOMENT),
                    }
                }
            }));
        }
        Ok(Self { stop, threads })
    }

    fn end(&mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                bail!("a nuisance panicked");
            }
        }
        Ok(())
    }
}

const MOMENT: Duration = Duration::from_millis(20);

/// As much as it can, of anything.
fn noise(mut stream: TcpStream, stop: &AtomicBool) {
    let octets: Vec<u8> = (0..=255).cycle().take(64 * 1024).collect();
    while !stop.load(Ordering::Relaxed) && stream.write_all(&octets).is_ok() {}
}

/// OPEN after OPEN, each in order by itself.
fn opens(mut stream: TcpStream, stop: &AtomicBool) {
    let many = open().repeat(1000);
    while !stop.load(Ordering::Relaxed) && stream.write_all(&many).is_ok() {}
}

/// Opens a session and says that it is alive, but never reads.
fn deaf(mut stream: TcpStream, stop: &AtomicBool) {
    let keepalive = message(4, &[]);
    let mut said = stream.write_all(&[open(), keepalive.clone()].concat());
    let watch = Stopwatch::start();
    let mut next = Duration::ZERO;
    while !stop.load(Ordering::Relaxed) && said.is_ok() {
        if watch.elapsed() >= next {
            said = stream.write_all(&keepalive);
            next += Duration::from_secs(1);
        }
        thread::sleep(MOMENT);
    }
}

/// Reads, and says nothing.
fn mute(mut stream: TcpStream, stop: &AtomicBool) {
    let mut chunk = [0; 512];
    while !stop.load(Ordering::Relaxed) {
        match stream.read(&mut chunk) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// An OPEN of the router's AS, with the one capability that tells it (RFC 6793).
fn open() -> Vec<u8> {
    let mut body = vec![4];
    body.extend(u16::try_from(ROUTER_AS).unwrap_or(23_456).to_be_bytes());
    body.extend([0, 90, 10, 73, 0, 99]);
    let capabilities = [1, 4, 0, 1, 0, 1];
    body.extend([8, 2, 6]);
    body.extend(capabilities);
    message(1, &body)
}

/// A message as RFC 4271 section 4.1 has it.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(19 + body.len()).unwrap_or(19);
    [&[0xff; 16][..], &length.to_be_bytes(), &[kind], body].concat()
}
