//! Which tests of a run failed and what they said, to be told once more at the end: the last lines
//! of a log are what people see first.
//!
//! Two forms are known. The lab prints `test NAME ... FAILED (1.0 s)` and below it, indented, why;
//! `UNSTEADY` in its place when it is to be run again. cargo prints `test NAME ... FAILED` at once and `---- NAME stdout ----` with what the test said when
//! all have run.

const VERDICTS: [&str; 2] = ["FAILED", "UNSTEADY"];

/// Lines kept of each test; more is above in the log.
const LINES: usize = 40;

/// A test that failed and what it said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// `FAILED` or `UNSTEADY`.
    pub(crate) verdict: &'static str,
    pub(crate) test: String,
    pub(crate) lines: Vec<String>,
}

/// The failures found in the lines read so far.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    found: Vec<Failure>,
    open: Open,
}

/// Which lines belong to a failure.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Open {
    #[default]
    Nothing,
    /// Indented ones belong to the failure found last.
    Indented,
    /// Those up to the next heading belong to this failure.
    Section(usize),
}

impl Failures {
    /// Reads the next line of the output.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some((verdict, test)) = failed_test(line) {
            self.found.push(Failure {
                verdict,
                test: test.to_owned(),
                lines: Vec::new(),
            });
            self.open = Open::Indented;
        } else if let Some(test) = section(line) {
            let found = self.found.iter().position(|failure| failure.test == test);
            self.open = found.map_or(Open::Nothing, Open::Section);
        } else if let Some(failure) = self.belongs(line) {
            if failure.lines.len() < LINES && !line.trim().is_empty() {
                failure.lines.push(line.trim_end().to_owned());
            }
        } else {
            self.open = Open::Nothing;
        }
    }

    /// The failures in the order they were found.
    pub(crate) fn found(self) -> Vec<Failure> {
        self.found
    }

    fn belongs(&mut self, line: &str) -> Option<&mut Failure> {
        match self.open {
            Open::Indented if line.starts_with("    ") => self.found.last_mut(),
            Open::Section(at) if line != "failures:" => self.found.get_mut(at),
            Open::Nothing | Open::Indented | Open::Section(_) => None,
        }
    }
}

fn failed_test(line: &str) -> Option<(&'static str, &str)> {
    let (test, rest) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let word = rest.split_once(" (").map_or(rest, |(word, _)| word);
    let verdict = VERDICTS.into_iter().find(|verdict| *verdict == word)?;
    Some((verdict, test))
}

fn section(line: &str) -> Option<&str> {
    line.strip_prefix("---- ")?.strip_suffix(" stdout ----")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(output: &str) -> Vec<Failure> {
        let mut failures = Failures::default();
        output.lines().for_each(|line| failures.read(line));
        failures.found()
    }

    fn failure(test: &str, lines: &[&str]) -> Failure {
        Failure {
            verdict: "FAILED",
            test: test.to_owned(),
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        }
    }

    #[test]
    fn what_the_lab_says_below_a_failure_is_kept() {
        let output = "test a ... ok (1.0 s)\n    a note\ntest b ... FAILED (2.0 s)\n    no answer\n      \
                      speaker: line\ntest c ... ok (1.0 s)\n    note of c\n1 passed, 1 failed, 0 skipped";
        let wanted = failure("b", &["    no answer", "      speaker: line"]);
        assert_eq!(read(output), [wanted]);
    }

    #[test]
    fn a_test_that_is_run_again_is_told_of() {
        let output = "test a ... UNSTEADY (2.0 s)\n    no answer\ntest a ... ok (1.0 s)";
        let wanted = Failure {
            verdict: "UNSTEADY",
            ..failure("a", &["    no answer"])
        };
        assert_eq!(read(output), [wanted]);
    }

    #[test]
    fn what_a_unit_test_said_is_found_below_its_heading() {
        let output = "test m::a ... FAILED\ntest m::b ... ok\ntest m::c ... FAILED\n\nfailures:\n\n\
                      ---- m::c stdout ----\n\nassertion\n  left: 1\n\n---- m::a stdout ----\nboom\n\n\
                      failures:\n    m::a\n    m::c\n\ntest result: FAILED. 1 passed; 2 failed";
        let wanted = [
            failure("m::a", &["boom"]),
            failure("m::c", &["assertion", "  left: 1"]),
        ];
        assert_eq!(read(output), wanted);
    }

    #[test]
    fn no_failure_keeps_more_lines_than_a_screen() {
        let output = format!("test a ... FAILED (1 s)\n{}", "    x\n".repeat(500));
        assert_eq!(read(&output)[0].lines.len(), LINES);
    }
}
