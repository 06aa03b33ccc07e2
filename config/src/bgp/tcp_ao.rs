//! The TCP-AO keys of a BGPPeer (RFC 5925).

use herald_crds::{BGPPeerSpec, SecretReference, TcpAoAlgorithm as Written};
use herald_model::bgp::{Password, TcpAoAlgorithm, TcpAoKey};

use super::advertisement::bounded;
use crate::problem::{Reason, Report};

/// A Secret as it is written.
pub(super) fn secret(reference: &SecretReference) -> Password {
    Password {
        namespace: reference.namespace.clone(),
        name: reference.name.clone(),
    }
}

/// The keys in their order; none where there are none.
pub(super) fn translate(spec: &BGPPeerSpec, report: &mut Report<'_>) -> Vec<TcpAoKey> {
    let Some(tcp_ao) = &spec.tcp_ao else {
        return Vec::new();
    };
    if spec.password_secret.is_some() {
        let message = "passwordSecret is for TCP MD5, which tcpAO replaces; remove one of the two";
        report.reject("spec.tcpAO", Reason::OutOfBounds, message.to_owned());
    }
    if tcp_ao.keys.is_empty() {
        let message = "there is no key; write one, or remove tcpAO";
        report.reject("spec.tcpAO.keys", Reason::OutOfBounds, message.to_owned());
    }
    let mut keys: Vec<TcpAoKey> = Vec::new();
    for (i, key) in tcp_ao.keys.iter().enumerate() {
        let field = |name: &str| format!("spec.tcpAO.keys[{i}].{name}");
        let algorithm = match key.algorithm {
            Written::HmacSha1 => TcpAoAlgorithm::HmacSha1,
            Written::AesCmac => TcpAoAlgorithm::AesCmac,
            Written::Unknown => {
                let message = "the value is not known to this version; write HMAC-SHA-1-96 or AES-128-CMAC-96";
                report.reject(field("algorithm"), Reason::UnknownValue, message.to_owned());
                continue;
            }
        };
        let mut earlier = tcp_ao.keys.iter().take(i);
        if earlier.clone().any(|known| known.send_id == key.send_id) {
            let message = format!(
                "another key has the sendID {}; give each its own",
                key.send_id
            );
            report.reject(field("sendID"), Reason::OutOfBounds, message);
        }
        if earlier.any(|known| known.receive_id == key.receive_id) {
            let id = key.receive_id;
            let message = format!("another key has the receiveID {id}; give each its own");
            report.reject(field("receiveID"), Reason::OutOfBounds, message);
        }
        keys.push(TcpAoKey {
            send_id: bounded(&field("sendID"), key.send_id, 0, 255, report),
            receive_id: bounded(&field("receiveID"), key.receive_id, 0, 255, report),
            algorithm,
            secret: secret(&key.secret),
        });
    }
    keys
}
