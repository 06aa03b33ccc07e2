//! The state machine of one connection (RFC 4271 section 8.2.2) as a table: states times events.
//!
//! Two connections with one peer have a machine each (section 8.2.1). Left out of the RFC are its
//! optional timers DelayOpen and IdleHold; what IdleHold is for is done by the peer, which waits
//! before it starts a machine that went to Idle.

use crate::State;

/// What can happen to a connection; numbers are those of the events in RFC 4271 section 8.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// 1, 3: begin, and connect.
    Start,
    /// 4, 5: begin, and wait for the peer to connect.
    StartPassive,
    /// 2, 8: end.
    Stop,
    /// 9.
    ConnectRetryExpires,
    /// 10.
    HoldExpires,
    /// 11.
    KeepaliveExpires,
    /// 16, 17: TCP is there.
    TcpUp,
    /// 18: TCP could not be opened, or is gone.
    TcpDown,
    /// 19: an OPEN, and it is acceptable.
    Open,
    /// 21: a header that is wrong.
    HeaderError,
    /// 22: an OPEN that is wrong.
    OpenError,
    /// 23: the other connection is kept.
    CollisionDump,
    /// 24: the peer says that the version does not suit it.
    VersionError,
    /// 25: any other NOTIFICATION.
    Notification,
    /// 26.
    Keepalive,
    /// 27: an UPDATE that the session survives.
    Update,
    /// 28: an UPDATE or ROUTE-REFRESH that it does not survive, or too many prefixes.
    UpdateError,
    /// A ROUTE-REFRESH (RFC 2918).
    Refresh,
    /// 29: the peer reads nothing (RFC 9687).
    SendHoldExpires,
    /// BFD went down (RFC 9384).
    BfdDown,
}

impl Input {
    /// All of them.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 20] = [
        Self::Start,
        Self::StartPassive,
        Self::Stop,
        Self::ConnectRetryExpires,
        Self::HoldExpires,
        Self::KeepaliveExpires,
        Self::TcpUp,
        Self::TcpDown,
        Self::Open,
        Self::HeaderError,
        Self::OpenError,
        Self::CollisionDump,
        Self::VersionError,
        Self::Notification,
        Self::Keepalive,
        Self::Update,
        Self::UpdateError,
        Self::Refresh,
        Self::SendHoldExpires,
        Self::BfdDown,
    ];
}

/// What is to be done on the way to the next state, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Ask the shell for a connection.
    Connect,
    /// Start the timer that gives up an attempt, or begins the next.
    ArmRetry,
    /// Stop it.
    DisarmRetry,
    /// Say OPEN.
    SendOpen,
    /// The hold timer, at its large value.
    ArmLargeHold,
    /// The hold timer, at the negotiated value.
    ArmHold,
    /// Say KEEPALIVE, and start the timer of the next.
    SendKeepalive,
    /// The session is there.
    Establish,
    /// Send the NOTIFICATION that came with the event, if one did, and close.
    Notify,
    /// Send a NOTIFICATION of a message that has no place here (RFC 6608), and close.
    Unexpected,
    /// Close, without a word.
    Drop,
    /// It counts for what comes of the next attempts (`damping`).
    Count,
}

/// Where it goes and what is done on the way.
pub(crate) type Step = (State, &'static [Act]);

/// One step of the machine.
pub(crate) const fn step(state: State, input: Input) -> Step {
    match state {
        State::Idle => idle(input),
        State::Connect => connect(input),
        State::Active => active(input),
        State::OpenSent => open_sent(input),
        State::OpenConfirm => open_confirm(input),
        State::Established => established(input),
    }
}

const fn idle(input: Input) -> Step {
    use Input as I;
    match input {
        I::Start => (State::Connect, &[Act::ArmRetry, Act::Connect]),
        I::StartPassive => (State::Active, &[]),
        I::TcpUp => (State::Idle, &[Act::Drop]),
        I::Stop
        | I::ConnectRetryExpires
        | I::HoldExpires
        | I::KeepaliveExpires
        | I::TcpDown
        | I::Open
        | I::HeaderError
        | I::OpenError
        | I::CollisionDump
        | I::VersionError
        | I::Notification
        | I::Keepalive
        | I::Update
        | I::UpdateError
        | I::Refresh
        | I::SendHoldExpires
        | I::BfdDown => (State::Idle, &[]),
    }
}

const fn connect(input: Input) -> Step {
    use Input as I;
    match input {
        I::Start | I::StartPassive => (State::Connect, &[]),
        I::Stop | I::CollisionDump | I::BfdDown => (State::Idle, &[Act::DisarmRetry, Act::Drop]),
        I::ConnectRetryExpires => (State::Connect, &[Act::Drop, Act::ArmRetry, Act::Connect]),
        I::TcpUp => (
            State::OpenSent,
            &[Act::DisarmRetry, Act::SendOpen, Act::ArmLargeHold],
        ),
        I::TcpDown => (State::Active, &[Act::Drop, Act::ArmRetry]),
        I::HoldExpires
        | I::KeepaliveExpires
        | I::Open
        | I::HeaderError
        | I::OpenError
        | I::VersionError
        | I::Notification
        | I::Keepalive
        | I::Update
        | I::UpdateError
        | I::Refresh
        | I::SendHoldExpires => (State::Idle, &[Act::DisarmRetry, Act::Drop, Act::Count]),
    }
}

const fn active(input: Input) -> Step {
    use Input as I;
    match input {
        I::Start | I::StartPassive => (State::Active, &[]),
        I::Stop | I::CollisionDump | I::BfdDown => (State::Idle, &[Act::DisarmRetry]),
        I::ConnectRetryExpires => (State::Connect, &[Act::ArmRetry, Act::Connect]),
        I::TcpUp => (
            State::OpenSent,
            &[Act::DisarmRetry, Act::SendOpen, Act::ArmLargeHold],
        ),
        I::TcpDown
        | I::HoldExpires
        | I::KeepaliveExpires
        | I::Open
        | I::HeaderError
        | I::OpenError
        | I::VersionError
        | I::Notification
        | I::Keepalive
        | I::Update
        | I::UpdateError
        | I::Refresh
        | I::SendHoldExpires => (State::Idle, &[Act::DisarmRetry, Act::Drop, Act::Count]),
    }
}

const fn open_sent(input: Input) -> Step {
    use Input as I;
    match input {
        I::Start | I::StartPassive | I::TcpUp => (State::OpenSent, &[]),
        I::Stop | I::CollisionDump | I::BfdDown => (State::Idle, &[Act::Notify]),
        I::HoldExpires | I::HeaderError | I::OpenError | I::SendHoldExpires => {
            (State::Idle, &[Act::Notify, Act::Count])
        }
        I::TcpDown => (State::Active, &[Act::Drop, Act::Count, Act::ArmRetry]),
        I::Open => (State::OpenConfirm, &[Act::ArmHold, Act::SendKeepalive]),
        I::VersionError | I::Notification => (State::Idle, &[Act::Drop, Act::Count]),
        I::ConnectRetryExpires
        | I::KeepaliveExpires
        | I::Keepalive
        | I::Update
        | I::UpdateError
        | I::Refresh => (State::Idle, &[Act::Unexpected, Act::Count]),
    }
}

const fn open_confirm(input: Input) -> Step {
    use Input as I;
    match input {
        I::Start | I::StartPassive | I::TcpUp => (State::OpenConfirm, &[]),
        I::Stop | I::CollisionDump | I::BfdDown => (State::Idle, &[Act::Notify]),
        I::HoldExpires | I::HeaderError | I::OpenError | I::SendHoldExpires => {
            (State::Idle, &[Act::Notify, Act::Count])
        }
        I::KeepaliveExpires => (State::OpenConfirm, &[Act::SendKeepalive]),
        I::TcpDown | I::VersionError | I::Notification => (State::Idle, &[Act::Drop, Act::Count]),
        I::Keepalive => (State::Established, &[Act::ArmHold, Act::Establish]),
        I::ConnectRetryExpires | I::Open | I::Update | I::UpdateError | I::Refresh => {
            (State::Idle, &[Act::Unexpected, Act::Count])
        }
    }
}

const fn established(input: Input) -> Step {
    use Input as I;
    match input {
        I::Start | I::StartPassive | I::TcpUp => (State::Established, &[]),
        I::Stop | I::CollisionDump | I::BfdDown => (State::Idle, &[Act::Notify]),
        I::HoldExpires | I::HeaderError | I::OpenError | I::UpdateError | I::SendHoldExpires => {
            (State::Idle, &[Act::Notify, Act::Count])
        }
        I::KeepaliveExpires => (State::Established, &[Act::SendKeepalive]),
        I::TcpDown | I::VersionError | I::Notification => (State::Idle, &[Act::Drop, Act::Count]),
        I::Keepalive | I::Update | I::Refresh => (State::Established, &[Act::ArmHold]),
        I::ConnectRetryExpires | I::Open => (State::Idle, &[Act::Unexpected, Act::Count]),
    }
}

#[cfg(test)]
mod tests;
