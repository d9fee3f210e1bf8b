//! How a tunnel stands, as it is told on the control socket. Keys are not in what it is made of.

use serde_json::{Map, Value, json};

use crate::daemon::control::{Control, protocol};
use crate::daemon::data_thread::{InboundCounters, OutboundCounters};
use crate::esp::counters::{Counters, DropReason};
use crate::ike::action::{ChildUp, SessionStatus};
use crate::sa::selector::Selector;
use crate::tunnel::TunnelStatus;
use crate::tunnel::diagnosis::selectors;

/// The answer to the request `status`.
pub(super) fn answer(
    device: &str,
    status: &TunnelStatus,
    counters: Option<&(OutboundCounters, InboundCounters)>,
    control: Option<&Control>,
) -> Value {
    let children: Vec<Value> = status.children.iter().map(child).collect();
    let fields = json!({
        "program": env!("CARGO_PKG_VERSION"),
        "process": std::process::id(),
        "device": device,
        "state": status.state,
        "session": status.session.as_ref().map(session),
        "children": children,
        "outbound": counters.map(|(counters, _)| outbound(counters)),
        "inbound": counters.map(|(_, counters)| inbound(counters)),
        "refused": control.map(|control| control.refused().to_json()),
    });
    protocol::answer("status", fields)
}

fn outbound(counters: &OutboundCounters) -> Value {
    counted(&counters.path, &[("unsent", counters.unsent)])
}

fn inbound(counters: &InboundCounters) -> Value {
    let own = [
        ("unreceived", counters.unreceived),
        ("foreign", counters.foreign),
        ("truncated", counters.truncated),
        ("unheard", counters.unheard),
        ("unjudged", counters.unjudged),
        ("floods", counters.floods),
        ("undelivered", counters.undelivered),
        ("ike", counters.path.ike),
    ];
    counted(&counters.path, &own)
}

fn counted(path: &Counters, own: &[(&str, u64)]) -> Value {
    let reasons = DropReason::ALL.iter().map(|reason| (reason.name().to_owned(), path.dropped(*reason)));
    let dropped: Map<String, Value> =
        reasons.filter(|(_, count)| *count != 0).map(|(name, count)| (name, count.into())).collect();
    let fixed = [("packets", path.packets.into()), ("octets", path.octets.into()), ("dropped", dropped.into())];
    let own = own.iter().map(|(name, count)| (*name, Value::from(*count)));
    fixed.into_iter().chain(own).map(|(name, value)| (name.to_owned(), value)).collect::<Map<String, Value>>().into()
}

fn session(session: &SessionStatus) -> Value {
    json!({
        "state": session.state,
        "gateway": session.path.remote.to_string(),
        "local": session.path.local.to_string(),
        "suite": session.suite.map(|suite| suite.to_string()),
        "our_spi": hex(&session.spis.0.to_octets()),
        "gateway_spi": session.spis.1.map(|spi| hex(&spi.to_octets())),
    })
}

fn child(child: &ChildUp) -> Value {
    let each = |list: &[Selector]| -> Vec<String> { list.iter().map(|one| selectors(&[*one])).collect() };
    let addresses = &child.configuration.addresses;
    json!({
        "child": child.child.0,
        "suite": child.suite.to_string(),
        "inbound_spi": hex(&child.inbound.to_octets()),
        "outbound_spi": hex(&child.outbound.to_octets()),
        "local": each(&child.local),
        "remote": each(&child.remote),
        "addresses": addresses.iter().map(|(address, length)| format!("{address}/{length}")).collect::<Vec<_>>(),
        "gateway": child.path.remote.to_string(),
    })
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
