//! Who is alive and who owns an address, without the API server: authenticated beacons between
//! speakers and the quorum lease they carry.
//!
//! This room is empty in this version. Ownership follows the API server's view of the nodes (see
//! `speaker/src/liveness.rs`), so a dead node is replaced in tens of seconds.
