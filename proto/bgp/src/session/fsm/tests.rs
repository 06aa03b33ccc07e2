use super::Act::*;
use super::Input::*;
use super::*;
use State::{Active, Connect as Connecting, Established, Idle, OpenConfirm, OpenSent};

/// Typed from RFC 4271 section 8.2.2, state by state, with RFC 6608 for messages out of place, RFC 9687
/// for the send hold timer and RFC 9384 for BFD. In three places it is not the letter of the RFC:
/// a connection that cannot be opened leads to Active and not to Idle, as with DelayOpen; a NOTIFICATION
/// is never answered by one; and every refusal counts, also that of the version.
#[rustfmt::skip]
const TABLE: &[(State, &[Input], State, &[Act])] = &[
    (Idle, &[Start], Connecting, &[ArmRetry, Connect]),
    (Idle, &[StartPassive], Active, &[]),
    (Idle, &[TcpUp], Idle, &[Drop]),
    (Idle, &[
        Stop, ConnectRetryExpires, HoldExpires, KeepaliveExpires, TcpDown, Open, HeaderError, OpenError,
        CollisionDump, VersionError, Notification, Keepalive, Update, UpdateError, Refresh,
        SendHoldExpires, BfdDown,
    ], Idle, &[]),

    (Connecting, &[Start, StartPassive], Connecting, &[]),
    (Connecting, &[Stop, CollisionDump, BfdDown], Idle, &[DisarmRetry, Drop]),
    (Connecting, &[ConnectRetryExpires], Connecting, &[Drop, ArmRetry, Connect]),
    (Connecting, &[TcpUp], OpenSent, &[DisarmRetry, SendOpen, ArmLargeHold]),
    (Connecting, &[TcpDown], Active, &[Drop, ArmRetry]),
    (Connecting, &[
        HoldExpires, KeepaliveExpires, Open, HeaderError, OpenError, VersionError, Notification,
        Keepalive, Update, UpdateError, Refresh, SendHoldExpires,
    ], Idle, &[DisarmRetry, Drop, Count]),

    (Active, &[Start, StartPassive], Active, &[]),
    (Active, &[Stop, CollisionDump, BfdDown], Idle, &[DisarmRetry]),
    (Active, &[ConnectRetryExpires], Connecting, &[ArmRetry, Connect]),
    (Active, &[TcpUp], OpenSent, &[DisarmRetry, SendOpen, ArmLargeHold]),
    (Active, &[
        TcpDown, HoldExpires, KeepaliveExpires, Open, HeaderError, OpenError, VersionError,
        Notification, Keepalive, Update, UpdateError, Refresh, SendHoldExpires,
    ], Idle, &[DisarmRetry, Drop, Count]),

    (OpenSent, &[Start, StartPassive, TcpUp], OpenSent, &[]),
    (OpenSent, &[Stop, CollisionDump, BfdDown], Idle, &[Notify]),
    (OpenSent, &[HoldExpires, HeaderError, OpenError, SendHoldExpires], Idle, &[Notify, Count]),
    (OpenSent, &[TcpDown], Active, &[Drop, Count, ArmRetry]),
    (OpenSent, &[Open], OpenConfirm, &[ArmHold, SendKeepalive]),
    (OpenSent, &[VersionError, Notification], Idle, &[Drop, Count]),
    (OpenSent, &[
        ConnectRetryExpires, KeepaliveExpires, Keepalive, Update, UpdateError, Refresh,
    ], Idle, &[Unexpected, Count]),

    (OpenConfirm, &[Start, StartPassive, TcpUp], OpenConfirm, &[]),
    (OpenConfirm, &[Stop, CollisionDump, BfdDown], Idle, &[Notify]),
    (OpenConfirm, &[HoldExpires, HeaderError, OpenError, SendHoldExpires], Idle, &[Notify, Count]),
    (OpenConfirm, &[KeepaliveExpires], OpenConfirm, &[SendKeepalive]),
    (OpenConfirm, &[TcpDown, VersionError, Notification], Idle, &[Drop, Count]),
    (OpenConfirm, &[Keepalive], Established, &[ArmHold, Establish]),
    (OpenConfirm, &[
        ConnectRetryExpires, Open, Update, UpdateError, Refresh,
    ], Idle, &[Unexpected, Count]),

    (Established, &[Start, StartPassive, TcpUp], Established, &[]),
    (Established, &[Stop, CollisionDump, BfdDown], Idle, &[Notify]),
    (Established, &[
        HoldExpires, HeaderError, OpenError, UpdateError, SendHoldExpires,
    ], Idle, &[Notify, Count]),
    (Established, &[KeepaliveExpires], Established, &[SendKeepalive]),
    (Established, &[TcpDown, VersionError, Notification], Idle, &[Drop, Count]),
    (Established, &[Keepalive, Update, Refresh], Established, &[ArmHold]),
    (Established, &[ConnectRetryExpires, Open], Idle, &[Unexpected, Count]),
];

#[test]
fn each_state_answers_each_event_as_the_table_says() {
    for state in State::ALL {
        for input in Input::ALL {
            let rows: Vec<_> = TABLE
                .iter()
                .filter(|row| row.0 == state && row.1.contains(&input))
                .collect();
            let [row] = rows.as_slice() else {
                panic!("{state} {input:?}: {} rows", rows.len());
            };
            assert_eq!(step(state, input), (row.2, row.3), "{state} {input:?}");
        }
    }
}
