//! What the neighbour's state makes of ours (RFC 5880 sections 6.2 and 6.8.6), as a table.

use crate::State::{self, AdminDown, Down, Init, Up};

/// The state after a packet of a neighbour that is in the state `theirs`.
pub(crate) const fn next(ours: State, theirs: State) -> State {
    match (ours, theirs) {
        (AdminDown, AdminDown | Down | Init | Up) => AdminDown,
        (Down, AdminDown | Up) => Down,
        (Down, Down) => Init,
        (Down, Init) => Up,
        (Init, AdminDown) => Down,
        (Init, Down) => Init,
        (Init, Init | Up) => Up,
        (Up, AdminDown | Down) => Down,
        (Up, Init | Up) => Up,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Typed from the pseudocode of RFC 5880 section 6.8.6 and the figure of 6.2, all of it.
    const CASES: [(State, State, State); 16] = [
        (AdminDown, AdminDown, AdminDown),
        (AdminDown, Down, AdminDown),
        (AdminDown, Init, AdminDown),
        (AdminDown, Up, AdminDown),
        (Down, AdminDown, Down),
        (Down, Down, Init),
        (Down, Init, Up),
        (Down, Up, Down),
        (Init, AdminDown, Down),
        (Init, Down, Init),
        (Init, Init, Up),
        (Init, Up, Up),
        (Up, AdminDown, Down),
        (Up, Down, Down),
        (Up, Init, Up),
        (Up, Up, Up),
    ];

    #[test]
    fn each_state_answers_each_state_as_the_rfc_says() {
        for (ours, theirs, after) in CASES {
            assert_eq!(next(ours, theirs), after, "{ours} hears {theirs}");
        }
    }
}
