//! The program of `herald_fuzz::bfd_packet`.
#![no_main]

use herald_fuzz::{begin, bfd_packet};

libfuzzer_sys::fuzz_target!(init: begin(bfd_packet::seeds()), |octets: &[u8]| bfd_packet::run(octets));
