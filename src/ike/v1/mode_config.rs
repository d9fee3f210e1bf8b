//! Mode Config (draft-dukes-ike-mode-cfg-02): we ask for addresses (REQUEST, REPLY), or the gateway gives them unasked (SET, ACK), which counts as
//! the answer. All that it says beside addresses is text and hints; routes do not follow from it.

use std::net::{IpAddr, Ipv4Addr};

use crate::ike::action::{Configuration, DropReason, Event, Failure, Phase};
use crate::ike::attribute::{self, AddressFault};
use crate::ike::context::Context;
use crate::ike::profile::AddressRequest;
use crate::ike::v1::answers::{Answers, Transaction, kind};
use crate::ike::v1::header::ExchangeType;
use crate::ike::v1::isakmp_sa::IsakmpSa;
use crate::ike::v1::message::Attributes;
use crate::ike::v1::opening::proof::Ending;
use crate::ike::v1::opening::{Attempt, Datagram, Next, Stage, ending, farewell};
use crate::ike::v1::{text, xauth};

const INTERNAL_IP4_ADDRESS: u16 = 1;
const INTERNAL_IP4_NETMASK: u16 = 2;
const INTERNAL_IP4_DNS: u16 = 3;
const INTERNAL_IP6_ADDRESS: u16 = 8;
const INTERNAL_IP6_DNS: u16 = 10;
const INTERNAL_IP4_SUBNET: u16 = 13;
const INTERNAL_IP6_SUBNET: u16 = 15;
const UNITY_BANNER: u16 = 28672;
const UNITY_DEF_DOMAIN: u16 = 28674;
const UNITY_SPLITDNS_NAME: u16 = 28675;
const UNITY_SPLIT_INCLUDE: u16 = 28676;

/// Kinds that a SET may bring: they are acknowledged.
const KNOWN: &[u16] = &[
    INTERNAL_IP4_ADDRESS,
    INTERNAL_IP4_NETMASK,
    INTERNAL_IP4_DNS,
    INTERNAL_IP6_ADDRESS,
    INTERNAL_IP6_DNS,
    INTERNAL_IP4_SUBNET,
    INTERNAL_IP6_SUBNET,
    UNITY_BANNER,
    UNITY_DEF_DOMAIN,
    UNITY_SPLITDNS_NAME,
    UNITY_SPLIT_INCLUDE,
];

/// Domains and subnets that are kept.
const MOST_OF_A_KIND: usize = 64;

/// Waits until the gateway gave an address: asked, or of its own.
pub(super) struct AwaitConfiguration {
    pub(super) sa: IsakmpSa,
    message_id: u32,
    identifier: u16,
}

/// A message for us, as it is meant.
enum Admitted {
    Reply(Transaction),
    Set(Transaction),
    /// The gateway asks us.
    Request(Transaction),
    Ending(Ending),
}

impl AwaitConfiguration {
    /// Asks, if there is something to ask for.
    pub(super) fn start(ctx: &mut Context<'_>, attempt: &mut Attempt, mut sa: IsakmpSa) -> Next {
        if !ctx.profile.request.asks() {
            return Next::Finished { sa: Box::new(sa), configuration: Configuration::default() };
        }
        let message_id = sa.fresh_message_id(ctx.random);
        let mut draw = [0; 2];
        ctx.random.fill(&mut draw);
        let identifier = u16::from_be_bytes(draw);
        let attributes = asked(&ctx.profile.request, sa.capabilities.unity);
        let request = Attributes { kind: kind::REQUEST, identifier, attributes };
        let Some(message) = attempt.answers.ask(&mut sa, message_id, &request) else {
            farewell(ctx, &mut sa);
            return Next::Failed(Failure::Unsendable { phase: Phase::ModeConfig });
        };
        attempt.send(ctx, Phase::ModeConfig, message);
        Next::Wait(Stage::Configuration(Box::new(Self { sa, message_id, identifier })))
    }

    pub(super) fn handle(
        self: Box<Self>,
        ctx: &mut Context<'_>,
        attempt: &mut Attempt,
        datagram: &Datagram<'_>,
    ) -> Next {
        match self.admit(attempt, datagram) {
            Ok(Admitted::Reply(transaction)) => self.take_reply(ctx, attempt, &transaction),
            Ok(Admitted::Set(transaction)) => self.take_set(ctx, attempt, datagram, &transaction),
            Ok(Admitted::Request(transaction)) => self.answer(ctx, attempt, datagram, &transaction),
            Ok(Admitted::Ending(ending)) => self.take_ending(ctx, attempt, ending),
            Err(reason) => {
                ctx.dropped(reason);
                Next::Wait(Stage::Configuration(self))
            }
        }
    }

    fn admit(&self, attempt: &Attempt, datagram: &Datagram<'_>) -> Result<Admitted, DropReason> {
        if datagram.header.exchange == ExchangeType::INFORMATIONAL {
            return ending(&self.sa, datagram).map(Admitted::Ending);
        }
        let transaction = attempt.answers.admit(&self.sa, &datagram.header, datagram.rest)?;
        let is_ours = transaction.message_id == self.message_id;
        match transaction.attributes.kind {
            kind::REPLY if is_ours && transaction.attributes.identifier == self.identifier => {
                Ok(Admitted::Reply(transaction))
            }
            kind::SET if !is_ours => Ok(Admitted::Set(transaction)),
            kind::REQUEST if !is_ours => Ok(Admitted::Request(transaction)),
            _ => Err(DropReason::Unacceptable),
        }
    }

    fn take_reply(
        mut self: Box<Self>,
        ctx: &mut Context<'_>,
        attempt: &mut Attempt,
        transaction: &Transaction,
    ) -> Next {
        attempt.answers.take(&mut self.sa, transaction);
        match accept(ctx, self.sa.path.remote.ip(), &transaction.attributes) {
            Ok(configuration) => Next::Finished { sa: Box::new(self.sa), configuration },
            Err(fault) => self.fail(ctx, fault),
        }
    }

    /// A push counts as the answer, if it has the address; otherwise that is still waited for.
    fn take_set(
        mut self: Box<Self>,
        ctx: &mut Context<'_>,
        attempt: &mut Attempt,
        datagram: &Datagram<'_>,
        transaction: &Transaction,
    ) -> Next {
        let acknowledged = acknowledged(&transaction.attributes);
        if attempt.answers.reply(ctx, &mut self.sa, (transaction, datagram.message), kind::ACK, acknowledged).is_none()
        {
            farewell(ctx, &mut self.sa);
            return Next::Failed(Failure::Unsendable { phase: Phase::ModeConfig });
        }
        match accept(ctx, self.sa.path.remote.ip(), &transaction.attributes) {
            Ok(configuration) => Next::Finished { sa: Box::new(self.sa), configuration },
            Err(AddressFault::None) => Next::Wait(Stage::Configuration(self)),
            Err(fault) => self.fail(ctx, fault),
        }
    }

    fn answer(
        mut self: Box<Self>,
        ctx: &mut Context<'_>,
        attempt: &mut Attempt,
        datagram: &Datagram<'_>,
        transaction: &Transaction,
    ) -> Next {
        if xauth::is_request(&transaction.attributes) {
            xauth::refuse(ctx, &mut self.sa, &mut attempt.answers, transaction, datagram.message);
            if attempt.settings.xauth.is_none() {
                farewell(ctx, &mut self.sa);
                return Next::Failed(Failure::XauthWanted);
            }
        } else {
            let nothing = Vec::new();
            let reply = (transaction, datagram.message);
            let _ = attempt.answers.reply(ctx, &mut self.sa, reply, kind::REPLY, nothing);
        }
        Next::Wait(Stage::Configuration(self))
    }

    fn take_ending(self: Box<Self>, ctx: &mut Context<'_>, attempt: &mut Attempt, ending: Ending) -> Next {
        match ending {
            Ending::Deleted => Next::Failed(Failure::ClosedByPeer),
            Ending::Error(error) => {
                attempt.refused(ctx, Failure::Refused { phase: Phase::ModeConfig, notify: error.to_string() });
                Next::Wait(Stage::Configuration(self))
            }
        }
    }

    fn fail(mut self: Box<Self>, ctx: &mut Context<'_>, fault: AddressFault) -> Next {
        farewell(ctx, &mut self.sa);
        Next::Failed(Failure::AddressRefused { reason: fault.to_string() })
    }
}

/// Answers what the gateway begins after the opening: a SET is acknowledged whenever it comes, though the addresses stay those of the opening.
/// Repetitions are not for here: ask `Answers::repeat` first.
pub(super) fn answer_late(
    ctx: &mut Context<'_>,
    sa: &mut IsakmpSa,
    answers: &mut Answers,
    transaction: &Transaction,
    message: &[u8],
) -> Result<(), DropReason> {
    let (kind, attributes) = match transaction.attributes.kind {
        kind::SET => (kind::ACK, acknowledged(&transaction.attributes)),
        kind::REQUEST if !xauth::is_xauth(&transaction.attributes) => (kind::REPLY, Vec::new()),
        _ => return Err(DropReason::Unacceptable),
    };
    answers.reply(ctx, sa, (transaction, message), kind, attributes).ok_or(DropReason::Unacceptable)
}

/// What is asked for, in a fixed order.
fn asked(wanted: &AddressRequest, unity: bool) -> Vec<(u16, Vec<u8>)> {
    let common = attribute::request(wanted).into_iter().map(|attribute| match attribute.kind {
        // draft-dukes-ike-mode-cfg-02 §3.4: an address alone, without the length of a prefix.
        INTERNAL_IP6_ADDRESS => (attribute.kind, attribute.value.get(..16).unwrap_or_default().to_vec()),
        _ => (attribute.kind, attribute.value),
    });
    let mut asked: Vec<(u16, Vec<u8>)> = common.collect();
    if wanted.ipv4.is_some() {
        asked.push((INTERNAL_IP4_NETMASK, Vec::new()));
    }
    if unity {
        let kinds = [UNITY_BANNER, UNITY_DEF_DOMAIN, UNITY_SPLITDNS_NAME, UNITY_SPLIT_INCLUDE];
        asked.extend(kinds.map(|kind| (kind, Vec::new())));
    }
    asked
}

/// draft-dukes-ike-mode-cfg-02 §2: what was accepted of a SET, without values. A status of XAUTH keeps its value.
fn acknowledged(set: &Attributes) -> Vec<(u16, Vec<u8>)> {
    let known = set.attributes.iter().filter(|(kind, _)| KNOWN.contains(kind));
    known.map(|(kind, _)| (*kind, Vec::new())).chain(xauth::status(set)).collect()
}

/// Checks what the gateway gave; text goes where people see it.
pub(super) fn accept(
    ctx: &mut Context<'_>,
    gateway: IpAddr,
    given: &Attributes,
) -> Result<Configuration, AddressFault> {
    let given: Vec<(u16, Vec<u8>)> = given.attributes.iter().cloned().map(with_prefix).collect();
    let common = given.iter().map(|(kind, value)| (*kind, value.as_slice()));
    let mut configuration = attribute::accept(&ctx.profile.request, gateway, common)?;
    for (kind, value) in &given {
        match *kind {
            UNITY_BANNER if !value.is_empty() => {
                ctx.event(Event::Notice(format!("the gateway says: {}", text::untrusted(value))));
            }
            UNITY_DEF_DOMAIN => add(&mut configuration.domains, text::domain(value)),
            UNITY_SPLITDNS_NAME => {
                let names = value.split(|octet| [b',', b' ', b'\0', b'\n'].contains(octet));
                names.for_each(|name| add(&mut configuration.domains, text::domain(name)));
            }
            UNITY_SPLIT_INCLUDE => {
                value.chunks(SPLIT_ENTRY).for_each(|entry| add(&mut configuration.subnets, split_subnet(entry)));
            }
            _ => {}
        }
    }
    Ok(configuration)
}

/// Address, mask, and six octets of protocol and ports.
const SPLIT_ENTRY: usize = 14;

fn split_subnet(entry: &[u8]) -> Option<(IpAddr, u8)> {
    let address = Ipv4Addr::from(*entry.first_chunk::<4>()?);
    let mask = u32::from_be_bytes(*entry.get(4..)?.first_chunk()?);
    let prefix_len = mask.leading_ones();
    (mask.count_ones() == prefix_len).then_some((address.into(), u8::try_from(prefix_len).ok()?))
}

fn add<T: PartialEq>(list: &mut Vec<T>, item: Option<T>) {
    if let Some(item) = item.filter(|item| list.len() < MOST_OF_A_KIND && !list.contains(item)) {
        list.push(item);
    }
}

/// An address of IPv6 comes alone (draft-dukes-ike-mode-cfg-02 §3.4), or as in IKEv2 with the length of a prefix.
fn with_prefix((kind, mut value): (u16, Vec<u8>)) -> (u16, Vec<u8>) {
    if kind == INTERNAL_IP6_ADDRESS && value.len() == 16 {
        value.push(128);
    }
    (kind, value)
}
