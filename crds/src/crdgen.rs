//! Prints the CRD manifests.
fn main() {}
