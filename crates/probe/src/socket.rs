//! Sockets that ask from a namespace: what came in and when the kernel saw it, what ICMP said of what we sent,
//! and why our own stack would not send.
//!
//! `IP_RECVERR` makes the kernel queue each ICMP error about a packet of the socket's, with its sender
//! (ip(7)); without it only some errors are told, and never by whom.

use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant, SystemTime};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, Socket, Type};
use sys::netns::{self, NetnsFd};
use sys::whole_packets;

use crate::icmp_error::IcmpError;

/// Origins of a queued error that came as a packet (linux/errqueue.h `SO_EE_ORIGIN_ICMP` and `_ICMP6`).
const ORIGIN_ICMP: u8 = 2;
const ORIGIN_ICMP6: u8 = 3;
/// ICMP's fragmentation needed and ICMPv6's packet too big: their errors carry an MTU.
const V4_TOO_BIG: (u8, u8) = (3, 4);
const V6_TOO_BIG: u8 = 2;

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// A host's or an instance's name, for messages.
    pub name: &'a str,
    /// The namespace that the question leaves from.
    pub netns: &'a NetnsFd,
    /// Source address; `None` for what the routing table gives.
    pub source: Option<IpAddr>,
}

/// The question itself could not be asked; what the network does with it is an outcome, not an error.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The namespace could not be entered.
    #[error("cannot enter the network namespace of {name} to ask from it")]
    Enter {
        /// Who was to ask.
        name: String,
        /// Why.
        source: netns::NetnsError,
    },
    /// A step with the socket failed.
    #[error("cannot {step} as {name}: {source}")]
    Socket {
        /// `open a socket`, `use the source address 10.0.2.24`.
        step: String,
        /// Who was to ask.
        name: String,
        /// Why.
        source: io::Error,
    },
}

impl Asker<'_> {
    pub(crate) fn failed(&self, step: &str) -> impl FnOnce(io::Error) -> AskError {
        let (step, name) = (step.to_owned(), self.name.to_owned());
        move |source| AskError::Socket { step, name, source }
    }
}

/// Why our own stack refused to send: told by `sendto` and `connect` themselves, without a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotSent {
    /// No route, or one of type unreachable (`ENETUNREACH`, `EHOSTUNREACH`).
    NoRoute,
    /// A route or FIB rule of type prohibit (`EACCES`).
    Prohibited,
    /// A route or FIB rule of type blackhole (`EINVAL`). The kernel has the same word for a datagram to port 0 and
    /// for a connection to a link-local address without a scope.
    Blackhole,
    /// A netfilter rule of OUTPUT or POSTROUTING dropped it, or connection tracking that is full (`EPERM`).
    Dropped,
    /// Larger than the link it would leave by (`EMSGSIZE`).
    TooBig,
    /// Anything else, in the system's words.
    Other(String),
}

impl NotSent {
    pub(crate) fn of(error: &io::Error) -> NotSent {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENETUNREACH | Errno::EHOSTUNREACH) => NotSent::NoRoute,
            Some(Errno::EACCES) => NotSent::Prohibited,
            Some(Errno::EINVAL) => NotSent::Blackhole,
            Some(Errno::EPERM) => NotSent::Dropped,
            Some(Errno::EMSGSIZE) => NotSent::TooBig,
            _ => NotSent::Other(error.to_string()),
        }
    }
}

/// How long an answer took, and by which clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Took {
    /// From handing the question over to the answer.
    pub duration: Duration,
    /// Whose word it is for when the answer came.
    pub arrival: Arrival,
}

/// Who says when an answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The kernel, when it received the packet (`SO_TIMESTAMPNS`, socket(7)). Where nobody else has packets stamped,
    /// the first socket's wish is granted by a work item (net/core/dev.c `net_enable_timestamp`): a packet that
    /// came before it ran is stamped when it is read (net/socket.c `__sock_recv_timestamp`). Of a connection it is how
    /// long the handshake took (`TCP_INFO`, tcp(7)).
    Kernel,
    /// We, when we had read it: later by what the scheduler took.
    Reader,
}

/// When something was sent, by the clock that never steps and by the one that the kernel stamps packets with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SentAt {
    pub(crate) steady: Instant,
    wall: SystemTime,
}

impl SentAt {
    pub(crate) fn now() -> SentAt {
        SentAt { steady: Instant::now(), wall: SystemTime::now() }
    }

    /// The kernel's stamp counts unless the wall clock was set meanwhile: then it lies before the sending or
    /// after the reading.
    pub(crate) fn until(&self, stamped: Option<SystemTime>) -> Took {
        self.at_most(stamped.and_then(|at| at.duration_since(self.wall).ok()))
    }

    /// What the kernel has measured counts unless that is more than has passed.
    pub(crate) fn at_most(&self, measured: Option<Duration>) -> Took {
        let read = self.steady.elapsed();
        match measured.filter(|took| *took <= read) {
            Some(duration) => Took { duration, arrival: Arrival::Kernel },
            None => Took { duration: read, arrival: Arrival::Reader },
        }
    }
}

/// Opens a socket towards an address: it never blocks, queues ICMP errors, stamps what comes in, and has the
/// asker's source address.
pub(crate) fn open(asker: &Asker<'_>, to: SocketAddr, kind: Type) -> Result<Socket, AskError> {
    open_from(asker, 0, to, kind)
}

/// The same with a port of ours; 0 for any.
pub(crate) fn open_from(
    asker: &Asker<'_>,
    own_port: u16,
    to: SocketAddr,
    kind: Type,
) -> Result<Socket, AskError> {
    let socket = make(asker, Domain::for_address(to), kind, None)?;
    let queue = match to {
        SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4RecvErr, &true),
        SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvErr, &true),
    };
    queue.map_err(io::Error::from).map_err(asker.failed("configure a socket"))?;
    use_source(asker, &socket, to, own_port)?;
    Ok(socket)
}

/// Opens a raw ICMP socket, which hears all ICMP of its namespace and sends packets with an IPv4 header of ours
/// (raw(7), `IP_HDRINCL`), never fragmented and never measured against what the kernel learnt of the path.
///
/// The asker's source address is the socket's too: the route is looked up by that one, not by the header's
/// (net/ipv4/raw.c `raw_sendmsg`), and an address that is not the namespace's is refused rather than forged.
pub(crate) fn open_raw(asker: &Asker<'_>) -> Result<Socket, AskError> {
    let socket = make(asker, Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
    let configured =
        socket.set_header_included_v4(true).and_then(|()| whole_packets::probe_path_mtu(&socket));
    configured.map_err(asker.failed("configure a raw socket"))?;
    use_source(asker, &socket, SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0).into(), 0)?;
    Ok(socket)
}

/// Opens a raw socket for echoes towards an address, which hears all ICMP or ICMPv6 of its namespace and tells the
/// hop limit of what it hears; the IP header is the kernel's to write (raw(7), ipv6(7)).
pub(crate) fn open_echo(asker: &Asker<'_>, to: SocketAddr) -> Result<Socket, AskError> {
    let protocol = match to {
        SocketAddr::V4(_) => Protocol::ICMPV4,
        SocketAddr::V6(_) => Protocol::ICMPV6,
    };
    let socket = make(asker, Domain::for_address(to), Type::RAW, Some(protocol))?;
    if to.is_ipv6() {
        socket.set_recv_hoplimit_v6(true).map_err(asker.failed("configure a raw socket"))?;
    }
    use_source(asker, &socket, to, 0)?;
    Ok(socket)
}

/// A link-local source stands on the link of the address it speaks to.
fn use_source(asker: &Asker<'_>, socket: &Socket, to: SocketAddr, own_port: u16) -> Result<(), AskError> {
    if asker.source.is_none() && own_port == 0 {
        return Ok(());
    }
    let any = match to {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let mut source = SocketAddr::new(asker.source.unwrap_or(any), own_port);
    if let (SocketAddr::V6(source), SocketAddr::V6(to)) = (&mut source, to) {
        source.set_scope_id(to.scope_id());
    }
    let step = format!("use the source address {source}");
    if source.is_ipv4() != to.is_ipv4() {
        // A raw socket would take the first bytes of one for the other (net/ipv4/raw.c `raw_bind`).
        let why = io::Error::new(ErrorKind::InvalidInput, "it is of another family than what is asked");
        return Err(asker.failed(&step)(why));
    }
    socket.bind(&source.into()).map_err(asker.failed(&step))
}

/// Opened inside, used from anywhere: a socket belongs to the namespace that it was made in.
fn make(
    asker: &Asker<'_>,
    domain: Domain,
    kind: Type,
    protocol: Option<Protocol>,
) -> Result<Socket, AskError> {
    let made = netns::within(asker.netns, || Socket::new(domain, kind, protocol));
    let step = if kind == Type::RAW {
        "open a raw socket (which needs root or CAP_NET_RAW)"
    } else {
        "open a socket"
    };
    let socket = made
        .map_err(|source| AskError::Enter { name: asker.name.to_owned(), source })?
        .map_err(asker.failed(step))?;
    let configure = || -> io::Result<()> {
        socket.set_nonblocking(true)?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        Ok(())
    };
    configure().map_err(asker.failed("configure a socket"))?;
    Ok(socket)
}

/// What the socket had for us.
#[derive(Debug)]
pub(crate) enum Came {
    /// A datagram of this many bytes, now at the buffer's start.
    Datagram {
        from: Option<SocketAddr>,
        length: usize,
        /// When the kernel received it.
        stamped: Option<SystemTime>,
        /// IPv6's hop limit, where the socket was asked to tell it.
        hop_limit: Option<u8>,
    },
    /// An ICMP error about a packet of ours.
    Error(IcmpError),
    /// The time is up.
    Nothing,
}

/// Waits for a datagram or an ICMP error, until the deadline.
pub(crate) fn next(socket: &Socket, buffer: &mut [u8], deadline: Instant) -> io::Result<Came> {
    loop {
        // What came in goes first: an answer that is there is worth more than an error about another packet.
        match receive(socket, buffer) {
            Ok(came) => return Ok(came),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            // An error that is queued shows here too, once (net/ipv4/udp.c __udp4_lib_err, sk_err).
            Err(errno) if is_by_icmp(errno) => {}
            Err(errno) => return Err(errno.into()),
        }
        if let Some(error) = take_error(socket)? {
            return Ok(Came::Error(error));
        }
        if !wait(socket, PollFlags::POLLIN, deadline)? {
            return Ok(Came::Nothing);
        }
    }
}

/// Waits until the socket is ready, or has an error; `false` when the deadline came first.
pub(crate) fn wait(socket: &Socket, what: PollFlags, deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        // poll(2) counts milliseconds: rounded up, so that it never spins on the last one.
        let wait = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(socket.as_fd(), what)], wait) {
            Ok(ready) if ready > 0 => return Ok(true),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn receive(socket: &Socket, buffer: &mut [u8]) -> nix::Result<Came> {
    let mut control = nix::cmsg_space!(TimeSpec, libc::c_int);
    let mut slices = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(&mut control), flags)?;
    let (mut stamped, mut hop_limit) = (None, None);
    for said in message.cmsgs().into_iter().flatten() {
        match said {
            ControlMessageOwned::ScmTimestampns(at) => {
                stamped = Some(SystemTime::UNIX_EPOCH + Duration::from(at));
            }
            ControlMessageOwned::Ipv6HopLimit(limit) => hop_limit = u8::try_from(limit).ok(),
            _ => {}
        }
    }
    let from = message.address.and_then(|a| address(&a));
    Ok(Came::Datagram { from, length: message.bytes, stamped, hop_limit })
}

/// Takes the first ICMP error from the queue. Errors of our own stack stand there too and are passed over:
/// the call that met them has told of them.
pub(crate) fn take_error(socket: &Socket) -> io::Result<Option<IcmpError>> {
    loop {
        // The quoted packet is not looked at here: only our own packets' errors are queued.
        let mut quoted = [0; 1];
        let mut slices = [IoSliceMut::new(&mut quoted)];
        let mut control = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6, TimeSpec);
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let message =
            match recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(&mut control), flags) {
                Ok(message) => message,
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
        if let Some(error) = message.cmsgs().ok().and_then(|mut said| said.find_map(|one| queued(&one))) {
            return Ok(Some(error));
        }
    }
}

fn queued(message: &ControlMessageOwned) -> Option<IcmpError> {
    let (error, from) = match message {
        ControlMessageOwned::Ipv4RecvErr(error, Some(from)) => {
            (error, IpAddr::V4(u32::from_be(from.sin_addr.s_addr).into()))
        }
        ControlMessageOwned::Ipv6RecvErr(error, Some(from)) => {
            (error, IpAddr::V6(from.sin6_addr.s6_addr.into()))
        }
        _ => return None,
    };
    let is_about_size = match error.ee_origin {
        ORIGIN_ICMP => (error.ee_type, error.ee_code) == V4_TOO_BIG,
        ORIGIN_ICMP6 => error.ee_type == V6_TOO_BIG,
        _ => return None,
    };
    let next_mtu = (is_about_size && error.ee_info > 0).then_some(error.ee_info);
    Some(IcmpError { from, kind: error.ee_type, code: error.ee_code, next_mtu })
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in().map(|a| SocketAddr::V4(SocketAddrV4::from(*a)));
    v4.or_else(|| storage.as_sockaddr_in6().map(|a| SocketAddr::V6(SocketAddrV6::from(*a))))
}

/// What the kernel makes of ICMP errors (net/ipv4/icmp.c `icmp_err_convert`, net/ipv6/icmp.c `tab_unreach`).
pub(crate) fn is_by_icmp(errno: Errno) -> bool {
    matches!(errno, Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::ENETUNREACH | Errno::EMSGSIZE)
        || matches!(errno, Errno::EACCES | Errno::EPROTO | Errno::ENOPROTOOPT | Errno::EHOSTDOWN)
        || matches!(errno, Errno::EOPNOTSUPP | Errno::ENONET)
}

/// The error is only that there is nothing yet.
pub(crate) fn is_pending(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
        || error.raw_os_error() == Some(libc::EINPROGRESS)
}
