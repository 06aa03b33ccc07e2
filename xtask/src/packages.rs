//! The machine's programs: which are needed, and getting the missing ones.
//!
//! Only apt-get is driven, only as root (or through `sudo -n`), and never silently. Elsewhere one
//! sentence says what to install.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

struct Needed {
    program: &'static str,
    package: &'static str,
    /// Without it the lab does not start; without the others a check is skipped.
    required: bool,
    /// The package starts a daemon when it is installed, unless the machine forbids that: so it is
    /// installed only where it is forbidden, as in containers.
    daemon: bool,
}

/// Says whether packages may start daemons; where it is, they may not.
const POLICY: &str = "/usr/sbin/policy-rc.d";

const NEEDED: &[Needed] = &[
    Needed {
        program: "ip",
        package: "iproute2",
        required: true,
        daemon: false,
    },
    Needed {
        program: "nft",
        package: "nftables",
        required: true,
        daemon: false,
    },
    Needed {
        program: "unshare",
        package: "util-linux",
        required: true,
        daemon: false,
    },
    Needed {
        program: "nsenter",
        package: "util-linux",
        required: true,
        daemon: false,
    },
    Needed {
        program: "openssl",
        package: "openssl",
        required: true,
        daemon: false,
    },
    Needed {
        program: "arping",
        package: "iputils-arping",
        required: false,
        daemon: false,
    },
    Needed {
        program: "tshark",
        package: "tshark",
        required: false,
        daemon: false,
    },
    Needed {
        program: "vtysh",
        package: "frr",
        required: false,
        daemon: true,
    },
    Needed {
        program: "bird",
        package: "bird2",
        required: false,
        daemon: true,
    },
    Needed {
        program: "gobgp",
        package: "gobgpd",
        required: false,
        daemon: true,
    },
    Needed {
        program: "bgpctl",
        package: "openbgpd",
        required: false,
        daemon: true,
    },
    Needed {
        program: "exabgp",
        package: "exabgp",
        required: false,
        daemon: true,
    },
];

/// Installs what is missing. An error means the lab cannot start.
pub(crate) fn ensure() -> Result<()> {
    let missing: Vec<&Needed> = NEEDED
        .iter()
        .filter(|needed| !found(needed.program))
        .collect();
    let (daemons, missing): (Vec<&Needed>, Vec<&Needed>) = missing
        .into_iter()
        .partition(|needed| needed.daemon && !Path::new(POLICY).exists());
    if !daemons.is_empty() {
        let names: Vec<&str> = daemons.iter().map(|needed| needed.package).collect();
        eprintln!(
            "set-up: missing here, and not installed for you, since they would start daemons: {}",
            names.join(" ")
        );
    }
    if missing.is_empty() {
        return Ok(());
    }
    let mut names: Vec<&str> = missing.iter().map(|needed| needed.package).collect();
    names.dedup();
    match installer() {
        Some(prefix) => {
            eprintln!(
                "set-up: installing {} with apt-get (minutes, once)",
                names.join(" ")
            );
            if let Err(error) = install(&prefix, &names) {
                eprintln!("set-up: {error:#}");
            }
        }
        None => eprintln!(
            "set-up: missing here, and not installed for you: {}",
            names.join(" ")
        ),
    }
    let still: Vec<&str> = missing
        .iter()
        .filter(|needed| needed.required && !found(needed.program))
        .map(|needed| needed.package)
        .collect();
    if !still.is_empty() {
        bail!(
            "the lab needs {0}: install it, on Debian and Ubuntu with `sudo apt-get install {0}`",
            still.join(" ")
        );
    }
    Ok(())
}

/// Whether a program is on the PATH or where administrators' programs are.
pub(crate) fn found(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|directory| directory.join(program).is_file())
}

/// What to put before `apt-get`, or nothing where it cannot be used.
fn installer() -> Option<Vec<&'static str>> {
    if !found("apt-get") {
        return None;
    }
    // The owner of /proc/self is who we are.
    let root = std::fs::metadata("/proc/self")
        .is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if root && Path::new("/var/lib/dpkg").exists() {
        return Some(Vec::new());
    }
    let sudo = Command::new("sudo")
        .args(["-n", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    sudo.is_ok_and(|status| status.success())
        .then(|| vec!["sudo", "-n"])
}

fn install(prefix: &[&str], packages: &[&str]) -> Result<()> {
    // A stale list is the usual reason for a failure, so one is fetched when the first try fails.
    if apt(prefix, &["install"], packages).is_err() {
        apt(prefix, &["update"], &[])?;
        apt(prefix, &["install"], packages)?;
    }
    Ok(())
}

fn apt(prefix: &[&str], action: &[&str], packages: &[&str]) -> Result<()> {
    let mut words: Vec<&str> = prefix.to_vec();
    words.extend([
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "-qq",
        "-y",
    ]);
    words.extend(action);
    if !packages.is_empty() {
        words.push("--no-install-recommends");
        words.extend(packages);
    }
    let output = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .output()
        .context("cannot start apt-get")?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!(
            "apt-get {} failed: {}",
            action.join(" "),
            text.trim().lines().last().unwrap_or("")
        );
    }
    Ok(())
}
