//! A prober that asks every millisecond by UDP and every five by TCP.
//!
//! Every probe comes from a port of its own, used again only after most of a minute, so no connection
//! state anywhere ties it to the one before. Answers are read off the client's wire: an echo, or the
//! second step of the handshake. A connection is given up at once, by a reset or before its SYN is
//! repeated. A probe that is not answered within [`PATIENCE`] is lost.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, anyhow};
use socket2::{Domain, SockAddr, Socket, Type};

use super::Record;
use super::answer::{Answer, answer};
use crate::clock::Stopwatch;
use crate::netns::Netns;
use crate::tap::Tap;
use crate::urgency::{self, Urgency};

/// From one datagram to the next.
pub const UDP_INTERVAL: Duration = Duration::from_millis(1);
/// From one connection to the next.
pub const TCP_INTERVAL: Duration = Duration::from_millis(5);
/// How long an answer is waited for: below the second after which TCP repeats a SYN (RFC 6298
/// section 2.1) and a host repeats an ARP request.
pub const PATIENCE: Duration = Duration::from_millis(250);

/// Ports that probes come from: below them are servers', above are the kernel's own.
const FIRST_PORT: u16 = 1_024;
const PORTS: u64 = 31_000;

/// A running prober. Times are since `watch` was started.
#[derive(Debug)]
pub struct FastProbe {
    stop: Arc<AtomicBool>,
    watch: Stopwatch,
    /// When the last answer came, in microseconds; 0 for never.
    last: Arc<AtomicU64>,
    /// How many datagrams were sent.
    sent: Arc<AtomicU64>,
    sender: JoinHandle<Result<Sent>>,
    tap: Tap<Answer>,
}

/// What it saw.
#[derive(Debug)]
pub struct Seen {
    /// Of the datagrams.
    pub udp: Record,
    /// Of the connections.
    pub tcp: Record,
    /// How urgently it ran.
    pub urgency: Urgency,
}

#[derive(Debug)]
struct Sent {
    /// When each datagram was sent; its number is its place.
    udp: Vec<Duration>,
    /// When each connection was begun, and from which port.
    tcp: Vec<(Duration, u16)>,
    urgency: Urgency,
}

impl FastProbe {
    /// Probes an address and port from a namespace until it is finished.
    pub fn start(from: &Netns, watch: Stopwatch, target: SocketAddr) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let last = Arc::new(AtomicU64::new(0));
        let sent = Arc::new(AtomicU64::new(0));
        let tap = Tap::start(from, watch, {
            let last = Arc::clone(&last);
            move |at, frame| {
                let answer = answer(frame, target)?;
                last.store(micros(at), Ordering::Relaxed);
                Some(answer)
            }
        })?;
        let sender = thread::spawn({
            let (stop, sent, from) = (Arc::clone(&stop), Arc::clone(&sent), from.clone());
            move || {
                from.enter()?;
                Ok(send_all(target, watch, &stop, &sent))
            }
        });
        Ok(Self {
            stop,
            watch,
            last,
            sent,
            sender,
            tap,
        })
    }

    /// Whether an answer came within this time.
    pub fn answered_within(&self, time: Duration) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        last > 0 && micros(self.watch.elapsed()).saturating_sub(last) <= micros(time)
    }

    /// How many datagrams were sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Waits for the fate of the last probe and says what was seen.
    pub fn finish(self) -> Result<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self
            .sender
            .join()
            .map_err(|_| anyhow!("the prober panicked"))??;
        let heard = self.tap.finish()?;
        Ok(judge(&sent, &heard))
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Sends until it is stopped, and then waits as long as the last may take.
fn send_all(target: SocketAddr, watch: Stopwatch, stop: &AtomicBool, count: &AtomicU64) -> Sent {
    let mut sent = Sent {
        udp: Vec::new(),
        tcp: Vec::new(),
        urgency: urgency::raise(),
    };
    let mut open: VecDeque<(Duration, Option<Socket>)> = VecDeque::new();
    let (mut udp_next, mut tcp_next) = (watch.elapsed(), watch.elapsed());
    while !stop.load(Ordering::Relaxed) {
        let now = watch.elapsed();
        // A machine that was busy sends the probe it owes once, not all it missed.
        if now >= udp_next {
            let number = sent.udp.len() as u64;
            open.push_back((now, datagram(target, number).ok()));
            sent.udp.push(now);
            count.fetch_add(1, Ordering::Relaxed);
            udp_next = (udp_next + UDP_INTERVAL).max(now);
        }
        if now >= tcp_next {
            let port = port(sent.tcp.len() as u64);
            open.push_back((now, connection(target, port).ok()));
            sent.tcp.push((now, port));
            tcp_next = (tcp_next + TCP_INTERVAL).max(now);
        }
        // Kept open until then, so that the kernel does not answer the answer with an error.
        while open
            .front()
            .is_some_and(|(at, _)| now.saturating_sub(*at) > PATIENCE)
        {
            open.pop_front();
        }
        let next = udp_next.min(tcp_next);
        thread::sleep(next.saturating_sub(watch.elapsed()));
    }
    thread::sleep(PATIENCE);
    sent
}

fn port(number: u64) -> u16 {
    FIRST_PORT + u16::try_from(number % PORTS).unwrap_or_default()
}

fn socket(target: SocketAddr, kind: Type, port: u16) -> std::io::Result<Socket> {
    let own: IpAddr = match target {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = Socket::new(Domain::for_address(target), kind, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(SocketAddr::new(own, port)))?;
    Ok(socket)
}

fn datagram(target: SocketAddr, number: u64) -> std::io::Result<Socket> {
    let socket = socket(target, Type::DGRAM, port(number))?;
    socket.connect(&target.into())?;
    socket.send(&number.to_be_bytes())?;
    Ok(socket)
}

fn connection(target: SocketAddr, port: u16) -> std::io::Result<Socket> {
    let socket = socket(target, Type::STREAM, port)?;
    socket.set_linger(Some(Duration::ZERO))?;
    // In progress, or refused: the wire tells.
    let _begun = socket.connect(&target.into());
    Ok(socket)
}

/// Which probes were answered in time.
fn judge(sent: &Sent, heard: &[(Duration, Answer)]) -> Seen {
    let mut udp: Vec<(Duration, bool)> = sent.udp.iter().map(|at| (*at, false)).collect();
    let mut tcp: Vec<(Duration, bool)> = sent.tcp.iter().map(|(at, _)| (*at, false)).collect();
    let mut by_port: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
    for (index, (_, port)) in sent.tcp.iter().enumerate() {
        by_port.entry(*port).or_default().push(index);
    }
    for (at, answer) in heard {
        let probe = match answer {
            Answer::Echo(number) => usize::try_from(*number)
                .ok()
                .and_then(|number| udp.get_mut(number)),
            Answer::Connected(port) => by_port
                .get(port)
                .and_then(|all| all.iter().rfind(|index| tcp[**index].0 <= *at))
                .copied()
                .and_then(|index| tcp.get_mut(index)),
        };
        if let Some((sent, answered)) = probe {
            *answered |= at.saturating_sub(*sent) <= PATIENCE;
        }
    }
    let record = |interval, probes| Record { interval, probes };
    Seen {
        udp: record(UDP_INTERVAL, udp),
        tcp: record(TCP_INTERVAL, tcp),
        urgency: sent.urgency,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_late_answer_is_none_and_a_port_used_again_answers_for_its_later_probe() {
        let sent = Sent {
            udp: vec![at(0), at(1), at(2)],
            tcp: vec![(at(0), 1_024), (at(5), 1_025), (at(31_000), 1_024)],
            urgency: Urgency::Ordinary,
        };
        let seen = judge(
            &sent,
            &[
                (at(1), Answer::Echo(0)),
                (at(252), Answer::Echo(1)),
                (at(252), Answer::Echo(2)),
                (at(252), Answer::Echo(99)),
                (at(300), Answer::Connected(1_025)),
                (at(31_001), Answer::Connected(1_024)),
                (at(31_001), Answer::Connected(7)),
            ],
        );
        let answered = |record: &Record| -> Vec<bool> {
            record
                .probes
                .iter()
                .map(|(_, answered)| *answered)
                .collect()
        };
        assert_eq!(answered(&seen.udp), [true, false, true]);
        assert_eq!(answered(&seen.tcp), [false, false, true]);
        assert_eq!(seen.udp.longest_outage(), UDP_INTERVAL);
    }

    #[test]
    fn a_port_comes_again_after_all_others() {
        assert_eq!(port(0), port(PORTS));
        assert_ne!(port(0), port(PORTS - 1));
        assert!(u64::from(FIRST_PORT) + PORTS < 32_768, "the kernel's own");
    }
}
