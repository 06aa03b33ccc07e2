//! What runs in a pod: an HTTP server that says who answered and who asked, and a UDP echo.
//!
//! The other side is here too: fetching such a page from any namespace.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::http;
use crate::netns::Netns;
use crate::urgency;

/// What a pod answers, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The pod that answered.
    pub pod: String,
    /// The node it is on.
    pub node: String,
    /// The address the request came from, as the pod saw it.
    pub client: IpAddr,
}

/// Serves a pod on its addresses until the process ends.
pub fn serve(pod: &str, node: &str, listen: &[SocketAddr]) -> Result<()> {
    let mut servers = Vec::new();
    for address in listen {
        let tcp =
            TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
        let udp =
            UdpSocket::bind(address).with_context(|| format!("cannot listen on {address}"))?;
        let (pod, node) = (pod.to_owned(), node.to_owned());
        servers.push(thread::spawn(move || accept(&tcp, &pod, &node)));
        servers.push(thread::spawn(move || echo(&udp)));
    }
    for server in servers {
        if server.join().is_err() {
            bail!("a server of pod {pod} ended");
        }
    }
    Ok(())
}

fn accept(listener: &TcpListener, pod: &str, node: &str) {
    for stream in listener.incoming().flatten() {
        let (pod, node) = (pod.to_owned(), node.to_owned());
        thread::spawn(move || {
            // A client that goes away in the middle is its own business.
            let _gone = answer(stream, pod, node);
        });
    }
}

fn answer(mut stream: TcpStream, pod: String, node: String) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let client = stream.peer_addr()?.ip();
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let body = serde_json::to_string(&Page { pod, node, client })?;
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    Ok(())
}

/// Probes are counted by these echoes, so they do not wait for busy neighbours, as a kernel's answers
/// do not.
fn echo(socket: &UdpSocket) {
    urgency::raise();
    let mut datagram = [0_u8; 2048];
    while let Ok((length, from)) = socket.recv_from(&mut datagram) {
        // An unreachable asker is its own business.
        let _gone = socket.send_to(&datagram[..length], from);
    }
}

/// Fetches a pod's page from a namespace, each step within `limit`.
pub fn fetch(from: &Netns, address: SocketAddr, limit: Duration) -> Result<Page> {
    let answer = http::get(from, address, "/", limit)?;
    if answer.status != 200 {
        bail!("http://{address}/ answers {}", answer.status);
    }
    serde_json::from_str(&answer.body)
        .with_context(|| format!("http://{address}/ answers {}", answer.body))
}
