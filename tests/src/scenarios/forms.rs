//! What each form of announcement does to the neighbour table of an ordinary Linux host.
//!
//! The frames are those that `herald_l2` makes; the kernel under test is the client's, with default
//! switches (`arp_accept` 0). The expectations are RFC 826 (merge), RFC 5944 section 4.6 and
//! RFC 4861 sections 7.2.3 to 7.2.5.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use herald_l2::arp::{Arp, Operation};
use herald_l2::ndp::{Advertisement, Solicitation};
use herald_l2::{Frame, Mac};

use super::{Stage, expect_same};
use crate::clock::Stopwatch;
use crate::netns::Netns;
use crate::{neigh, wire};

/// Addresses on the LAN that nobody has.
const VIP: Ipv4Addr = Ipv4Addr::new(10, 73, 0, 250);
const VIP6: Ipv6Addr = Ipv6Addr::new(0xfd73, 0, 0, 0, 0, 0, 0, 0xfff0);
/// Where the client believes them to be, and where they are announced from.
const OLD: &str = "02:00:00:00:00:0a";
const NEW: Mac = Mac([2, 0, 0, 0, 0, 0x0b]);
const SOURCE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x0b);

/// How long a kernel gets to take in a frame.
const PATIENCE: Duration = Duration::from_secs(5);

struct Form {
    name: &'static str,
    address: IpAddr,
    frame: Frame,
    /// Whether a host without an entry makes one.
    creates: bool,
}

/// Every form corrects an entry that was confirmed a moment ago; those that ask something create
/// one where there is none.
pub(super) fn each(stage: &mut Stage) -> Result<()> {
    let topology = &stage.lab.topology;
    let (client, node) = (&topology.client, &topology.nodes[0].machine);
    for form in forms(client)? {
        let believed = |address| -> Result<Option<String>> {
            let entry = neigh::entry(client, address)?;
            Ok(entry.and_then(|entry| entry.mac))
        };
        client.ip(&format!(
            "neigh replace {} lladdr {OLD} dev eth0 nud reachable",
            form.address
        ))?;
        wire::send(node, form.frame.bytes())?;
        settle(&form, "corrects", || {
            Ok(believed(form.address)? == Some(NEW.to_string()))
        })?;
        client.ip(&format!("neigh del {} dev eth0", form.address))?;
        wire::send(node, form.frame.bytes())?;
        if form.creates {
            settle(&form, "creates", || {
                Ok(believed(form.address)? == Some(NEW.to_string()))
            })?;
            client.ip(&format!("neigh del {} dev eth0", form.address))?;
        } else {
            // Frames keep their order: once the sentinel's has been taken in, this one has.
            let sentinel = sentinel(form.address);
            wire::send(node, directed(client, sentinel)?.bytes())?;
            settle(&form, "is followed by one that creates", || {
                Ok(believed(sentinel)?.is_some())
            })?;
            client.ip(&format!("neigh del {sentinel} dev eth0"))?;
            if let Some(mac) = believed(form.address)? {
                bail!("{} created an entry for {}: {mac}", form.name, form.address);
            }
        }
    }
    Ok(())
}

/// The control: a gratuitous reply that names everybody as its target, as others send it, is not
/// believed by a host whose entry is fresh. Herald's form is.
pub(super) fn control(stage: &mut Stage) -> Result<()> {
    let topology = &stage.lab.topology;
    let (client, node) = (&topology.client, &topology.nodes[0].machine);
    let address = IpAddr::V4(VIP);
    let reply = Arp {
        operation: Operation::Reply,
        sender_mac: NEW,
        sender_ip: VIP,
        target_mac: Mac::BROADCAST,
        target_ip: VIP,
    };
    client.ip(&format!(
        "neigh replace {address} lladdr {OLD} dev eth0 nud reachable"
    ))?;
    wire::send(node, reply.frame(Mac::BROADCAST, NEW).bytes())?;
    let sentinel = sentinel(address);
    wire::send(node, directed(client, sentinel)?.bytes())?;
    until("the sentinel is not taken in", || {
        Ok(neigh::entry(client, sentinel)?.is_some())
    })?;
    let believed = neigh::entry(client, address)?.and_then(|entry| entry.mac);
    client.ip(&format!("neigh del {sentinel} dev eth0"))?;
    client.ip(&format!("neigh del {address} dev eth0"))?;
    expect_same("the client's entry", &believed.as_deref(), &Some(OLD))
}

/// Another address that nobody has.
fn sentinel(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() + 1)),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() + 1)),
    }
}

fn forms(client: &Netns) -> Result<Vec<Form>> {
    let client_mac = parse(&neigh::own_mac(client)?)?;
    let client6 = own_address(client, true)?;
    let IpAddr::V6(client6) = client6 else {
        bail!("the client has no IPv6 address");
    };
    let ask = |address| directed(client, address);
    let (v4, v6) = (IpAddr::V4(VIP), IpAddr::V6(VIP6));
    let form = |name, address, frame, creates| Form {
        name,
        address,
        frame,
        creates,
    };
    Ok(vec![
        form(
            "gratuitous request",
            v4,
            Arp::gratuitous_request(VIP, NEW),
            false,
        ),
        form(
            "gratuitous reply",
            v4,
            Arp::gratuitous_reply(VIP, NEW, Mac::BROADCAST),
            false,
        ),
        form(
            "gratuitous reply to one host",
            v4,
            Arp::gratuitous_reply(VIP, NEW, client_mac),
            false,
        ),
        form("directed request", v4, ask(v4)?, true),
        form(
            "unsolicited advertisement",
            v6,
            Advertisement::unsolicited(VIP6, SOURCE, NEW),
            false,
        ),
        form(
            "advertisement to one host",
            v6,
            Advertisement::solicited(VIP6, SOURCE, NEW, client6, client_mac),
            false,
        ),
        form("directed solicitation", v6, ask(v6)?, true),
    ])
}

/// The form that asks the client something on behalf of `address`.
fn directed(client: &Netns, address: IpAddr) -> Result<Frame> {
    match (address, own_address(client, address.is_ipv6())?) {
        (IpAddr::V4(address), IpAddr::V4(asked)) => Ok(Arp::directed_request(address, NEW, asked)),
        (IpAddr::V6(address), IpAddr::V6(asked)) => Ok(Solicitation::directed(address, NEW, asked)),
        _ => bail!("the client has no address of the family of {address}"),
    }
}

/// The client's address on the LAN.
fn own_address(client: &Netns, v6: bool) -> Result<IpAddr> {
    let found = client.within(|| -> Result<Option<IpAddr>> {
        let interfaces = nix::ifaddrs::getifaddrs()?.filter(|i| i.interface_name == "eth0");
        let mut addresses = interfaces.filter_map(|interface| {
            let address = interface.address?;
            if let Some(v4) = address.as_sockaddr_in() {
                return Some(IpAddr::V4(v4.ip()));
            }
            let v6 = address.as_sockaddr_in6()?.ip();
            (!v6.is_unicast_link_local()).then_some(IpAddr::V6(v6))
        });
        Ok(addresses.find(|address| address.is_ipv6() == v6))
    })??;
    found.context("the client has no address")
}

fn parse(mac: &str) -> Result<Mac> {
    let octets = mac.split(':').map(|octet| u8::from_str_radix(octet, 16));
    let octets: Vec<u8> = octets.collect::<Result<_, _>>()?;
    let octets = octets.try_into().ok().context("not an Ethernet address")?;
    Ok(Mac(octets))
}

/// Waits until the kernel shows what a form does.
fn settle(form: &Form, verb: &str, done: impl Fn() -> Result<bool>) -> Result<()> {
    let what = format!("{} for {} {verb} nothing", form.name, form.address);
    until(&what, done)
}

fn until(otherwise: &str, done: impl Fn() -> Result<bool>) -> Result<()> {
    let watch = Stopwatch::start();
    while !done()? {
        if watch.elapsed() > PATIENCE {
            bail!("{otherwise}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
