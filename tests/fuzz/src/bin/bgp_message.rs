//! The program of `herald_fuzz::bgp_message`.
#![no_main]

use herald_fuzz::{begin, bgp_message};

libfuzzer_sys::fuzz_target!(init: begin(bgp_message::seeds()), |octets: &[u8]| bgp_message::run(octets));
