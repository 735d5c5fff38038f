//! Sends frames from a device of the namespace that it is started in, for `scripts/bench_capture.py`:
//! `flood DEVICE BYTES COUNT RATE`. COUNT is bounded, RATE is in frames a second, 0 for as many as go.
//!
//! The frames are UDP from 10.9.8.1 to 10.9.8.2, from port 4000 to 4001, to a MAC address that nobody has.

use std::error::Error;
use std::io::Write;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{MsgFlags, send};
use sys::packet_ring::{Ring, RingSize};

/// No bench needs more, and a mistake in a script must end.
const COUNT_MAX: u64 = 20_000_000;
/// Frames between two looks at the clock.
const BATCH: u64 = 32;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [device, bytes, count, rate] = arguments.as_slice() else {
        return Err("usage: flood DEVICE BYTES COUNT RATE".into());
    };
    let (bytes, count, rate): (usize, u64, u64) = (bytes.parse()?, count.parse()?, rate.parse()?);
    let frame = frame(bytes.clamp(60, 1514));
    // Its ring stays empty: the filter of a new one takes nothing.
    let socket = Ring::open(RingSize { block_bytes: 1 << 16, blocks: 2, retire_ms: 1000 })?;
    socket.bind(if_nametoindex(device.as_str())?)?;
    let started = Instant::now();
    let count = count.min(COUNT_MAX);
    for sent in 0..count {
        let fd = std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(&socket));
        while let Err(error) = send(fd, &frame, MsgFlags::empty()) {
            if !matches!(error, Errno::ENOBUFS | Errno::EAGAIN) {
                return Err(error.into());
            }
        }
        if rate > 0 && sent % BATCH == 0 {
            let due = Duration::from_nanos(sent * 1_000_000_000 / rate);
            std::thread::sleep(due.saturating_sub(started.elapsed()));
        }
    }
    writeln!(std::io::stdout(), "{count} {}", started.elapsed().as_secs_f64())?;
    Ok(())
}

fn frame(bytes: usize) -> Vec<u8> {
    let length = |header: usize| u16::try_from(bytes - header).unwrap_or(0).to_be_bytes();
    let mut frame = vec![2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0];
    frame.extend(length(14));
    frame.extend([0, 0, 0, 0, 64, 17, 0, 0, 10, 9, 8, 1, 10, 9, 8, 2]);
    frame.extend(4000_u16.to_be_bytes());
    frame.extend(4001_u16.to_be_bytes());
    frame.extend(length(34));
    frame.resize(bytes, 0);
    frame
}
