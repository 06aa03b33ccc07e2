//! Every crate that is linked, at any depth, comes under terms Herald can be given away with.

use std::collections::BTreeSet;

use crate::workspace::{Metadata, Package};

/// Licences that ask for no more than being named.
const FREE: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "OpenSSL",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
];

/// File-level copyleft: allowed for crates that are used unchanged, and listed.
const LISTED: &[&str] = &["MPL-2.0"];

/// What is wrong, and which crates are there by exception.
pub(crate) fn check(metadata: &Metadata) -> (Vec<String>, Vec<String>) {
    let mut problems = Vec::new();
    let mut exceptions = Vec::new();
    for package in linked(metadata) {
        let Some(expression) = &package.licence else {
            problems.push(format!(
                "{} {} names no licence",
                package.name, package.version
            ));
            continue;
        };
        if allowed(expression, &[]) {
            continue;
        }
        let line = format!("{} {} is under {expression}", package.name, package.version);
        if allowed(expression, LISTED) {
            exceptions.push(line)
        } else {
            problems.push(line)
        }
    }
    (problems, exceptions)
}

fn linked(metadata: &Metadata) -> Vec<&Package> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&String> = metadata.members.iter().collect();
    while let Some(id) = open.pop() {
        if seen.insert(id) {
            open.extend(metadata.graph.get(id).into_iter().flatten());
        }
    }
    seen.into_iter()
        .filter_map(|id| metadata.packages.get(id))
        .collect()
}

/// Whether an SPDX expression can be met. `OR` offers, `AND` (and the old `/`, an `OR`) and
/// parentheses as in SPDX 2.3 annex D; an exception (`WITH`) only ever permits more.
fn allowed(expression: &str, also: &[&str]) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = either(&words, &mut at, also);
    met && at == words.len()
}

fn either(words: &[&str], at: &mut usize, also: &[&str]) -> bool {
    let mut met = both(words, at, also);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= both(words, at, also);
    }
    met
}

fn both(words: &[&str], at: &mut usize, also: &[&str]) -> bool {
    let mut met = single(words, at, also);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= single(words, at, also);
    }
    met
}

fn single(words: &[&str], at: &mut usize, also: &[&str]) -> bool {
    let Some(word) = words.get(*at) else {
        return false;
    };
    *at += 1;
    if *word == "(" {
        let met = either(words, at, also);
        *at += 1;
        return met;
    }
    if words.get(*at) == Some(&"WITH") {
        *at += 2;
    }
    FREE.contains(word) || also.contains(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_met_by_one_side_of_or_and_by_both_sides_of_and() {
        for (expression, met) in [
            ("MIT OR Apache-2.0", true),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0-only", false),
            ("GPL-2.0 OR MIT", true),
            ("GPL-2.0 AND MIT", false),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("Apache-2.0 WITH LLVM-exception OR GPL-2.0", true),
            ("MPL-2.0", false),
            ("LGPL-2.1-or-later", false),
            ("", false),
        ] {
            assert_eq!(allowed(expression, &[]), met, "{expression}");
        }
        assert!(allowed("MPL-2.0", LISTED));
    }
}
