//! `crdgen [--check] DIR`: writes the CRD manifests into DIR, or says which one differs.
//!
//! Exit code 0 when DIR is (or was made) right, 1 with one sentence otherwise.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: crdgen [--check] DIR";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["--check", dir] => check(Path::new(dir)),
        [dir] if !dir.starts_with('-') => write(Path::new(dir)),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::FAILURE
        }
    }
}

fn manifests(dir: &Path) -> Result<Vec<(PathBuf, String)>, String> {
    herald_crds::all()
        .iter()
        .map(|crd| {
            let path = dir.join(herald_crds::file_name(crd));
            let text = herald_crds::yaml(crd).map_err(|e| format!("{}: {e}", path.display()))?;
            Ok((path, text))
        })
        .collect()
}

fn write(dir: &Path) -> Result<(), String> {
    std::fs::create_dir_all(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    for (path, text) in manifests(dir)? {
        std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

fn check(dir: &Path) -> Result<(), String> {
    for (path, text) in manifests(dir)? {
        let stored = std::fs::read_to_string(&path)
            .map_err(|e| format!("{}: {e}; run crdgen {}", path.display(), dir.display()))?;
        if stored != text {
            return Err(format!(
                "{} differs from the types in crds/; run crdgen {}",
                path.display(),
                dir.display()
            ));
        }
    }
    Ok(())
}
