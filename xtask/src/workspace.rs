//! What cargo and the file system say about the workspace.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The manifest of the fuzz targets, which are a workspace of their own.
pub(crate) const FUZZ_TARGETS: &str = "tests/fuzz/Cargo.toml";

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// `cargo` in the root, the one that runs this program. What cargo told this program about itself is
/// kept from it: build scripts that look (ring's) would run again each time.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let shown = name.to_string_lossy();
        if shown.starts_with("CARGO_PKG_") || shown.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::null());
    command
}

/// Standard output of a command that succeeds, or its standard error as the error.
pub(crate) fn output_of(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .with_context(|| format!("cannot start {name}"))?;
    if !output.status.success() {
        bail!(
            "{name} failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A package as `cargo metadata` describes it.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) licence: Option<String>,
    /// Names of its normal and build dependencies as declared.
    pub(crate) dependencies: Vec<String>,
    /// Root files of its targets.
    pub(crate) targets: Vec<PathBuf>,
    /// Its directory.
    pub(crate) directory: PathBuf,
}

/// The result of `cargo metadata`.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) packages: BTreeMap<String, Package>,
    pub(crate) members: Vec<String>,
    /// Package to packages it links or runs at build time, without dev-dependencies.
    pub(crate) graph: BTreeMap<String, Vec<String>>,
    /// Root files of the fuzz targets, which are a workspace of their own.
    pub(crate) apart: Vec<PathBuf>,
}

impl Metadata {
    pub(crate) fn load() -> Result<Self> {
        let text = output_of(&mut cargo(&["metadata", "--format-version=1", "--locked"]))
            .or_else(|_| output_of(&mut cargo(&["metadata", "--format-version=1"])))?;
        let value: Value = serde_json::from_str(&text)?;
        let packages = array(&value["packages"])
            .map(|package| (text_of(&package["id"]), package_of(package)))
            .collect();
        let graph = array(&value["resolve"]["nodes"])
            .map(|node| (text_of(&node["id"]), normal_dependencies(node)))
            .collect();
        let members = array(&value["workspace_members"]).map(text_of).collect();
        // Without dependencies, so that nothing is fetched that only fuzzing needs.
        let apart = output_of(&mut cargo(&[
            "metadata",
            "--format-version=1",
            "--no-deps",
            "--manifest-path",
            FUZZ_TARGETS,
        ]))?;
        let apart: Value = serde_json::from_str(&apart)?;
        let apart = array(&apart["packages"]).map(package_of);
        Ok(Self {
            packages,
            members,
            graph,
            apart: apart.flat_map(|package| package.targets).collect(),
        })
    }

    /// The workspace's own packages.
    pub(crate) fn own(&self) -> impl Iterator<Item = &Package> {
        self.members.iter().filter_map(|id| self.packages.get(id))
    }
}

/// Every file under the root with one of these extensions, without build products, sorted.
pub(crate) fn files(extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![root()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() {
                if name != "target" && name != ".git" && name != "node_modules" {
                    open.push(path);
                }
            } else if path
                .extension()
                .is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted))
            {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// A path as people read it.
pub(crate) fn relative(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

fn package_of(package: &Value) -> Package {
    let manifest = PathBuf::from(text_of(&package["manifest_path"]));
    Package {
        name: text_of(&package["name"]),
        version: text_of(&package["version"]),
        licence: package["license"].as_str().map(str::to_owned),
        dependencies: array(&package["dependencies"])
            .filter(|dependency| dependency["kind"] != "dev")
            .map(|dependency| text_of(&dependency["name"]))
            .collect(),
        targets: array(&package["targets"])
            .map(|target| PathBuf::from(text_of(&target["src_path"])))
            .collect(),
        directory: manifest.parent().map(Path::to_path_buf).unwrap_or_default(),
    }
}

fn normal_dependencies(node: &Value) -> Vec<String> {
    array(&node["deps"])
        .filter(|dependency| array(&dependency["dep_kinds"]).any(|kind| kind["kind"] != "dev"))
        .map(|dependency| text_of(&dependency["pkg"]))
        .collect()
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
