//! The program of `herald_fuzz::bfd_frame`.
#![no_main]

use herald_fuzz::{begin, bfd_frame};

libfuzzer_sys::fuzz_target!(init: begin(bfd_frame::seeds()), |octets: &[u8]| bfd_frame::run(octets));
