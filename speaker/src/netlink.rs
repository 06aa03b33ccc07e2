//! What the kernel says about interfaces, addresses and routes, as it changes.
//!
//! Any notification, a lost one included, leads to one full dump shortly after; so does a minute
//! without any. Readers get whole views.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::Context as _;
use futures::channel::mpsc::UnboundedReceiver;
use futures::{StreamExt as _, TryStreamExt as _};
use herald_l2::Mac;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkLayerType, LinkMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::sys::SocketAddr;
use rtnetlink::{Handle, MulticastGroup, RouteMessageBuilder};
use tokio::sync::watch;

use herald_runtime::supervise::Tasks;

use crate::links::{Link, Links, carry_epochs};

/// Notifications come in bursts; one dump answers all that came within this time.
const SETTLE: Duration = Duration::from_millis(5);
/// A dump is made at least this often.
const REFRESH: Duration = Duration::from_secs(60);
/// Next hops told per interface; more are transit routers, not this LAN's gateways.
const GATEWAYS: usize = 32;

type Notifications = UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>;

/// Starts to follow the kernel.
///
/// # Errors
/// When the netlink socket cannot be opened or the first dump fails.
pub(crate) async fn follow(tasks: &mut Tasks) -> anyhow::Result<watch::Receiver<Links>> {
    let (connection, handle, notifications) = rtnetlink::new_multicast_connection(&[
        MulticastGroup::Link,
        MulticastGroup::Ipv4Ifaddr,
        MulticastGroup::Ipv6Ifaddr,
        MulticastGroup::Ipv4Route,
        MulticastGroup::Ipv6Route,
    ])
    .context("the kernel's interface list (netlink) cannot be opened")?;
    tasks.spawn_service("netlink", async move {
        connection.await;
        Ok(())
    });
    let first = dump(&handle)
        .await
        .context("the kernel's interfaces cannot be listed")?;
    let (view, links) = watch::channel(first);
    tasks.spawn_service("interfaces", pump(handle, notifications, view));
    Ok(links)
}

async fn pump(
    handle: Handle,
    mut notifications: Notifications,
    view: watch::Sender<Links>,
) -> anyhow::Result<()> {
    loop {
        let mut interrupted = BTreeSet::new();
        match tokio::time::timeout(REFRESH, notifications.next()).await {
            Ok(Some((message, _))) => note_interruption(&message, &mut interrupted),
            Ok(None) => anyhow::bail!("the kernel's notifications ended"),
            Err(_) => {}
        }
        tokio::time::sleep(SETTLE).await;
        while let Ok((message, _)) = notifications.try_recv() {
            note_interruption(&message, &mut interrupted);
        }
        match dump(&handle).await {
            Ok(mut links) => {
                carry_epochs(&view.borrow(), &mut links, &interrupted);
                view.send_if_modified(|before| {
                    let changed = *before != links;
                    *before = links;
                    changed
                });
            }
            Err(error) => tracing::warn!(%error, "interfaces cannot be listed, trying again"),
        }
    }
}

fn note_interruption(
    message: &NetlinkMessage<RouteNetlinkMessage>,
    interrupted: &mut BTreeSet<u32>,
) {
    let NetlinkPayload::InnerMessage(inner) = &message.payload else {
        return;
    };
    let usable = LinkFlags::Up | LinkFlags::LowerUp;
    if let RouteNetlinkMessage::NewLink(link) = inner
        && !link.header.flags.contains(usable)
    {
        interrupted.insert(link.header.index);
    }
    if let RouteNetlinkMessage::DelLink(link) = inner {
        interrupted.insert(link.header.index);
    }
}

async fn dump(handle: &Handle) -> Result<Links, rtnetlink::Error> {
    let mut links: Links = handle
        .link()
        .get()
        .execute()
        .map_ok(read_link)
        .try_collect()
        .await?;
    for link in links.values_mut() {
        link.epoch = 1;
    }
    let mut addresses = Box::pin(handle.address().get().execute());
    while let Some(message) = addresses.try_next().await? {
        read_address(&message, &mut links);
    }
    let any_ipv4 = RouteMessageBuilder::<std::net::Ipv4Addr>::new().build();
    let any_ipv6 = RouteMessageBuilder::<std::net::Ipv6Addr>::new().build();
    for family in [any_ipv4, any_ipv6] {
        let mut routes = Box::pin(handle.route().get(family).execute());
        while let Some(message) = routes.try_next().await? {
            read_route(&message, &mut links);
        }
    }
    Ok(links)
}

fn read_link(message: LinkMessage) -> (u32, Link) {
    let flags = message.header.flags;
    let mut link = Link {
        ethernet: message.header.link_layer_type == LinkLayerType::Ether,
        loopback: flags.contains(LinkFlags::Loopback),
        up: flags.contains(LinkFlags::Up),
        carrier: flags.contains(LinkFlags::LowerUp),
        arp: !flags.contains(LinkFlags::Noarp),
        ..Link::default()
    };
    for attribute in message.attributes {
        if let LinkAttribute::IfName(name) = attribute {
            link.name = name;
        } else if let LinkAttribute::Address(octets) = attribute {
            link.mac = octets.try_into().ok().map(Mac);
        } else if let LinkAttribute::Controller(index) = attribute {
            link.controller = (index != 0).then_some(index);
        }
    }
    (message.header.index, link)
}

fn read_address(message: &AddressMessage, links: &mut Links) {
    let Some(link) = links.get_mut(&message.header.index) else {
        return;
    };
    let mut local = None;
    let mut address = None;
    for attribute in &message.attributes {
        if let AddressAttribute::Local(ip) = attribute {
            local = Some(*ip);
        } else if let AddressAttribute::Address(ip) = attribute {
            address = Some(*ip);
        }
    }
    let Some(ip) = local.or(address) else { return };
    link.addresses.push((ip, message.header.prefix_len));
    let unproven = AddressHeaderFlags::Tentative | AddressHeaderFlags::Dadfailed;
    if let IpAddr::V6(ip) = ip
        && ip.is_unicast_link_local()
        && !message.header.flags.intersects(unproven)
    {
        link.link_local.get_or_insert(ip);
    }
}

fn read_route(message: &RouteMessage, links: &mut Links) {
    let mut gateway = None;
    let mut interface = None;
    for attribute in &message.attributes {
        if let RouteAttribute::Gateway(address) = attribute {
            gateway = ip_of(address);
        } else if let RouteAttribute::Oif(index) = attribute {
            interface = Some(*index);
        } else if let RouteAttribute::MultiPath(hops) = attribute {
            for hop in hops {
                let via = hop.attributes.iter().find_map(|attribute| {
                    if let RouteAttribute::Gateway(address) = attribute {
                        ip_of(address)
                    } else {
                        None
                    }
                });
                add_gateway(via, Some(hop.interface_index), links);
            }
        }
    }
    add_gateway(gateway, interface, links);
}

fn add_gateway(gateway: Option<IpAddr>, interface: Option<u32>, links: &mut Links) {
    let (Some(gateway), Some(interface)) = (gateway, interface) else {
        return;
    };
    if let Some(link) = links.get_mut(&interface)
        && !link.gateways.contains(&gateway)
        && link.gateways.len() < GATEWAYS
    {
        link.gateways.push(gateway);
    }
}

fn ip_of(address: &RouteAddress) -> Option<IpAddr> {
    if let RouteAddress::Inet(ip) = address {
        Some(IpAddr::V4(*ip))
    } else if let RouteAddress::Inet6(ip) = address {
        Some(IpAddr::V6(*ip))
    } else {
        None
    }
}
