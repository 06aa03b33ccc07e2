//! The program of `herald_fuzz::arp`.
#![no_main]

use herald_fuzz::{arp, begin};

libfuzzer_sys::fuzz_target!(init: begin(arp::seeds()), |octets: &[u8]| arp::run(octets));
