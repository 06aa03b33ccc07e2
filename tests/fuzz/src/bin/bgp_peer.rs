//! The program of `herald_fuzz::bgp_peer`.
#![no_main]

use herald_fuzz::{begin, bgp_peer};

libfuzzer_sys::fuzz_target!(init: begin(bgp_peer::seeds()), |octets: &[u8]| bgp_peer::run(octets));
