//! The program of `herald_fuzz::discovery`.
#![no_main]

use herald_fuzz::{begin, discovery};

libfuzzer_sys::fuzz_target!(init: begin(discovery::seeds()), |octets: &[u8]| discovery::run(octets));
