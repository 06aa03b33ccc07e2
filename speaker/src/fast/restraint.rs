//! Keeps the thread from spinning. It goes before everything else on its processor, so a descriptor that
//! stays readable, or a timer that stays due, would take that processor from the node for good.

use std::time::Duration;

/// So many times in a row may waiting end at once with nothing to do.
const PATIENCE: u32 = 16;
/// Waiting that lasted as long did wait.
const MOMENT: Duration = Duration::from_micros(200);
/// How long the thread sleeps, whatever is ready, once it is found to spin.
pub(super) const PAUSE: Duration = Duration::from_millis(1);

/// What the last rounds were good for.
#[derive(Debug, Default)]
pub(super) struct Restraint {
    fruitless: u32,
}

impl Restraint {
    /// After a round that read or sent something (`worked`) or not, and then `waited` so long: whether
    /// the thread has to pause.
    pub(super) fn holds_back(&mut self, worked: bool, waited: Duration) -> bool {
        self.fruitless = if worked || waited >= MOMENT {
            0
        } else {
            self.fruitless.saturating_add(1)
        };
        self.fruitless > PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Duration = Duration::from_micros(2);

    #[test]
    fn who_is_woken_for_nothing_again_and_again_pauses() {
        let mut restraint = Restraint::default();
        let pauses = (0..100).filter(|_| restraint.holds_back(false, AT_ONCE));
        assert_eq!(pauses.count(), 100 - PATIENCE as usize);
    }

    #[test]
    fn who_works_or_waits_never_pauses() {
        let mut restraint = Restraint::default();
        for round in 0..1000 {
            let fruitful = round % 10 == 0;
            assert!(!restraint.holds_back(fruitful, AT_ONCE));
        }
        for _ in 0..1000 {
            assert!(!restraint.holds_back(false, MOMENT));
        }
    }
}
