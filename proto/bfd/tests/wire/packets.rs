//! The files of vectors.

pub(crate) const BIRD: &str = include_str!("vectors/bird.txt");
pub(crate) const FRR: &str = include_str!("vectors/frr.txt");

/// Of each packet the words before the octets, and the octets.
pub(crate) fn packets(text: &str) -> Vec<(Vec<&str>, Vec<u8>)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let mut words: Vec<&str> = line.split(' ').collect();
            let digits = words.pop().unwrap();
            let octet = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
            (words, (0..digits.len()).step_by(2).map(octet).collect())
        })
        .collect()
}
