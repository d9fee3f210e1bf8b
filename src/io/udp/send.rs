//! Sending: IKE messages with their marker, ESP in trains, and what may be cut on its way or may not.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use super::{PathMtuDiscovery, UdpSocket, is_about_another};
use crate::io::sys::{self, Departure};
use crate::io::train::{Messages, Trains};
use crate::sa::path::{Framing, Path};

/// Four zero octets before an IKE message on a port that ESP shares (RFC 3948 §2.2).
const NON_ESP_MARKER: [u8; 4] = [0; 4];

/// How long a full send buffer is waited for: long enough for a slow link to drain some, short enough to notice a command.
const PATIENCE: Duration = Duration::from_millis(20);

/// What becomes of a datagram that the first link does not carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TooLong {
    IsCut,
    IsLost,
}

/// An error may belong to an earlier datagram, and under a flood of ICMP the next one too.
const RETRIES: u8 = 3;

impl UdpSocket {
    /// Sends one IKE message on `path`, with the non-ESP marker where the path has it. A full buffer drops it: IKE repeats.
    /// It may be cut on its way.
    ///
    /// # Errors
    /// Everything the kernel says of this datagram. A refusal that ICMP brought for an earlier one is not told of, and does not lose this one (N-10).
    pub fn send_ike(&self, path: &Path, message: &[u8]) -> io::Result<()> {
        let departure = Departure { head: marker(path), body: message, to: path.remote, tos: 0 };
        self.without_df(|| {
            self.send_within(std::iter::once(departure), &mut { Trains::NONE }, Duration::ZERO, TooLong::IsLost).1
        })
    }

    /// The same, but it is lost rather than cut.
    ///
    /// # Errors
    /// As for [`Self::send_ike`].
    pub fn send_ike_whole(&self, path: &Path, message: &[u8]) -> io::Result<()> {
        let departure = Departure { head: marker(path), body: message, to: path.remote, tos: 0 };
        let _held = self.uncut.lock();
        self.send_within(std::iter::once(departure), &mut { Trains::NONE }, Duration::ZERO, TooLong::IsLost).1
    }

    /// Sends each of `departures` without DF, one by one: longer ones than the path carries are cut, here or on the way.
    pub fn send_cut<'a>(&self, departures: impl Iterator<Item = Departure<'a>> + Clone) -> (usize, io::Result<()>) {
        self.without_df(|| self.send_within(departures, &mut { Trains::NONE }, PATIENCE, TooLong::IsLost))
    }

    /// The kernel has this for a socket and not for a datagram. What another thread sends meanwhile may be cut, too; that is no harm.
    fn without_df<T>(&self, send: impl FnOnce() -> T) -> T {
        if self.discovery != PathMtuDiscovery::Probe {
            return send();
        }
        let held = self.uncut.lock();
        let set = |mode: PathMtuDiscovery, largest| {
            let (level, discover) = if self.bound.is_ipv4() {
                (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER)
            } else {
                // IPv6 is cut here or nowhere (RFC 8200 §5): to what every link carries.
                let _ = sys::set_option(self.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_MTU, largest);
                (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER)
            };
            let _ = sys::set_option(self.as_fd(), level, discover, mode.mode());
        };
        set(PathMtuDiscovery::Dont, 1280);
        let sent = send();
        set(PathMtuDiscovery::Probe, 0);
        drop(held);
        sent
    }

    /// Sends each of `departures`, in order. One that fails does not keep back those behind it: the count of those that left, and the last error.
    /// A full buffer is waited for a little, so that the TUN device's queue feels it; then the rest is dropped.
    ///
    /// Those that `trains` allows go together. When the kernel refuses a train, `trains` learns it and the same datagrams go one by one.
    pub fn send_all<'a>(
        &self,
        departures: impl Iterator<Item = Departure<'a>> + Clone,
        trains: &mut Trains,
    ) -> (usize, io::Result<()>) {
        self.send_within(departures, trains, PATIENCE, TooLong::IsCut)
    }

    fn send_within<'a>(
        &self,
        departures: impl Iterator<Item = Departure<'a>> + Clone,
        trains: &mut Trains,
        patience: Duration,
        too_long: TooLong,
    ) -> (usize, io::Result<()>) {
        let mut rest = departures;
        let mut sent = 0_usize;
        let mut outcome = Ok(());
        let mut again = RETRIES;
        loop {
            let messages = Messages::gather(rest.clone(), *trains);
            let Some(first) = messages.list().first() else { return (sent, outcome) };
            match sys::send(self.socket.as_fd(), messages.list(), messages.parts()) {
                Ok(count) => {
                    let datagrams = messages.datagrams(count);
                    sent = sent.saturating_add(datagrams);
                    pass_over(&mut rest, datagrams.max(1));
                    again = RETRIES;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !sys::poll_writable(self.socket.as_fd(), patience).unwrap_or(false) {
                        return (sent, Err(error));
                    }
                }
                // The error may belong to an earlier datagram, or to a path MTU that was just learnt: this one gets another try.
                Err(error) if again > 0 && is_about_another(&error) => again = again.saturating_sub(1),
                Err(error) if first.datagrams > 1 && trains.learn(&error, first.segment) => again = RETRIES,
                Err(error) => {
                    // The first link carries less than it did, and nobody has told us yet.
                    if too_long == TooLong::IsCut && error.raw_os_error() == Some(libc::EMSGSIZE) {
                        let parts = messages.parts().get(..first.parts).unwrap_or_default();
                        let cut = self.without_df(|| sys::send(self.socket.as_fd(), &[*first], parts));
                        sent = sent.saturating_add(cut.unwrap_or(0));
                    }
                    outcome = Err(error);
                    pass_over(&mut rest, first.datagrams);
                    again = RETRIES;
                }
            }
        }
    }
}

/// Takes an IKE message out of its marker, if it has one; `None` for what is not IKE on a port that ESP shares.
pub fn without_marker(datagram: &[u8]) -> Option<&[u8]> {
    datagram.strip_prefix(&NON_ESP_MARKER)
}

const fn marker(path: &Path) -> &'static [u8] {
    match path.framing {
        Framing::Bare => &[],
        Framing::Marked => &NON_ESP_MARKER,
    }
}

fn pass_over<T>(items: &mut impl Iterator<Item = T>, count: usize) {
    items.by_ref().take(count).for_each(drop);
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::io::udp::UdpOptions;
    use crate::io::udp::tests::{loopback, receive_one, send_all};

    #[test]
    fn the_marker_stands_before_ike_on_marked_paths_only() {
        let (a, b) = (loopback(), loopback());
        for (framing, expected) in [(Framing::Bare, &b"ike"[..]), (Framing::Marked, b"\0\0\0\0ike")] {
            a.send_ike(&Path { local: a.bound(), remote: b.bound(), framing }, b"ike").unwrap();
            assert_eq!(receive_one(&b), (expected.to_vec(), a.bound(), 0));
        }
    }

    #[test]
    fn each_datagram_carries_its_own_tos_in_both_families() {
        for bind in ["127.0.0.1:0", "[::1]:0"] {
            let bind: SocketAddr = bind.parse().unwrap();
            let make = || UdpSocket::bind(&UdpOptions { bind, ..UdpOptions::towards(bind.ip()) }).unwrap();
            let (a, b) = (make(), make());
            let departure = |tos, body| Departure { head: b"", body, to: b.bound(), tos };
            let (sent, outcome) =
                send_all(&a, &[departure(0xb8, b"one"), departure(0, b"two"), departure(0x03, b"three")]);
            assert_eq!((sent, outcome.is_ok()), (3, true));
            let tos = [receive_one(&b), receive_one(&b), receive_one(&b)].map(|(_, _, tos)| tos);
            assert_eq!(tos, [0xb8, 0, 0x03], "{bind}");
        }
    }

    #[test]
    fn a_train_arrives_as_its_datagrams_with_their_tos_in_both_families() {
        for bind in ["127.0.0.1:0", "[::1]:0"] {
            let bind: SocketAddr = bind.parse().unwrap();
            let make = || {
                UdpSocket::bind(&UdpOptions { bind, receive_trains: false, ..UdpOptions::towards(bind.ip()) }).unwrap()
            };
            let (a, b) = (make(), make());
            assert_eq!(a.send_trains(), Trains::ALL, "Linux 4.18 has trains");
            let list = [&[1_u8; 1000][..], &[2; 1000], &[3; 999], &[4; 1000], &[5; 7]];
            let departures = list.map(|body| Departure { head: b"", body, to: b.bound(), tos: 0xb9 });
            let mut trains = a.send_trains();
            let (sent, outcome) = a.send_all(departures.into_iter(), &mut trains);
            assert_eq!((sent, outcome.is_ok(), trains), (5, true, Trains::ALL));
            for body in list {
                assert_eq!(receive_one(&b), (body.to_vec(), a.bound(), 0xb9));
            }
        }
    }

    #[test]
    fn datagrams_of_a_train_that_the_kernel_refuses_leave_one_by_one_and_no_such_train_is_tried_again() {
        let (a, b) = (loopback(), loopback());
        // Without UDP checksums there are no trains: EINVAL at run time.
        sys::set_option(a.as_fd(), libc::SOL_SOCKET, libc::SO_NO_CHECK, 1).unwrap();
        let list = [&[1_u8; 1000][..], &[2; 1000], &[3; 999], &[4; 50], &[5; 50]];
        let departures = list.map(|body| Departure { head: b"", body, to: b.bound(), tos: 0 });
        let mut trains = a.send_trains();
        let (sent, outcome) = a.send_all(departures.into_iter(), &mut trains);
        assert_eq!((sent, outcome.is_ok(), trains.longest()), (5, true, 49));
        for body in list {
            assert_eq!(receive_one(&b).0, body);
        }
    }

    #[test]
    fn n_10_a_datagram_behind_one_that_cannot_be_sent_still_leaves() {
        let (a, b) = (loopback(), loopback());
        let too_long = vec![0_u8; 65_600];
        let departure = |body| Departure { head: b"", body, to: b.bound(), tos: 0 };
        let (sent, outcome) = send_all(&a, &[departure(&too_long), departure(b"next")]);
        assert_eq!((sent, outcome.unwrap_err().raw_os_error()), (1, Some(libc::EMSGSIZE)));
        assert_eq!(receive_one(&b).0, b"next");
    }

    #[test]
    fn n_01_four_zero_octets_mark_ike() {
        assert_eq!(without_marker(b"\0\0\0\0ike"), Some(&b"ike"[..]));
        assert_eq!(without_marker(b"\0\0\0\x01ike"), None);
        assert_eq!(without_marker(b"\xff"), None);
    }
}
