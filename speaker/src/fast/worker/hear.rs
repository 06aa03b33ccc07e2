//! What arrives: beacons, copies of them and frames, drained from their sockets.

use herald_l2::Received;
use herald_runtime::clock;

use super::say::send;
use super::{OLDEST, Worker};
use crate::fast::timeline::age;

/// Frames read from one port before the others, and the timers, have their turn.
const BATCH: usize = 64;
/// Datagrams read before anything is decided: a second of what 100 speakers send.
const FLOOD: usize = 2048;
/// Octets read of a frame or datagram; neither is longer.
const BUFFER: usize = 2048;

impl Worker {
    /// Reads every datagram there is, up to a flood.
    pub(super) fn read_beacons(&mut self) {
        while let Some(address) = self.socket.refusal() {
            let mut peers = self
                .cluster
                .iter()
                .flat_map(|cluster| cluster.peers.values());
            if peers.any(|peer| *peer == address) {
                self.refusals.insert(address, clock::boot());
            }
        }
        let mut buffer = [0; BUFFER];
        for _ in 0..FLOOD {
            let arrival = match self.socket.receive(&mut buffer) {
                Ok(Some(arrival)) => arrival,
                Ok(None) => return,
                // What a peer's kernel answered to an earlier beacon of ours: see `refusal`.
                Err(_) => continue,
            };
            let Some(node) = &mut self.node else { continue };
            let mut nonce = [0; 16];
            if getrandom::fill(&mut nonce).is_err() {
                continue;
            }
            let taken = clock::boot().saturating_sub(age(arrival.taken, OLDEST));
            match node.handle_datagram(&buffer[..arrival.length], nonce, taken) {
                Ok(()) => self.outlets.metrics.beacon_received(),
                Err(reason) => self.outlets.metrics.beacon_discarded(reason),
            }
        }
    }

    /// Reads the copies of beacons there are, up to a batch from every port: they can wait. Those on
    /// an interface that nothing would be announced on are read as well, as each one is waited for.
    pub(super) fn read_copies(&mut self) {
        let mut buffer = [0; BUFFER];
        for (index, port) in &self.ports {
            let link = self.links.iter().find(|(_, at)| *at == index);
            for _ in 0..BATCH {
                let Ok(Some(arrival)) = port.receive_copy(&mut buffer) else {
                    break;
                };
                let (Some((link, _)), Some(node)) = (link, &mut self.node) else {
                    continue;
                };
                let taken = clock::boot().saturating_sub(age(arrival.taken, OLDEST));
                // Not counted: each comes once by either family, and other clusters on the same network
                // are heard as well.
                let _worthless = node.handle_copy(&buffer[..arrival.length], *link, taken);
            }
        }
    }

    /// Reads up to a batch from every port; true when one of them may have more.
    pub(super) fn read_ports(&mut self) -> bool {
        let mut buffer = [0; BUFFER];
        let mut more = false;
        for (index, port) in &self.ports {
            let mut left = BATCH;
            while left > 0 {
                match port.receive(&mut buffer) {
                    Ok(Some(heard)) => {
                        let received = Received {
                            interface: *index,
                            addressed: heard.addressed,
                            tagged: heard.tagged,
                            age: age(heard.taken, OLDEST),
                            bytes: &buffer[..heard.length],
                        };
                        let now = self.timeline.instant(clock::boot());
                        match self.station.handle_frame(&received, now) {
                            Ok(answer) => {
                                if send(&self.ports, &answer, &self.outlets.metrics) {
                                    self.outlets.metrics.answered.inc();
                                }
                            }
                            Err(reason) => self.outlets.metrics.discarded(reason),
                        }
                    }
                    Ok(None) => break,
                    Err(_) => {
                        self.outlets.metrics.receive_errors.inc();
                        break;
                    }
                }
                left -= 1;
            }
            more |= left == 0;
        }
        more
    }
}
