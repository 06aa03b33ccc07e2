//! Bidirectional Forwarding Detection (RFC 5880, 5881, 5883).
//!
//! This room is empty in this version. `BFDProfile` objects are accepted and say
//! `FieldNotImplemented`.
