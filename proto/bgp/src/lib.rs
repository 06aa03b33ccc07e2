//! BGP-4 as an announcer speaks it (RFC 4271): codec, session state machine, Adj-RIB-Out.
//!
//! This room is empty in this version. `BGPPeer`, `BGPAdvertisement` and `Community` objects are
//! accepted and say `FieldNotImplemented`.
