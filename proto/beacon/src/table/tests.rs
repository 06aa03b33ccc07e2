use super::*;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const ME: NodeId = 9;
const HEARD: Sight = Sight {
    silent: false,
    life: Some(1),
};

fn claim(epoch: u64, owner: NodeId, life: Life) -> Claim {
    Claim { epoch, owner, life }
}

fn vote(record: Claim, released: Claim) -> Vote {
    Vote {
        record,
        released,
        changed: 1,
    }
}

#[test]
fn a_vote_for_a_heard_owner_changes_only_by_its_word() {
    let held = vote(claim(5, 1, 1), Claim::default());
    let silent = Sight {
        silent: true,
        ..HEARD
    };
    let reborn = Sight {
        life: Some(2),
        ..HEARD
    };
    let other = claim(6, 2, 1);
    assert!(!held.may_become(ME, other, HEARD));
    assert!(held.may_become(ME, other, silent), "R2 b");
    assert!(held.may_become(ME, other, reborn), "R2 c, a newer life");
    assert!(held.may_become(ME, claim(6, 1, 1), HEARD), "R2 d");
    assert!(!held.may_become(ME, claim(6, 1, 0), silent), "R4");
    assert!(!held.may_become(ME, claim(5, 2, 1), silent), "equal epoch");
    assert!(!held.may_become(ME, claim(4, 2, 1), silent), "lower epoch");
}

#[test]
fn a_release_counts_for_the_very_claim_it_names() {
    let other = claim(6, 2, 1);
    let exact = vote(claim(5, 1, 1), claim(5, 1, 1));
    assert!(exact.may_become(ME, other, HEARD));
    for near in [
        claim(4, 1, 1),
        claim(5, 1, 0),
        claim(5, 3, 1),
        claim(6, 1, 1),
    ] {
        assert!(!vote(claim(5, 1, 1), near).may_become(ME, other, HEARD));
    }
}

#[test]
fn pages_tell_every_change_once_however_small_they_are() {
    let mut table = Table::default();
    let address = |last| IpAddr::from([192, 0, 2, last]);
    for last in [1, 2, 3, 1, 4, 2] {
        let epoch = table.version() + 1;
        table.record(address(last), claim(epoch, 1, 1));
    }
    for room in (100..400).step_by(50) {
        let mut told = BTreeMap::new();
        let mut base = 0;
        while base < table.version() {
            let (entries, complete) = table.page(base, Space::new(room));
            assert!(complete > base);
            for entry in entries {
                assert!(told.insert(entry.address, entry.record).is_none());
            }
            base = complete;
        }
        let epochs: Vec<u64> = told.values().map(|claim| claim.epoch).collect();
        assert_eq!(epochs, [4, 6, 3, 5], "room {room}");
    }
}

#[test]
fn the_release_of_the_record_is_not_displaced() {
    let mut table = Table::default();
    table.record(HERE, claim(5, 1, 1));
    table.release(HERE, claim(5, 1, 1));
    let version = table.version();
    table.release(HERE, claim(7, 2, 1));
    table.release(HERE, claim(5, 1, 1));
    assert_eq!(table.vote(HERE).released, claim(5, 1, 1));
    assert_eq!(table.version(), version, "nothing changed");
}
