//! Every frame a namespace's interfaces carry, in a file tshark reads; and what tshark says of it.
//!
//! The capture is a packet socket of this process, so nothing has to be installed to make one.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, anyhow};
use socket2::{Domain, Protocol, Socket, Type};

use crate::clock;
use crate::netns::{Netns, run};

/// `ETH_P_ALL` in network byte order, as packet(7) wants it.
const ALL_PROTOCOLS: i32 = (0x0003_u16.to_be()) as i32;
/// `LINKTYPE_ETHERNET`.
const ETHERNET: u32 = 1;
const LONGEST_FRAME: u32 = 65_535;

/// A running capture.
#[derive(Debug)]
pub struct Capture {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<u64>>,
}

impl Capture {
    /// Captures into a file until it is finished.
    pub fn start(netns: &Netns, path: &Path) -> Result<Self> {
        let socket = netns.within(|| -> std::io::Result<Socket> {
            let socket = Socket::new(
                Domain::PACKET,
                Type::RAW,
                Some(Protocol::from(ALL_PROTOCOLS)),
            )?;
            socket.set_read_timeout(Some(Duration::from_millis(100)))?;
            Ok(socket)
        })??;
        let file = File::create(path)?;
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let stop = Arc::clone(&stop);
            move || record(socket, BufWriter::new(file), &stop)
        });
        Ok(Self {
            path: path.to_path_buf(),
            stop,
            thread,
        })
    }

    /// Ends it; the file and how many frames are in it.
    pub fn finish(self) -> Result<(PathBuf, u64)> {
        self.stop.store(true, Ordering::Relaxed);
        let frames = self
            .thread
            .join()
            .map_err(|_| anyhow!("the capture panicked"))??;
        Ok((self.path, frames))
    }
}

/// Writes the classic pcap format: a header, then each frame after its time and length.
fn record(mut socket: Socket, mut out: impl Write, stop: &AtomicBool) -> Result<u64> {
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, LONGEST_FRAME, ETHERNET] {
        out.write_all(&word.to_le_bytes())?;
    }
    let mut frame = vec![0_u8; LONGEST_FRAME as usize];
    let mut frames = 0;
    while !stop.load(Ordering::Relaxed) {
        let length = match socket.read(&mut frame) {
            Ok(length) => length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let time = clock::wall();
        let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        let length32 = u32::try_from(length).unwrap_or(LONGEST_FRAME);
        for word in [seconds, time.subsec_micros(), length32, length32] {
            out.write_all(&word.to_le_bytes())?;
        }
        out.write_all(&frame[..length])?;
        frames += 1;
    }
    out.flush()?;
    Ok(frames)
}

/// One line for each frame of a file that a tshark display filter matches.
pub fn matching(path: &Path, filter: &str) -> Result<Vec<String>> {
    let output = tshark(path, filter, &[])?;
    Ok(output.lines().map(str::to_owned).collect())
}

/// Likewise, with `udp.checksum.status` for the filter to look at, which kernels may leave to the hardware.
pub fn matching_by_checksum(path: &Path, filter: &str) -> Result<Vec<String>> {
    let output = tshark(path, filter, &["-o", "udp.check_checksum:TRUE"])?;
    Ok(output.lines().map(str::to_owned).collect())
}

/// Some fields of each frame of a file that a tshark display filter matches; empty where a frame has none.
pub fn fields(path: &Path, filter: &str, names: &[&str]) -> Result<Vec<Vec<String>>> {
    let mut arguments = vec!["-T", "fields"];
    for name in names {
        arguments.extend(["-e", name]);
    }
    let output = tshark(path, filter, &arguments)?;
    let line = |line: &str| line.split('\t').map(str::to_owned).collect();
    Ok(output.lines().map(line).collect())
}

fn tshark(path: &Path, filter: &str, arguments: &[&str]) -> Result<String> {
    run(Command::new("tshark")
        .args(["-n", "-r"])
        .arg(path)
        .args(["-Y", filter])
        .args(arguments)
        .env("HOME", path.parent().unwrap_or(path)))
}
