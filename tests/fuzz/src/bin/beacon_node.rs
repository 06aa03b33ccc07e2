//! The program of `herald_fuzz::beacon_node`.
#![no_main]

use herald_fuzz::{beacon_node, begin};

libfuzzer_sys::fuzz_target!(init: begin(beacon_node::seeds()), |octets: &[u8]| beacon_node::run(octets));
