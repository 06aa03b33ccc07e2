//! The program of `herald_fuzz::beacon_message`.
#![no_main]

use herald_fuzz::{beacon_message, begin};

libfuzzer_sys::fuzz_target!(init: begin(beacon_message::seeds()), |octets: &[u8]| beacon_message::run(octets));
