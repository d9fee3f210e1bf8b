//! Which address is tried next: every address of every configured gateway in order, then a rest, then from the start.

use std::collections::VecDeque;
use std::net::IpAddr;

use crate::tunnel::settings::Host;

/// Addresses of one name that are tried in a round; a resolver's longer answer is cut.
const MAX_ADDRESSES: usize = 8;

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Look this name up.
    Resolve(String),
    /// Try this address.
    Connect { host: Host, remote: IpAddr },
    /// Everything was tried: rest. The round starts anew after that.
    Exhausted,
}

/// A round over the configured gateways.
#[derive(Debug)]
pub(super) struct Attempts {
    gateways: Vec<Host>,
    /// Which of them are still to be tried in this round.
    round: VecDeque<usize>,
    /// Whose turn it is or was.
    rank: usize,
    addresses: Option<(Host, VecDeque<IpAddr>)>,
}

impl Attempts {
    pub(super) fn new(gateways: Vec<Host>) -> Self {
        let round = (0..gateways.len()).collect();
        Self { gateways, round, rank: 0, addresses: None }
    }

    /// The first round begins with the gateway at `rank`, the others follow in order.
    pub(super) fn starting_with(gateways: Vec<Host>, rank: usize) -> Self {
        let mut attempts = Self::new(gateways);
        attempts.round.retain(|other| *other != rank);
        if rank < attempts.gateways.len() {
            attempts.round.push_front(rank);
        }
        attempts
    }

    /// The first round begins behind the gateway at `rank`, and ends with it.
    pub(super) fn behind(gateways: Vec<Host>, rank: usize) -> Self {
        let mut attempts = Self::new(gateways);
        let behind = rank.saturating_add(1).min(attempts.round.len());
        attempts.round.rotate_left(behind);
        attempts
    }

    /// In the first round only those before `rank` are tried.
    pub(super) fn before(gateways: Vec<Host>, rank: usize) -> Self {
        let mut attempts = Self::new(gateways);
        attempts.round.truncate(rank);
        attempts
    }

    /// The place in the list of the gateway whose turn it is or was.
    pub(super) const fn rank(&self) -> usize {
        self.rank
    }

    /// Whether there may be another address than the one that is tried: a name that is looked up again may have one by then.
    pub(super) fn may_have_others(&self) -> bool {
        self.gateways.len() > 1 || self.gateways.iter().any(|gateway| matches!(gateway, Host::Name(_)))
    }

    /// What the name given by the last `Next::Resolve` stands for.
    pub(super) fn resolved(&mut self, addresses: Vec<IpAddr>) {
        let name = self.gateways.get(self.rank).cloned();
        self.addresses = name.map(|host| (host, addresses.into_iter().take(MAX_ADDRESSES).collect()));
    }

    pub(super) fn next(&mut self) -> Next {
        if let Some((host, addresses)) = &mut self.addresses {
            if let Some(remote) = addresses.pop_front() {
                return Next::Connect { host: host.clone(), remote };
            }
            self.addresses = None;
        }
        let gateway = self.round.pop_front().and_then(|rank| {
            self.rank = rank;
            self.gateways.get(rank).cloned()
        });
        match gateway {
            Some(Host::Address(remote)) => Next::Connect { host: Host::Address(remote), remote },
            Some(Host::Name(name)) => Next::Resolve(name),
            None => {
                self.round = (0..self.gateways.len()).collect();
                Next::Exhausted
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn every_address_of_every_gateway_is_tried_in_order_and_then_again() {
        let mut attempts =
            Attempts::new(vec![Host::Address(address(1)), Host::Name("vpn.example".into()), Host::Address(address(9))]);
        for _ in 0..2 {
            assert_eq!(attempts.next(), Next::Connect { host: Host::Address(address(1)), remote: address(1) });
            assert_eq!(attempts.next(), Next::Resolve("vpn.example".into()));
            attempts.resolved(vec![address(2), address(3)]);
            let host = Host::Name("vpn.example".into());
            assert_eq!(attempts.next(), Next::Connect { host: host.clone(), remote: address(2) });
            assert_eq!(attempts.next(), Next::Connect { host, remote: address(3) });
            assert_eq!(attempts.next(), Next::Connect { host: Host::Address(address(9)), remote: address(9) });
            assert_eq!(attempts.next(), Next::Exhausted);
        }
    }

    #[test]
    fn a_name_that_gives_nothing_is_passed_over() {
        let mut attempts = Attempts::new(vec![Host::Name("a.example".into()), Host::Address(address(9))]);
        assert_eq!(attempts.next(), Next::Resolve("a.example".into()));
        assert!(matches!(attempts.next(), Next::Connect { .. }));
    }

    #[test]
    fn a_resolver_cannot_make_a_round_endless() {
        let mut attempts = Attempts::new(vec![Host::Name("a.example".into())]);
        assert!(matches!(attempts.next(), Next::Resolve(_)));
        attempts.resolved((0..200).map(address).collect());
        let tried = std::iter::from_fn(|| matches!(attempts.next(), Next::Connect { .. }).then_some(())).count();
        assert_eq!(tried, MAX_ADDRESSES);
    }

    #[test]
    fn only_a_single_address_has_surely_no_others() {
        assert!(!Attempts::new(vec![Host::Address(address(1))]).may_have_others());
        assert!(Attempts::new(vec![Host::Address(address(1)), Host::Address(address(2))]).may_have_others());
        assert!(Attempts::new(vec![Host::Name("a.example".into())]).may_have_others());
    }

    fn ranks(mut attempts: Attempts) -> Vec<usize> {
        let mut ranks = Vec::new();
        while matches!(attempts.next(), Next::Connect { .. }) {
            ranks.push(attempts.rank());
        }
        ranks
    }

    #[test]
    fn a_round_may_begin_elsewhere_or_end_early_and_the_next_is_whole() {
        let gateways = || (1..=3).map(|last| Host::Address(address(last))).collect::<Vec<_>>();
        assert_eq!(ranks(Attempts::new(gateways())), [0, 1, 2]);
        assert_eq!(ranks(Attempts::starting_with(gateways(), 1)), [1, 0, 2]);
        assert_eq!(ranks(Attempts::starting_with(gateways(), 9)), [0, 1, 2]);
        assert_eq!(ranks(Attempts::behind(gateways(), 0)), [1, 2, 0]);
        assert_eq!(ranks(Attempts::behind(gateways(), 2)), [0, 1, 2]);
        assert_eq!(ranks(Attempts::behind(gateways(), 9)), [0, 1, 2]);
        assert_eq!(ranks(Attempts::before(gateways(), 2)), [0, 1]);
        let mut attempts = Attempts::before(gateways(), 1);
        while attempts.next() != Next::Exhausted {}
        assert_eq!(ranks(attempts), [0, 1, 2]);
    }
}
