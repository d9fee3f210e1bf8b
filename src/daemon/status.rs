//! How a tunnel stands, as it is told on the control socket. Keys are not in what it is made of.

use serde_json::{Value, json};

use crate::daemon::control::{Control, protocol};
use crate::ike::action::{ChildUp, SessionStatus};
use crate::sa::selector::Selector;
use crate::tunnel::TunnelStatus;
use crate::tunnel::diagnosis::selectors;

/// The answer to the request `status`.
pub(super) fn answer(device: &str, status: &TunnelStatus, control: Option<&Control>) -> Value {
    let children: Vec<Value> = status.children.iter().map(child).collect();
    let fields = json!({
        "program": env!("CARGO_PKG_VERSION"),
        "process": std::process::id(),
        "device": device,
        "state": status.state,
        "session": status.session.as_ref().map(session),
        "children": children,
        "refused": control.map(|control| control.refused().to_json()),
    });
    protocol::answer("status", fields)
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
