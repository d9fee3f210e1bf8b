//! The gateway's children: pairs of ESP SAs between one side's selector and the other's.

use std::net::SocketAddr;
use std::time::Duration;

use crate::sa::selector::Selector;
use crate::sim::Datagram;
use crate::sim::esp::{Pair, addresses};
use crate::time::Instant;

use super::Gateway;
use super::octets::delete_payload;

pub(super) struct Child {
    pub(super) pair: Pair,
    /// CKY-R of the ISAKMP SA that it belongs to.
    pub(super) owner: [u8; 8],
    pub(super) peer: SocketAddr,
    pub(super) client: Selector,
    pub(super) subnet: Selector,
    pub(super) born: Instant,
    pub(super) expires: Option<Instant>,
    /// The gateway began a quick mode to replace it.
    pub(super) replaced: bool,
}

impl Child {
    /// When something is to be done with it.
    pub(super) fn next(&self, rekeys: Option<Duration>) -> Option<Instant> {
        let rekey = rekeys.filter(|_| !self.replaced).map(|after| self.born.after(after));
        rekey.into_iter().chain(self.expires).min()
    }
}

impl Gateway {
    pub(super) fn handle_esp(&mut self, now: Instant, datagram: &Datagram) -> Option<Vec<u8>> {
        let spi = u32::from_be_bytes(datagram.octets.get(..4)?.try_into().ok()?);
        let Some(child) = self.children.iter_mut().find(|child| child.pair.inbound() == spi) else {
            self.counts.esp_refused += 1;
            return None;
        };
        let packet = child.pair.open(&datagram.octets).filter(|packet| {
            addresses(packet).is_some_and(|(source, destination)| {
                child.client.contains_address(source) && child.subnet.contains_address(destination)
            })
        });
        if packet.is_none() {
            self.counts.esp_refused += 1;
            return None;
        }
        self.counts.esp_received += 1;
        child.peer = datagram.source;
        if let Some(sa) = self.sas.get_mut(&child.owner) {
            sa.last_seen = now;
            sa.peer = datagram.source;
        }
        packet
    }

    /// Seals a packet with the newest child whose selectors hold it.
    pub(super) fn send_esp(&mut self, packet: &[u8]) -> bool {
        let Some((source, destination)) = addresses(packet) else { return false };
        let fitting = self
            .children
            .iter_mut()
            .filter(|child| child.client.contains_address(destination) && child.subnet.contains_address(source));
        let Some(child) = fitting.max_by_key(|child| child.born) else { return false };
        let octets = child.pair.seal(packet, &mut self.random);
        let peer = child.peer;
        self.send(4500, peer, octets);
        true
    }

    /// Replaces children whose time has come, and forgets those whose time is over.
    pub(super) fn tick_children(&mut self, now: Instant) {
        let over = |child: &Child| child.expires.is_some_and(|at| at <= now);
        let (gone, kept): (Vec<Child>, Vec<Child>) = std::mem::take(&mut self.children).into_iter().partition(over);
        self.children = kept;
        for child in gone {
            self.on_sa_of(&child.owner, |gateway, sa| {
                gateway.inform(sa, &[delete_payload(3, &[&child.pair.inbound().to_be_bytes()])]);
            });
        }
        let Some(after) = self.settings.rekeys else { return };
        let mut due = Vec::new();
        for child in self.children.iter_mut().filter(|child| !child.replaced && child.born.after(after) <= now) {
            child.replaced = true;
            due.push((child.owner, child.client, child.subnet, child.born));
        }
        for (owner, client, subnet, born) in due {
            // One that has a younger twin was replaced already.
            let has_twin = |other: &Child| other.client == client && other.subnet == subnet && other.born > born;
            if !self.children.iter().any(has_twin) {
                self.on_sa_of(&owner, |gateway, sa| gateway.begin_quick(now, sa, client, subnet));
            }
        }
    }

    /// Does something with the SA of this name, or with any when children depend on none.
    fn on_sa_of(&mut self, owner: &[u8; 8], deed: impl FnOnce(&mut Self, &mut super::sa::Sa)) {
        let name = if self.sas.contains_key(owner) { Some(*owner) } else { self.sas.keys().next_back().copied() };
        let Some((name, mut sa)) = name.and_then(|name| Some((name, self.sas.remove(&name)?))) else { return };
        deed(self, &mut sa);
        self.sas.insert(name, sa);
    }
}
