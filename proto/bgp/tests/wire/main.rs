//! The codec beside others: what it writes, two other libraries read to the same meaning; what other
//! speakers wrote, it reads; and no octets do it harm.

#[cfg(test)]
mod oracles;
#[cfg(test)]
mod vectors;
#[cfg(test)]
mod wild;
