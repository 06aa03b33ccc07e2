//! Files are rooms: their size, their header, whether anything leads to them, and whether the links
//! and the clause ledgers of the documentation lead anywhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::workspace::{Metadata, files, relative};

/// Lines without tests: a room larger than this fails, and than this is remarked upon.
const HARD: usize = 700;
const SOFT: usize = 450;

/// What is wrong, and what is only remarkable.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) problems: Vec<String>,
    pub(crate) remarks: Vec<String>,
}

pub(crate) fn check(metadata: &Metadata) -> Result<Findings> {
    let mut findings = Findings::default();
    let rust = files(&["rs"])?;
    let reachable = reachable(metadata)?;
    let mut functions = BTreeSet::new();
    for path in &rust {
        let text = std::fs::read_to_string(path)?;
        functions.extend(function_names(&text).map(str::to_owned));
        let name = relative(path);
        if !reachable.contains(path) {
            findings
                .problems
                .push(format!("{name}: no target and no `mod` leads here"));
        }
        if is_test_file(path) {
            continue;
        }
        if !text.starts_with("//!") {
            findings
                .problems
                .push(format!("{name}: has no `//!` header that says what it is"));
        }
        match without_tests(&text).count() {
            lines if lines > HARD => {
                findings.problems.push(format!(
                    "{name}: {lines} lines without tests, more than {HARD}"
                ));
            }
            lines if lines > SOFT => {
                findings.remarks.push(format!(
                    "{name}: {lines} lines without tests, more than {SOFT}"
                ));
            }
            _ => {}
        }
    }
    for path in files(&["md"])? {
        let text = std::fs::read_to_string(&path)?;
        findings.problems.extend(dead_links(&path, &text));
        if relative(&path).starts_with("docs/conformance/") {
            findings
                .problems
                .extend(missing_tests(&path, &text, &functions));
        }
    }
    Ok(findings)
}

/// The lines of a file before its inline tests, which stand at the end.
pub(crate) fn without_tests(text: &str) -> impl Iterator<Item = &str> {
    let lines: Vec<&str> = text.lines().collect();
    let end = lines
        .windows(2)
        .position(|pair| pair[0].trim() == "#[cfg(test)]" && pair[1].trim().ends_with('{'))
        .unwrap_or(lines.len());
    lines.into_iter().take(end)
}

/// `foo/tests.rs`, anything under `src/…/tests/`, and integration tests and benches of a crate.
pub(crate) fn is_test_file(path: &Path) -> bool {
    let name = relative(path);
    let mut parts = name.split('/').collect::<Vec<_>>();
    let file = parts.pop().unwrap_or_default();
    if file == "tests.rs" {
        return true;
    }
    // `tests` as the first part is the lab, whose rooms count as any other.
    parts
        .iter()
        .skip(1)
        .any(|part| *part == "tests" || *part == "benches")
}

/// Every file that a target's root leads to.
fn reachable(metadata: &Metadata) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut open: Vec<(PathBuf, bool)> = metadata
        .own()
        .flat_map(|package| &package.targets)
        .chain(&metadata.apart)
        .map(|target| (target.clone(), true))
        .collect();
    while let Some((path, root)) = open.pop() {
        if !path.is_file() || !found.insert(path.clone()) {
            continue;
        }
        let text = std::fs::read_to_string(&path)?;
        let here = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let stem = path.file_stem().unwrap_or_default();
        let below = if root || stem == "mod" {
            here.clone()
        } else {
            here.join(stem)
        };
        let mut elsewhere: Option<PathBuf> = None;
        for line in text.lines().map(str::trim) {
            if let Some(quoted) = line.strip_prefix("#[path") {
                elsewhere = quoted.split('"').nth(1).map(|file| here.join(file));
            } else if let Some(name) = module_name(line) {
                match elsewhere.take() {
                    Some(file) => open.push((file, false)),
                    None => {
                        open.push((below.join(format!("{name}.rs")), false));
                        open.push((below.join(name).join("mod.rs"), false));
                    }
                }
            } else if let Some(rest) = line.split("include!(\"").nth(1) {
                open.extend(rest.split('"').next().map(|file| (here.join(file), false)));
            }
        }
    }
    Ok(found)
}

/// `x` of `mod x;` and `pub(crate) mod x;`.
fn module_name(line: &str) -> Option<&str> {
    let declaration = line.strip_suffix(';')?;
    let (before, name) = declaration.rsplit_once("mod ").or(Some(("", "")))?;
    let visible = before.is_empty() || (before.starts_with("pub") && before.ends_with(' '));
    (visible && !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_'))
        .then_some(name)
}

fn function_names(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let (_, rest) = line.split_once("fn ")?;
        rest.split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .next()
    })
}

/// Relative links of a Markdown file that lead nowhere. Code blocks are not looked at.
fn dead_links(path: &Path, text: &str) -> Vec<String> {
    let here = path.parent().unwrap_or(path);
    let mut problems = Vec::new();
    let mut code = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            code = !code;
        }
        if code {
            continue;
        }
        for target in line
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = target.split_whitespace().next().unwrap_or_default();
            let file = target.split('#').next().unwrap_or_default();
            let elsewhere = target.contains("://") || target.starts_with("mailto:");
            if !elsewhere && !file.is_empty() && !here.join(file).exists() {
                problems.push(format!(
                    "{}:{}: {target} leads nowhere",
                    relative(path),
                    number + 1
                ));
            }
        }
    }
    problems
}

/// Tests that a clause ledger names, in backticks in the last column of its tables, and that do not
/// exist.
fn missing_tests(path: &Path, text: &str, functions: &BTreeSet<String>) -> Vec<String> {
    let mut problems = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let Some(row) = line
            .trim()
            .strip_prefix('|')
            .and_then(|row| row.strip_suffix('|'))
        else {
            continue;
        };
        let last = row.rsplit('|').next().unwrap_or_default();
        for name in last.split('`').skip(1).step_by(2) {
            let function = name.rsplit("::").next().unwrap_or(name);
            if !functions.contains(function) {
                problems.push(format!(
                    "{}:{}: there is no test {name}",
                    relative(path),
                    number + 1
                ));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_module_declarations_lead_to_files() {
        assert_eq!(module_name("mod a;"), Some("a"));
        assert_eq!(module_name("pub(crate) mod a_1;"), Some("a_1"));
        assert_eq!(module_name("use mod a;"), None);
        assert_eq!(module_name("mod a {"), None);
    }

    #[test]
    fn a_ledger_names_tests_that_exist() {
        let functions = BTreeSet::from(["a_reply_is_unicast".to_owned()]);
        let text = "| clause | tests |\n|---|---|\n| 1 | `l2::arp::a_reply_is_unicast`, `gone` |\n";
        let problems = missing_tests(Path::new("x.md"), text, &functions);
        assert_eq!(problems, ["x.md:3: there is no test gone"]);
    }

    #[test]
    fn tests_at_the_end_do_not_count() {
        let text = "//! a\nfn b() {}\n#[cfg(test)]\nmod tests {\n}\n";
        assert_eq!(without_tests(text).count(), 2);
        assert_eq!(
            without_tests("#[cfg(test)]\nmod tests;\nfn b() {}\n").count(),
            3
        );
    }
}
