//! Who may depend on whom: the table of ARCHITECTURE.md, checked against cargo.
//!
//! Direct dependencies between the workspace's crates are read from `cargo metadata`; what a crate
//! must never link, at any depth, from `cargo tree` of that crate alone (with the features it gets
//! when it is built by itself).

use std::collections::BTreeSet;

use anyhow::Result;

use crate::rooms::without_tests;
use crate::workspace::{Metadata, Package, cargo, output_of, relative};

struct Layer {
    /// The packages it holds.
    crates: &'static [&'static str],
    /// Packages of the workspace it may use.
    may: &'static [&'static str],
    /// Packages it may not link at any depth.
    never: &'static [&'static str],
    /// Pure: no sockets, files, threads or clocks in its own text either.
    pure: bool,
}

const EFFECTS: &[&str] = &[
    "kube",
    "kube-client",
    "k8s-openapi",
    "tokio",
    "mio",
    "socket2",
    "rand",
    "nix",
    "libc",
];

const LAYERS: &[Layer] = &[
    Layer {
        crates: &[
            "herald-l2",
            "herald-beacon",
            "herald-bgp",
            "herald-bfd",
            "herald-model",
        ],
        may: &[],
        never: EFFECTS,
        pure: true,
    },
    Layer {
        crates: &["herald-crds"],
        may: &[],
        never: &["tokio", "kube-client"],
        pure: false,
    },
    Layer {
        crates: &["herald-config"],
        may: &["herald-crds", "herald-model"],
        never: &[
            "tokio",
            "kube-client",
            "herald-l2",
            "herald-beacon",
            "herald-bgp",
            "herald-bfd",
        ],
        pure: false,
    },
    Layer {
        crates: &["herald-runtime"],
        may: &[],
        never: &["herald-crds", "herald-config", "herald-model"],
        pure: false,
    },
    Layer {
        crates: &["herald-controller"],
        may: &[
            "herald-crds",
            "herald-config",
            "herald-model",
            "herald-runtime",
        ],
        never: &[
            "herald-speaker",
            "herald-l2",
            "herald-beacon",
            "herald-bgp",
            "herald-bfd",
        ],
        pure: false,
    },
    Layer {
        crates: &["herald-speaker"],
        may: &[
            "herald-crds",
            "herald-config",
            "herald-model",
            "herald-runtime",
            "herald-l2",
            "herald-beacon",
            "herald-bgp",
            "herald-bfd",
        ],
        never: &["herald-controller"],
        pure: false,
    },
    Layer {
        crates: &["heraldctl", "herald-cli"],
        may: &[
            "herald-crds",
            "herald-config",
            "herald-model",
            "herald-runtime",
        ],
        never: &["herald-controller", "herald-speaker"],
        pure: false,
    },
    Layer {
        crates: &["herald-tests"],
        may: &[
            "herald-crds",
            "herald-config",
            "herald-model",
            "herald-runtime",
            "herald-l2",
            "herald-beacon",
            "herald-bgp",
            "herald-bfd",
            "herald-controller",
            "herald-speaker",
        ],
        never: &[],
        pure: false,
    },
    Layer {
        crates: &["xtask"],
        may: &[],
        never: &["tokio", "kube-client"],
        pure: false,
    },
];

/// Words a pure crate may not contain outside its tests.
const EFFECT_WORDS: &[&str] = &[
    "std::fs",
    "std::thread",
    "std::process",
    "std::env",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "SystemTime",
    "Instant::now",
];

/// Every breach, each as a sentence.
pub(crate) fn check(metadata: &Metadata) -> Result<Vec<String>> {
    let own: BTreeSet<&str> = metadata
        .own()
        .map(|package| package.name.as_str())
        .collect();
    let mut problems = Vec::new();
    for package in metadata.own() {
        let Some(layer) = LAYERS
            .iter()
            .find(|layer| layer.crates.contains(&package.name.as_str()))
        else {
            problems.push(format!(
                "{} has no layer in xtask/src/layers.rs",
                package.name
            ));
            continue;
        };
        for used in package
            .dependencies
            .iter()
            .filter(|name| own.contains(name.as_str()))
        {
            if !layer.may.contains(&used.as_str()) {
                problems.push(format!("{} may not use {used}", package.name));
            }
        }
        problems.extend(linked(package, layer)?);
        if layer.pure {
            problems.extend(effects(package)?);
        }
    }
    Ok(problems)
}

fn linked(package: &Package, layer: &Layer) -> Result<Vec<String>> {
    if layer.never.is_empty() {
        return Ok(Vec::new());
    }
    let tree = output_of(&mut cargo(&[
        "tree",
        "--package",
        &package.name,
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]))?;
    let linked: BTreeSet<&str> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    Ok(layer
        .never
        .iter()
        .filter(|name| linked.contains(*name))
        .map(|name| format!("{} must never link {name}", package.name))
        .collect())
}

fn effects(package: &Package) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for path in crate::workspace::files(&["rs"])? {
        if !path.starts_with(package.directory.join("src")) || crate::rooms::is_test_file(&path) {
            continue;
        }
        let text = std::fs::read_to_string(&path)?;
        for (number, line) in without_tests(&text).enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for word in EFFECT_WORDS.iter().filter(|word| line.contains(*word)) {
                problems.push(format!(
                    "{}:{}: {} is pure and may not use {word}",
                    relative(&path),
                    number + 1,
                    package.name
                ));
            }
        }
    }
    Ok(problems)
}
