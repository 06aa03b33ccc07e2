//! Real sockets on the loopback interface.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpStream as Stream};

use herald_bgp::{Asn, Config, Opening, RemoteAs};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use socket2::{Domain, Socket, Type};

use super::callers::Terms;
use super::*;
use crate::io::tcp;
use crate::routers::keys::Keys;
use crate::routers::order::{Dial, Order};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LIMIT: Duration = Duration::from_millis(300);

const REALM: Realm = Realm {
    ipv6: false,
    device: None,
};

/// What a router does: connects from `from`.
fn connect(from: Ipv4Addr, port: u16, key: &[u8], ttl: u32) -> io::Result<Stream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    if !key.is_empty() {
        tcp::set_md5(&socket, HERE, key)?;
    }
    socket.set_ttl_v4(ttl)?;
    socket.bind(&SocketAddr::new(from.into(), 0).into())?;
    socket.connect_timeout(&SocketAddr::new(HERE, port).into(), LIMIT)?;
    Ok(socket.into())
}

fn locked(key: &[u8]) -> Terms {
    Terms {
        keys: [(HERE, Keys::Md5(key.to_vec()))].into(),
        least_ttl: 0,
    }
}

fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.local_addr().unwrap().port()
}

async fn taken(doors: &mut BTreeMap<Realm, Door>) -> TcpStream {
    loop {
        if let Some((_, taken)) = door::accept(doors).await {
            return taken.unwrap().0;
        }
    }
}

#[tokio::test]
async fn keys_change_and_connections_that_stand_do_not_notice() {
    let port = free_port();
    let door = Door::open(&REALM, port, &locked(b"one")).unwrap();
    let mut doors = BTreeMap::from([(REALM, door)]);
    let from = Ipv4Addr::LOCALHOST;
    assert!(connect(from, port, b"", 64).is_err());
    assert!(connect(from, port, b"two", 64).is_err());
    let mut first = connect(from, port, b"one", 64).unwrap();
    let stands = taken(&mut doors).await;

    let door = doors.get_mut(&REALM).unwrap();
    door.set(&locked(b"two")).unwrap();
    assert!(connect(from, port, b"one", 64).is_err());
    connect(from, port, b"two", 64).unwrap();
    taken(&mut doors).await;
    assert_eq!(stands.try_write(b"x").unwrap(), 1);
    let mut octet = [0];
    first.read_exact(&mut octet).unwrap();

    let door = doors.get_mut(&REALM).unwrap();
    door.set(&Terms::default()).unwrap();
    connect(from, port, b"", 64).unwrap();
}

#[tokio::test]
async fn where_every_router_is_near_others_do_not_get_as_far_as_a_connection() {
    let port = free_port();
    let near = Terms {
        least_ttl: 255,
        ..Terms::default()
    };
    let mut door = Door::open(&REALM, port, &near).unwrap();
    let from = Ipv4Addr::LOCALHOST;
    assert!(connect(from, port, b"", 64).is_err());
    connect(from, port, b"", 255).unwrap();
    door.set(&Terms::default()).unwrap();
    connect(from, port, b"", 64).unwrap();
}

#[tokio::test]
async fn what_cannot_be_listened_on_is_told_in_words() {
    let other = std::net::TcpListener::bind((HERE, 0)).unwrap();
    let port = other.local_addr().unwrap().port();
    let told = |realm: &Realm, port| {
        let error = Door::open(realm, port, &Terms::default()).err().unwrap();
        door::describe(&error, realm, port)
    };
    let taken = told(&REALM, port);
    assert!(
        taken.contains(&format!("has TCP port {port}: end it")),
        "{taken}"
    );
    let within = |device: &str| Realm {
        ipv6: true,
        device: Some(device.to_owned()),
    };
    let port = free_port();
    assert_eq!(
        told(&within("red"), port),
        "this node has no VRF red to listen in"
    );
    Door::open(&within("lo"), port, &Terms::default()).unwrap();
}

/// A peer at HERE.
fn caller(calls: &mpsc::Sender<TcpStream>, password: Option<&[u8]>) -> Caller {
    let mut config = Config::new(Asn(1), RemoteAs::External, Ipv4Addr::LOCALHOST);
    config.opening = Opening::Passive;
    let order = Order {
        config,
        dial: Dial {
            router: HERE,
            zone: None,
            port: 179,
            source: None,
            device: None,
            ttl: 1,
            least_ttl: None,
            keys: password.map_or(Keys::None, |key| Keys::Md5(key.to_vec())),
        },
        wish: Default::default(),
        drain_time: Duration::ZERO,
        leaving: None,
        unwatched: None,
        obstacle: None,
        doubt: None,
    };
    let hindered = Order {
        obstacle: Some("no Secret".to_owned()),
        ..order.clone()
    };
    assert!(Caller::of(&hindered, calls).is_none());
    Caller::of(&order, calls).unwrap()
}

#[tokio::test]
async fn a_connection_reaches_its_session_and_an_unknown_one_is_closed_and_counted() {
    let (port, metrics) = (free_port(), ListenMetrics::default());
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let listening = Listening::start(port, metrics);
    let (calls, mut called) = calls();
    assert!(connect(Ipv4Addr::LOCALHOST, port, b"", 64).is_err());

    listening.set(Callers::from([("tor".to_owned(), caller(&calls, None))]));
    let mut tries = 0;
    let router = loop {
        // Until the task had its turn.
        match connect(Ipv4Addr::LOCALHOST, port, b"", 64) {
            Ok(router) => break router,
            Err(error) => assert!(tries < 1000, "{error}"),
        }
        tries += 1;
        tokio::task::yield_now().await;
    };
    let stream = called.recv().await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), router.local_addr().unwrap());

    let mut stranger = connect(Ipv4Addr::new(127, 0, 0, 2), port, b"", 64).unwrap();
    let closed = tokio::task::spawn_blocking(move || {
        let _ = stranger.write_all(b"x");
        matches!(stranger.read(&mut [0]), Ok(0) | Err(_))
    });
    assert!(closed.await.unwrap());
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    for line in [
        "listening{family=\"IPv4\",vrf=\"\"} 1",
        "connections_refused_total{reason=\"UnknownRouter\"} 1",
    ] {
        assert!(text.contains(line), "{text}");
    }

    listening.set(Callers::new());
    while connect(Ipv4Addr::LOCALHOST, port, b"", 64).is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_to_those_who_wait_and_tried_again() {
    let other = std::net::TcpListener::bind((HERE, 0)).unwrap();
    let port = other.local_addr().unwrap().port();
    let listening = Listening::start(port, ListenMetrics::default());
    let mut troubles = listening.troubles();
    let (calls, _called) = calls();
    listening.set(Callers::from([("tor".to_owned(), caller(&calls, None))]));
    troubles.changed().await.unwrap();
    assert!(troubles.borrow_and_update()["tor"].contains("another program"));
    drop(other);
    // A change is reason enough to try.
    let locked = caller(&calls, Some(b"key"));
    listening.set(Callers::from([("tor".to_owned(), locked)]));
    troubles.changed().await.unwrap();
    assert!(troubles.borrow().is_empty());
}
