//! A run of steps: each is announced, timed and counted; the end is one line.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};

use crate::clock::Stopwatch;
use crate::failures::{Failure, Failures};

/// What was run so far.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    passed: u64,
    failed: u64,
    skipped: u64,
    failures: Vec<Failure>,
    reasons: Vec<String>,
}

/// Numbers a test program reported.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Steps {
    /// A step that is one check: problems fail it, an error too.
    pub(crate) fn check(&mut self, name: &str, work: impl FnOnce() -> Result<Vec<String>>) {
        let watch = Stopwatch::start();
        let problems = match work() {
            Ok(problems) => problems,
            Err(error) => vec![format!("{error:#}")],
        };
        let verdict = if problems.is_empty() { "ok" } else { "FAILED" };
        println!(
            "{name:<28} {verdict:<8} {:6.1} s",
            watch.elapsed().as_secs_f64()
        );
        for problem in &problems {
            println!("    {problem}");
        }
        if problems.is_empty() {
            self.passed += 1;
        } else {
            self.failed += 1;
            self.failures.push(Failure {
                verdict: "FAILED",
                test: name.to_owned(),
                lines: Vec::new(),
            });
        }
    }

    /// A step that is a command: its exit status is the verdict.
    pub(crate) fn command(&mut self, name: &str, command: &mut Command) {
        println!("{name} ...");
        self.check(name, || {
            let status = command.status().context("cannot start it")?;
            Ok(if status.success() {
                Vec::new()
            } else {
                vec![format!("{status}")]
            })
        });
    }

    /// A step that is a program of many tests, whose standard output holds one result line for each
    /// part (`read`). Its output is shown as it comes.
    pub(crate) fn tests(
        &mut self,
        name: &str,
        command: &mut Command,
        read: impl Fn(&str) -> Option<Counts>,
    ) {
        println!("{name} ...");
        let watch = Stopwatch::start();
        let mut failures = Failures::default();
        let result = self.follow(command, read, &mut failures);
        let seconds = watch.elapsed().as_secs_f64();
        let (counts, success) = match result {
            Ok(result) => result,
            Err(error) => {
                println!("    {error:#}");
                (Counts::default(), false)
            }
        };
        self.passed += counts.passed;
        self.skipped += counts.skipped;
        // A program that ends badly without saying which test did is one failure.
        self.failed += if success {
            counts.failed
        } else {
            counts.failed.max(1)
        };
        let good = success && counts.failed == 0;
        if !good {
            self.failures.push(Failure {
                verdict: "FAILED",
                test: name.to_owned(),
                lines: Vec::new(),
            });
        }
        self.failures.extend(failures.found());
        let verdict = if good { "ok" } else { "FAILED" };
        println!(
            "{name:<28} {verdict:<8} {seconds:6.1} s  {} passed",
            counts.passed
        );
    }

    /// A step that was not run, and why.
    pub(crate) fn skip(&mut self, name: &str, reason: &str) {
        self.skipped += 1;
        self.reasons.push(format!("{name}: {reason}"));
    }

    /// Prints what was skipped, what failed and the closing line.
    pub(crate) fn finish(self) -> ExitCode {
        println!();
        for reason in &self.reasons {
            println!("skipped  {reason}");
        }
        for failure in &self.failures {
            println!("{:<8} {}", failure.verdict, failure.test);
            for line in &failure.lines {
                println!("         {line}");
            }
        }
        println!(
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        );
        if self.failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    fn follow(
        &mut self,
        command: &mut Command,
        read: impl Fn(&str) -> Option<Counts>,
        failures: &mut Failures,
    ) -> Result<(Counts, bool)> {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start it")?;
        let mut total = Counts::default();
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).lines() {
                let line = line?;
                failures.read(&line);
                if let Some(counts) = read(&line) {
                    total.passed += counts.passed;
                    total.failed += counts.failed;
                    total.skipped += counts.skipped;
                    continue;
                }
                if let Some((test, reason)) = skipped_test(&line) {
                    self.reasons.push(format!("{test}: {reason}"));
                }
                if worth_showing(&line) {
                    println!("    {line}");
                }
            }
        }
        Ok((total, child.wait()?.success()))
    }
}

/// Passing unit tests are many and say nothing; everything else is shown.
fn worth_showing(line: &str) -> bool {
    let noise = line.is_empty()
        || (line.starts_with("test ") && line.ends_with("... ok"))
        || (line.starts_with("running ") && line.ends_with(['t', 's']));
    !noise
}

fn skipped_test(line: &str) -> Option<(&str, &str)> {
    let (test, rest) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let reason = rest
        .strip_prefix("skipped: ")
        .or_else(|| rest.strip_prefix("ignored, "))
        .or_else(|| (rest == "ignored").then_some("ignored"))?;
    Some((test, reason))
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; …` of cargo.
pub(crate) fn cargo_counts(line: &str) -> Option<Counts> {
    let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
    counts(numbers, ';', "ignored")
}

/// `3 passed, 0 failed, 1 skipped` of the lab.
pub(crate) fn lab_counts(line: &str) -> Option<Counts> {
    counts(line, ',', "skipped").filter(|_| line.ends_with(" skipped"))
}

fn counts(line: &str, separator: char, skipped: &str) -> Option<Counts> {
    let number = |word: &str| {
        line.split(separator)
            .find_map(|part| part.trim().strip_suffix(word)?.trim().parse::<u64>().ok())
    };
    Some(Counts {
        passed: number("passed")?,
        failed: number("failed")?,
        skipped: number(skipped)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_read_and_other_lines_are_not() {
        let cargo =
            "test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out";
        let three = Counts {
            passed: 3,
            failed: 2,
            skipped: 1,
        };
        assert_eq!(cargo_counts(cargo), Some(three));
        assert_eq!(lab_counts("3 passed, 2 failed, 1 skipped"), Some(three));
        assert_eq!(cargo_counts("test a ... ok"), None);
        assert_eq!(lab_counts("3 passed"), None);
    }

    #[test]
    fn a_skipped_test_keeps_its_reason() {
        assert_eq!(
            skipped_test("test a ... skipped: no tshark"),
            Some(("a", "no tshark"))
        );
        assert_eq!(
            skipped_test("test a ... ignored, slow"),
            Some(("a", "slow"))
        );
        assert_eq!(skipped_test("test a ... ok (1.0 s)"), None);
    }
}
