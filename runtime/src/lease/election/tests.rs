//! The election against client-go's rules, and two replicas against a Lease in virtual time.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn start() -> Instant {
    crate::clock::now()
}

fn record(version: u64, holder: &str) -> Record {
    Record {
        version: version.to_string(),
        holder: holder.to_owned(),
        duration: 15 * SECOND,
        transitions: 3,
    }
}

fn election(identity: &str) -> Election {
    Election::new(identity.to_owned(), Timing::default())
}

#[test]
fn nothing_is_done_before_the_lease_was_read() {
    assert_eq!(election("a").next_move(start()), Move::Wait);
}

#[test]
fn a_missing_lease_is_created() {
    let mut a = election("a");
    a.observe(None, start());
    assert_eq!(a.next_move(start()), Move::Create { transitions: 0 });
}

#[test]
fn a_record_of_another_expires_by_our_clock_since_we_first_saw_it() {
    let t = start();
    let mut a = election("a");
    a.observe(Some(record(1, "b")), t);
    a.observe(Some(record(1, "b")), t + 14 * SECOND);
    assert_eq!(a.next_move(t + 14 * SECOND), Move::Wait);
    assert_eq!(a.next_move(t + 15 * SECOND), Move::Write { transitions: 4 });
}

#[test]
fn a_renewal_by_another_restarts_the_wait() {
    let t = start();
    let mut a = election("a");
    a.observe(Some(record(1, "b")), t);
    a.observe(Some(record(2, "b")), t + 10 * SECOND);
    assert_eq!(a.next_move(t + 20 * SECOND), Move::Wait);
}

#[test]
fn a_released_lease_is_taken_at_once() {
    let mut a = election("a");
    a.observe(Some(record(1, "")), start());
    assert_eq!(a.next_move(start()), Move::Write { transitions: 4 });
}

#[test]
fn our_name_in_the_lease_is_not_yet_holding_it() {
    let t = start();
    let mut a = election("a");
    a.observe(Some(record(1, "a")), t);
    assert!(!a.holds(t), "a restarted replica must renew before it acts");
    assert_eq!(a.next_move(t), Move::Write { transitions: 3 });
}

#[test]
fn holding_ends_at_the_renew_deadline_counted_from_the_request() {
    let t = start();
    let mut a = election("a");
    a.written(record(2, "a"), t);
    assert!(a.holds(t + 9 * SECOND));
    assert!(!a.holds(t + 10 * SECOND));
    assert_eq!(
        a.pause(t + 9 * SECOND),
        SECOND,
        "wakes up in time to say so"
    );
}

#[test]
fn seeing_another_holder_ends_holding_at_once() {
    let t = start();
    let mut a = election("a");
    a.written(record(2, "a"), t);
    a.observe(Some(record(3, "b")), t + SECOND);
    assert!(!a.holds(t + SECOND));
}

/// A plain Lease: writes succeed only on the version they name.
struct Server {
    version: u64,
    holder: String,
}

impl Server {
    fn record(&self) -> Record {
        record(self.version, &self.holder)
    }

    fn write(&mut self, version: &str, holder: &str) -> bool {
        let current = self.version.to_string() == version;
        if current {
            self.version += 1;
            self.holder = holder.to_owned();
        }
        current
    }
}

#[test]
fn two_replicas_never_hold_at_once_whatever_requests_are_lost() {
    for seed in 0..500_u64 {
        let t0 = start();
        let mut server = Server {
            version: 1,
            holder: String::new(),
        };
        let mut replicas = [election("a"), election("b")];
        let mut dice = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut roll = || {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            dice
        };
        for tick in 0..400_u32 {
            let now = t0 + tick * Duration::from_millis(500);
            for replica in &mut replicas {
                if !roll().is_multiple_of(4) {
                    continue;
                }
                let seen = server.record();
                replica.observe(Some(seen.clone()), now);
                let Move::Write { .. } = replica.next_move(now) else {
                    continue;
                };
                let request_arrives = !roll().is_multiple_of(3);
                let answer_arrives = !roll().is_multiple_of(3);
                let accepted = request_arrives && server.write(&seen.version, &replica.identity);
                if accepted && answer_arrives {
                    replica.written(server.record(), now);
                }
            }
            let holders = replicas.iter().filter(|replica| replica.holds(now)).count();
            assert!(holders <= 1, "seed {seed}, tick {tick}: both hold");
        }
    }
}

#[test]
fn a_lease_of_another_length_is_divided_as_the_default_one() {
    let default = Timing::default();
    let same = Timing::lasting(Duration::from_secs(15));
    let parts = |timing: Timing| (timing.duration, timing.renew_deadline, timing.retry);
    assert_eq!(parts(same), parts(default));
    let shortest = Timing::lasting(Duration::from_secs(1));
    assert_eq!(
        parts(shortest),
        (
            Duration::from_secs(3),
            Duration::from_secs(2),
            Duration::from_millis(400)
        )
    );
}
