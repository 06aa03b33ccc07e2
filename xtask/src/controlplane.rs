//! Where the lab's control plane comes from, in this order: `$HERALD_CONTROLPLANE` (one binary) or
//! `$KUBEBUILDER_ASSETS` (a directory with all five programs); the cache of an earlier build;
//! `go build` of `tests/controlplane`; else a sentence that says what to install.
//!
//! Official release binaries are not downloaded: their checksums are not pinned here.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::clock::Stopwatch;
use crate::workspace::{output_of, relative, root};

const PROGRAMS: [&str; 5] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kubectl",
];

/// The Kubernetes release, as in `tests/controlplane/go.mod`.
const VERSION: [&str; 3] = ["1", "36", "3"];

/// The Go line the module is known to build well with (1.27 breaks the API server's OpenAPI), and the
/// release of it to ask for when another one is on the PATH.
const GO_LINE: &str = "go1.26";
const GO: &str = "go1.26.8";

/// The environment that tells the lab which control plane to run. Says which it took.
pub(crate) fn find() -> Result<(&'static str, OsString)> {
    if let Some(path) = given("HERALD_CONTROLPLANE") {
        eprintln!("control plane: HERALD_CONTROLPLANE={}", path.display());
        return Ok(("HERALD_CONTROLPLANE", path.into()));
    }
    if let Some(directory) = given("KUBEBUILDER_ASSETS") {
        match PROGRAMS.iter().find(|name| !directory.join(name).is_file()) {
            None => {
                eprintln!("control plane: KUBEBUILDER_ASSETS={}", directory.display());
                return Ok(("KUBEBUILDER_ASSETS", directory.into()));
            }
            Some(missing) => {
                eprintln!("control plane: KUBEBUILDER_ASSETS has no {missing}, so it is not used");
            }
        }
    }
    let sources = sources_key()?;
    let cache = root().join("target/controlplane");
    let go = go_version();
    let binary = match &go {
        Some(go) => cache.join(format!("{sources}-{go}")).join("controlplane"),
        None => any_build(&cache, &sources).unwrap_or_default(),
    };
    if binary.is_file() {
        eprintln!("control plane: {} (built earlier)", relative(&binary));
        return Ok(("HERALD_CONTROLPLANE", binary.into()));
    }
    let Some(go) = go else {
        bail!(
            "the lab needs Kubernetes' control plane: install Go 1.26 (https://go.dev/dl) and it is built \
             from source, or set KUBEBUILDER_ASSETS to a directory with {}",
            PROGRAMS.join(", ")
        );
    };
    build(&go, &binary)?;
    Ok(("HERALD_CONTROLPLANE", binary.into()))
}

fn given(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

fn module() -> PathBuf {
    root().join("tests/controlplane")
}

/// `go`, held to the line that works.
fn go() -> Command {
    let mut command = Command::new("go");
    command
        .current_dir(module())
        .stdin(Stdio::null())
        .env("CGO_ENABLED", "0");
    let installed = Command::new("go")
        .args(["env", "GOVERSION"])
        .current_dir("/")
        .env("GOTOOLCHAIN", "local")
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default();
    if !installed.starts_with(GO_LINE) {
        command.env("GOTOOLCHAIN", GO);
    }
    command
}

/// The version that would build, if there is a Go at all.
fn go_version() -> Option<String> {
    let version = output_of(go().args(["env", "GOVERSION"])).ok()?;
    let version = version.trim();
    version.starts_with(GO_LINE).then(|| version.to_owned())
}

/// A key of what the binary is made of (FNV-1a, 64 bits; a cache key, not a checksum).
fn sources_key() -> Result<String> {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for name in ["go.mod", "go.sum", "main.go"] {
        let path = module().join(name);
        let bytes =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        for byte in bytes {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    Ok(format!("{hash:016x}"))
}

/// A cached build of these sources by whichever Go.
fn any_build(cache: &Path, sources: &str) -> Option<PathBuf> {
    std::fs::read_dir(cache).ok()?.flatten().find_map(|entry| {
        let binary = entry.path().join("controlplane");
        let same = entry.file_name().to_string_lossy().starts_with(sources);
        (same && binary.is_file()).then_some(binary)
    })
}

fn build(go_version: &str, binary: &Path) -> Result<()> {
    eprintln!(
        "control plane: building Kubernetes v{} with {go_version} (minutes, once)",
        VERSION.join(".")
    );
    let watch = Stopwatch::start();
    let listed = output_of(go().args(["list", "-deps", "."]))
        .context("the sources of the control plane cannot be fetched")?;
    let total = listed.lines().count();
    let partial = binary.with_extension("partial");
    let stamp = |key: &str, value: &str| {
        format!(
            "-X k8s.io/component-base/version.{key}={value} -X k8s.io/client-go/pkg/version.{key}={value}"
        )
    };
    let flags = [
        "-s -w".to_owned(),
        stamp("gitVersion", &format!("v{}", VERSION.join("."))),
        stamp("gitMajor", VERSION[0]),
        stamp("gitMinor", VERSION[1]),
    ]
    .join(" ");
    let mut child = go()
        .args(["build", "-trimpath", "-v", "-ldflags", &flags, "-o"])
        .arg(&partial)
        .arg(".")
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start go")?;
    let (mut done, mut said, mut last) = (0, Duration::ZERO, Vec::new());
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).lines() {
            done += 1;
            last.push(line?);
            if last.len() > 10 {
                last.remove(0);
            }
            if watch.elapsed() > said + Duration::from_secs(10) {
                said = watch.elapsed();
                eprintln!(
                    "  {:4.0} s  {done} of at most {total} packages",
                    said.as_secs_f64()
                );
            }
        }
    }
    if !child.wait()?.success() {
        bail!("the control plane does not build:\n{}", last.join("\n"));
    }
    std::fs::rename(&partial, binary)?;
    eprintln!(
        "control plane: built in {:.0} s",
        watch.elapsed().as_secs_f64()
    );
    Ok(())
}
