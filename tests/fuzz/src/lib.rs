//! Coverage-guided fuzzing of everything that reads the network: one module for each target, with the
//! form of its input, what must hold, and its seeds. `cargo xtask fuzz` runs them.
//!
//! A target reads octets as they come from the wire, or a [`Script`]: steps of one octet each, with what
//! belongs to them behind it, until the octets end. Whatever the octets are, they mean something. A door
//! is given a clock that the script moves, so that the same octets do the same again.
//!
//! Not here: a finding. It becomes a named test in the room whose defect it was.

pub mod arp;
pub mod beacon_message;
pub mod beacon_node;
pub mod bfd_frame;
pub mod bfd_packet;
pub mod bfd_session;
pub mod bgp_message;
pub mod bgp_peer;
pub mod discovery;
mod frames;
pub mod ndp;
mod script;
pub mod station;
mod vectors;

use std::path::PathBuf;

pub use script::Script;

/// Where a program is to write its seeds, in place of fuzzing.
const SEEDS: &str = "HERALD_FUZZ_SEEDS";

/// What every program does first: where it was asked for its seeds, it writes them, a file for each,
/// and ends.
///
/// # Panics
/// They cannot be written.
pub fn begin(seeds: Vec<Vec<u8>>) {
    let Some(directory) = std::env::var_os(SEEDS).map(PathBuf::from) else {
        return;
    };
    for (number, seed) in seeds.iter().enumerate() {
        let file = directory.join(format!("seed-{number:03}"));
        std::fs::write(&file, seed).expect("the directory of seeds can be written to");
    }
    std::process::exit(0);
}
