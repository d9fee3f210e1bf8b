//! Transaction exchanges: XAUTH (draft-beaulieu-ike-xauth-02) and Mode Config (draft-dukes-ike-mode-cfg-02), asked and given.

use std::net::IpAddr;

use crate::time::Instant;

use super::Gateway;
use super::Received;
use super::impair::Impairment;
use super::octets::{Attribute, Configuration, delete_payload, exchange, find, payload, write_chain};
use super::registry::attribute;
use super::sa::{Sa, Stage, XauthState};

/// What an exchange that we began is about.
pub(super) enum Transaction {
    /// Name and password; what is known already of them.
    Asked { identifier: u16, name: Option<Vec<u8>> },
    /// The result was told.
    Told { passed: bool },
    /// Something was set.
    Set,
}

impl Gateway {
    /// The first message of XAUTH.
    pub(super) fn ask_for_name(&mut self, now: Instant, sa: &mut Sa) {
        self.ask(now, sa, None);
    }

    fn ask(&mut self, now: Instant, sa: &mut Sa, name: Option<Vec<u8>>) {
        let account = self.settings.xauth.clone();
        let mut attributes = vec![Attribute::short(attribute::XAUTH_TYPE, 0)];
        let one_by_one = account.as_ref().is_some_and(|account| account.one_by_one);
        if name.is_none() {
            attributes.push(Attribute::long(attribute::XAUTH_USER_NAME, b""));
        }
        if name.is_some() || !one_by_one {
            attributes.push(Attribute::long(attribute::XAUTH_USER_PASSWORD, b""));
        }
        if let Some(message) = account.and_then(|account| account.message) {
            attributes.push(Attribute::long(attribute::XAUTH_MESSAGE, &message));
        }
        for impairment in &self.settings.impairments {
            if let Impairment::XauthAsks(more) = impairment {
                attributes.extend(more.iter().cloned());
            }
        }
        let identifier = u16::from_be_bytes(self.random_octets());
        let request = Configuration { kind: Configuration::REQUEST, identifier, attributes };
        self.begin_transaction(now, sa, request, Transaction::Asked { identifier, name });
    }

    /// Begins a transaction exchange, which is repeated until it is answered.
    fn begin_transaction(&mut self, now: Instant, sa: &mut Sa, message: Configuration, stage: Transaction) {
        let id = self.message_id();
        let sealed = self.seal_transaction(sa, id, &message);
        sa.exchange(id).stage = Stage::Transaction(stage);
        self.send_until_settled(now, sa, id, sealed);
    }

    fn seal_transaction(&self, sa: &mut Sa, id: u32, message: &Configuration) -> Vec<u8> {
        let payloads = [message.payload()];
        let mut hash = sa.keys.hash_1(id, &write_chain(&payloads));
        if self.impaired(&Impairment::WrongTransactionHash) {
            hash[0] ^= 1;
        }
        let [message] = payloads;
        sa.seal(exchange::TRANSACTION, 0, id, &[(payload::HASH, hash), message])
    }

    /// XAUTH is over or was not wanted.
    pub(super) fn authorized(&mut self, now: Instant, sa: &mut Sa) {
        if self.settings.push {
            let (mut attributes, addresses) = self.addresses(|_| true);
            attributes.extend(self.settings.attributes.iter().cloned());
            sa.addresses = addresses;
            self.push(now, sa, attributes);
        }
    }

    /// Sends attributes with SET.
    pub(super) fn push(&mut self, now: Instant, sa: &mut Sa, attributes: Vec<Attribute>) {
        let identifier = u16::from_be_bytes(self.random_octets());
        let set = Configuration { kind: Configuration::SET, identifier, attributes };
        self.begin_transaction(now, sa, set, Transaction::Set);
    }

    /// An authentic message of a transaction exchange. Returns whether the SA lives on.
    pub(super) fn handle_transaction(
        &mut self,
        now: Instant,
        received: Received<'_>,
        sa: &mut Sa,
        payloads: &[super::octets::Payload],
    ) -> bool {
        let id = received.header.id;
        let Some(message) = find(payloads, payload::ATTRIBUTES).and_then(Configuration::read) else { return true };
        let stage = std::mem::replace(&mut sa.exchange(id).stage, Stage::Over);
        match (stage, message.kind) {
            (Stage::Fresh, Configuration::REQUEST) => self.give(received, sa, &message),
            (Stage::Transaction(Transaction::Asked { identifier, name }), Configuration::REPLY)
                if message.identifier == identifier =>
            {
                sa.settle(id);
                self.check_name(now, sa, &message, name);
            }
            (Stage::Transaction(Transaction::Told { passed }), Configuration::ACK) => {
                sa.settle(id);
                self.counts.acknowledged += 1;
                if !passed {
                    let cookies = sa.cookies();
                    self.inform(sa, &[delete_payload(1, &[&cookies])]);
                    return false;
                }
                self.authorized(now, sa);
            }
            (Stage::Transaction(Transaction::Set), Configuration::ACK) => {
                sa.settle(id);
                self.counts.acknowledged += 1;
            }
            (stage, _) => sa.exchange(id).stage = stage,
        }
        true
    }

    fn check_name(&mut self, now: Instant, sa: &mut Sa, reply: &Configuration, known: Option<Vec<u8>>) {
        let value = |kind| reply.get(kind).map(|attribute: &Attribute| attribute.value.clone());
        let name = value(attribute::XAUTH_USER_NAME).or(known);
        let password = value(attribute::XAUTH_USER_PASSWORD);
        if let (Some(name), None, true) =
            (&name, &password, self.settings.xauth.as_ref().is_some_and(|account| account.one_by_one))
        {
            self.ask(now, sa, Some(name.clone()));
            return;
        }
        let fits = self.settings.xauth.as_ref().is_some_and(|account| {
            name.as_ref() == Some(&account.name) && password.as_ref() == Some(&account.password)
        });
        let passed = fits && !self.impaired(&Impairment::XauthFails);
        sa.xauth = if passed { XauthState::Passed } else { XauthState::Failed };
        *(if passed { &mut self.counts.xauth.0 } else { &mut self.counts.xauth.1 }) += 1;
        let attributes = vec![Attribute::short(attribute::XAUTH_STATUS, u16::from(passed))];
        let status = Configuration { kind: Configuration::SET, identifier: reply.identifier, attributes };
        self.begin_transaction(now, sa, status, Transaction::Told { passed });
    }

    /// The answer to a request for addresses.
    fn give(&mut self, received: Received<'_>, sa: &mut Sa, request: &Configuration) {
        if matches!(sa.xauth, XauthState::Wanted | XauthState::Failed) || self.impaired(&Impairment::NoConfiguration) {
            return;
        }
        let (mut attributes, addresses) = self.addresses(|kind| request.has(kind));
        sa.addresses = addresses;
        attributes.extend(self.settings.attributes.iter().cloned());
        let mut identifier = request.identifier;
        if self.impaired(&Impairment::WrongIdentifier) {
            identifier ^= 1;
        }
        let reply = Configuration { kind: Configuration::REPLY, identifier, attributes };
        let sealed = self.seal_transaction(sa, received.header.id, &reply);
        let messages = self.send_sealed(sa, sealed);
        self.remember(received.octets, messages);
    }

    /// The addresses that are given, of those that are wanted.
    fn addresses(&self, wanted: impl Fn(u16) -> bool) -> (Vec<Attribute>, Vec<IpAddr>) {
        let instead = self.settings.impairments.iter().find_map(|impairment| match impairment {
            Impairment::Configures(attributes) => Some(attributes.clone()),
            _ => None,
        });
        let (v4, v6) = self.settings.pool;
        let v4 = v4.filter(|_| wanted(attribute::IP4_ADDRESS));
        let v6 = v6.filter(|_| wanted(attribute::IP6_ADDRESS));
        let addresses: Vec<IpAddr> = v4.map(IpAddr::V4).into_iter().chain(v6.map(IpAddr::V6)).collect();
        let mut attributes = Vec::new();
        if let Some(address) = v4 {
            attributes.push(Attribute::long(attribute::IP4_ADDRESS, &address.octets()));
            if wanted(attribute::IP4_NETMASK) {
                attributes.push(Attribute::long(attribute::IP4_NETMASK, &[255; 4]));
            }
        }
        if let Some(address) = v6 {
            attributes.push(Attribute::long(attribute::IP6_ADDRESS, &address.octets()));
        }
        (instead.unwrap_or(attributes), addresses)
    }
}
