//! The codec against other implementations and against noise.

#[cfg(test)]
mod packets;
#[cfg(test)]
mod vectors;
#[cfg(test)]
mod wild;
