//! Interface patterns: `*` stands for any characters, also none; everything else for itself.

/// True when the whole name fits the pattern.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, mut pattern)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(head) else {
        return false;
    };
    // Between two stars the earliest fit leaves the most for the rest.
    while let Some((part, rest)) = pattern.split_once('*') {
        let Some(at) = name.find(part) else {
            return false;
        };
        name = &name[at + part.len()..];
        pattern = rest;
    }
    name.ends_with(pattern)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_fit_whole_names() {
        for (pattern, name, fits) in [
            ("eth0", "eth0", true),
            ("eth0", "eth01", false),
            ("eth*", "eth", true),
            ("eth*", "veth0", false),
            ("*", "", true),
            ("*.100", "bond0.100", true),
            ("*.100", "bond0.1001", false),
            ("en*s*f0", "enp3s0f0", true),
            ("en*s*f0", "enp3f0", false),
            ("a*a", "a", false),
            ("", "eth0", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    /// The textbook definition, trying every length for a star.
    fn plain(pattern: &[u8], name: &[u8]) -> bool {
        match pattern {
            [] => name.is_empty(),
            [b'*', rest @ ..] => (0..=name.len()).any(|n| plain(rest, &name[n..])),
            [c, rest @ ..] => name.first() == Some(c) && plain(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn fits_as_trying_every_way_does(pattern in "[ab*]{0,6}", name in "[ab]{0,8}") {
            prop_assert_eq!(matches(&pattern, &name), plain(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
