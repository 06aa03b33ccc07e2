//! Where words go: to standard output for people, to standard error when standard output is for a
//! script that wants figures and nothing else.

use std::sync::atomic::{AtomicBool, Ordering};

static TO_A_SCRIPT: AtomicBool = AtomicBool::new(false);

/// From now on standard output is for figures only.
pub fn leave_output_to_figures() {
    TO_A_SCRIPT.store(true, Ordering::Relaxed);
}

/// One line for people.
pub fn tell(line: &str) {
    if TO_A_SCRIPT.load(Ordering::Relaxed) {
        eprintln!("{line}");
    } else {
        println!("{line}");
    }
}
