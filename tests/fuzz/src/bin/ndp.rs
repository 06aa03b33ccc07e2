//! The program of `herald_fuzz::ndp`.
#![no_main]

use herald_fuzz::{begin, ndp};

libfuzzer_sys::fuzz_target!(init: begin(ndp::seeds()), |octets: &[u8]| ndp::run(octets));
