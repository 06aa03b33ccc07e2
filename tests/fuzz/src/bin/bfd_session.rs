//! The program of `herald_fuzz::bfd_session`.
#![no_main]

use herald_fuzz::{begin, bfd_session};

libfuzzer_sys::fuzz_target!(init: begin(bfd_session::seeds()), |octets: &[u8]| bfd_session::run(octets));
