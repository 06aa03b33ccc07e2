//! What other implementations sent, as the tests of the crates have it: one message a line in
//! hexadecimal digits, after words that tell of it. The files say where they are from.

/// Of BGP, from `proto/bgp/tests/wire/vectors`.
pub(crate) const BGP: [&str; 3] = [
    include_str!("../../../proto/bgp/tests/wire/vectors/bird.txt"),
    include_str!("../../../proto/bgp/tests/wire/vectors/frr.txt"),
    include_str!("../../../proto/bgp/tests/wire/vectors/gobgp.txt"),
];

/// Of BFD, from `proto/bfd/tests/wire/vectors`.
pub(crate) const BFD: [&str; 2] = [
    include_str!("../../../proto/bfd/tests/wire/vectors/bird.txt"),
    include_str!("../../../proto/bfd/tests/wire/vectors/frr.txt"),
];

/// The messages of some files.
pub(crate) fn messages(files: &[&str]) -> Vec<Vec<u8>> {
    let lines = files.iter().flat_map(|file| file.lines());
    let digits = lines
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(' ').next_back());
    digits
        .map(|digits| {
            let octet = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16);
            let octets = (0..digits.len()).step_by(2).map(octet);
            octets.collect::<Result<_, _>>().expect("a line of digits")
        })
        .collect()
}
