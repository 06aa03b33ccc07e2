//! The program of `herald_fuzz::station`.
#![no_main]

use herald_fuzz::{begin, station};

libfuzzer_sys::fuzz_target!(init: begin(station::seeds()), |octets: &[u8]| station::run(octets));
