//! Any history against what must hold of every frame that leaves.

use super::*;

/// What happens to a station.
#[derive(Debug, Clone)]
enum Step {
    /// It is told what it owns: for how long, in ms, and whether to probe first.
    Own(Vec<(usize, Option<u64>, bool)>),
    /// It hears one of [`words`].
    Hear(usize),
    /// It is asked to ask.
    Ask(usize),
    AskGateways,
    AnnounceAgain(usize),
    /// An address lasts longer, in ms.
    Renew(usize, u64),
    /// The interface comes up again, or has other gateways.
    Change(u64, bool),
    /// Time passes, in ms; the shell polls whenever it is told to.
    Wait(u64),
}

fn addresses() -> [IpAddr; 4] {
    [
        VIP.into(),
        VIP6.into(),
        Ipv4Addr::new(192, 0, 2, 11).into(),
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x11).into(),
    ]
}

fn words() -> Vec<Frame> {
    vec![
        request(CLIENT, ASKER, VIP).frame(Mac::BROADCAST, ASKER),
        request(Ipv4Addr::UNSPECIFIED, ASKER, VIP).frame(Mac::BROADCAST, ASKER),
        Arp::gratuitous_request(VIP, FOREIGN),
        Arp::gratuitous_request(VIP, ROUTER),
        solicitation(CLIENT6, solicited_node(VIP6), Some(ASKER)),
        solicitation(Ipv6Addr::UNSPECIFIED, solicited_node(VIP6), None),
        Advertisement::unsolicited(VIP6, CLIENT6, FOREIGN),
        acknowledgement(VIP.into()),
        acknowledgement(VIP6.into()),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let until = proptest::option::of(prop_oneof![Just(0), 1..300_u64, 300..100_000_u64]);
    let owned = proptest::collection::vec((0..4_usize, until, any::<bool>()), 0..4);
    prop_oneof![
        3 => owned.prop_map(Step::Own),
        4 => (0..9_usize).prop_map(Step::Hear),
        1 => (0..4_usize).prop_map(Step::Ask),
        1 => Just(Step::AskGateways),
        1 => (0..4_usize).prop_map(Step::AnnounceAgain),
        2 => (0..4_usize, 0..100_000_u64).prop_map(|(which, after)| Step::Renew(which, after)),
        1 => (1..4_u64, any::<bool>()).prop_map(|(epoch, gateways)| Step::Change(epoch, gateways)),
        4 => prop_oneof![0..50_u64, 50..2_000_u64, 2_000..70_000_u64].prop_map(Step::Wait),
    ]
}

/// The address that a frame says is ours; None: it asks, and says nothing.
fn announced(frame: &Frame) -> Option<IpAddr> {
    let bytes = frame.bytes();
    if bytes[12..14] == [0x08, 0x06] {
        let arp = Arp::parse(&bytes[14..]).expect("valid");
        return (!arp.sender_ip.is_unspecified()).then_some(arp.sender_ip.into());
    }
    match Message::parse(&bytes[14..]).expect("valid") {
        Message::Advertisement(said) => Some(said.target.into()),
        Message::Solicitation(asked) => (!asked.source.is_unspecified()
            && asked.source != LINK_LOCAL)
            .then_some(asked.source.into()),
    }
}

struct World {
    station: Station,
    now: Instant,
    limits: Limits,
    sent: Vec<Instant>,
}

impl World {
    fn may_say(&self, address: IpAddr) -> bool {
        let owned = self.station.owned.get(&address);
        owned.is_some_and(|owned| {
            owned.interfaces.contains(&LAN) && owned.until.is_none_or(|until| self.now < until)
        }) && !self.station.announcer.is_unproven((address, LAN))
    }

    fn poll(&mut self) {
        while let Some(transmit) = self.station.poll_transmit(self.now) {
            assert_eq!(transmit.interface, LAN);
            if let Some(address) = announced(&transmit.frame) {
                assert!(self.may_say(address), "{address} is not ours to announce");
            }
            self.sent.push(self.now);
        }
        let due = self.station.poll_timeout();
        assert!(due.is_none_or(|due| due > self.now), "no spinning");
    }

    fn wait(&mut self, length: Duration) {
        let end = self.now + length;
        self.poll();
        while let Some(due) = self.station.poll_timeout().filter(|due| *due <= end) {
            self.now = due;
            self.poll();
        }
        self.now = end;
        self.poll();
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Own(owned) => {
                let owned = owned.iter().map(|(which, until, probe_first)| {
                    let owned = Owned {
                        until: until.map(|after| self.now + ms(after)),
                        probe_first: *probe_first,
                        ..on(&[LAN])
                    };
                    (addresses()[*which], owned)
                });
                self.station.set_owned(owned.collect());
            }
            Step::Hear(which) => {
                let frame = words()[*which];
                if let Ok(answer) = hear(&mut self.station, &frame, self.now) {
                    let address = announced(&answer.frame).expect("an answer announces");
                    assert!(self.may_say(address), "{address} is not ours to answer for");
                }
            }
            Step::Ask(which) => self.station.ask(addresses()[*which], LAN),
            Step::AskGateways => self.station.ask_gateways(LAN),
            Step::AnnounceAgain(which) => self.station.announce_again(addresses()[*which]),
            Step::Renew(which, after) => {
                let until = self.now + ms(*after);
                self.station.renew(addresses()[*which], until);
            }
            Step::Change(epoch, gateways) => {
                let gateways = [GATEWAY.into(), GATEWAY6.into()]
                    .into_iter()
                    .filter(|_| *gateways)
                    .collect();
                let interface = Interface {
                    epoch: *epoch,
                    gateways,
                    ..lan()
                };
                self.station
                    .set_interfaces(BTreeMap::from([(LAN, interface)]));
            }
            Step::Wait(length) => self.wait(ms(*length)),
        }
        self.poll();
    }

    fn check_budget(&self) {
        let allowed = usize::try_from(self.limits.burst_per_second).expect("small");
        for (index, from) in self.sent.iter().enumerate() {
            if let Some(next) = self.sent.get(index + allowed) {
                assert!(*next - *from >= ms(1_000), "{allowed} frames in a second");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Nothing is said of what is not owned, in time and proven at that moment; no second holds more
    /// frames than allowed; and the shell is never told to come back at once for nothing.
    #[test]
    fn whatever_happens_only_what_is_owned_is_announced_and_within_the_budget(
        steps in proptest::collection::vec(step(), 1..40),
        per_second in prop_oneof![Just(10_u32), Just(64)],
    ) {
        let limits = Limits { burst_per_second: per_second, refresh_per_second: 2 };
        let mut station = idle();
        station.set_limits(limits);
        station.set_peers(BTreeSet::from([ROUTER]));
        station.set_watched(addresses().into());
        for client in 100..120 {
            let client = Ipv4Addr::new(192, 0, 2, client);
            let ask = request(client, ASKER, VIP).frame(Mac::BROADCAST, ASKER);
            let _ = hear(&mut station, &ask, origin());
        }
        let mut world = World { station, now: origin(), limits, sent: vec![] };
        for step in &steps {
            world.apply(step);
        }
        world.wait(Duration::from_secs(200));
        world.check_budget();
    }
}
