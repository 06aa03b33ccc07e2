//! Two sessions over a pipe that delays and loses packets, on virtual time.

#[cfg(test)]
mod agree;
#[cfg(test)]
mod world;
