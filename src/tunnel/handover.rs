//! A tunnel that goes on in another process, as values. A tunnel that is up is carried with its session; of one that waits for its next attempt only what
//! it remembers. In between it is not carried: that passes within seconds.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::crypto::prf::Prf;
use crate::crypto::random::Random;
use crate::ike::action::ChildUp;
use crate::ike::handover::{Busy, SessionState};
use crate::ike::identity::Identity;
use crate::ike::profile::Protocol;
use crate::ike::session::Session;
use crate::sa::handover::Unrestorable;
use crate::time::Instant;
use crate::tunnel::Tunnel;
use crate::tunnel::displacement::Displacement;
use crate::tunnel::line::{Connected, Name, State, Which};
use crate::tunnel::path::Following;
use crate::tunnel::settings::{EarlierAddresses, Host, TunnelSettings};
use crate::tunnel::succession::{Reason, Successor};

/// See the module. Written down it is as secret as the keys in it.
#[derive(Debug, Serialize, Deserialize)]
pub struct TunnelState {
    connected: Option<ConnectedState>,
    /// Why a successor is wanted, if one is.
    succession: Option<Reason>,
    return_at: Option<Instant>,
    next_name: Name,
    displacement: Displacement,
    earlier: EarlierAddresses,
    /// What the path to a gateway was found to carry.
    path: Option<(IpAddr, u16)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ConnectedState {
    name: Name,
    session: SessionState,
    rank: usize,
    remote: IpAddr,
    local: SocketAddr,
    identity: Identity,
    children: Vec<ChildUp>,
    started: Instant,
    is_cut_off: bool,
    up_since: Instant,
    expiring: bool,
}

impl TunnelState {
    /// Whether a session goes on, and not only what the tunnel remembers.
    pub const fn is_up(&self) -> bool {
        self.connected.is_some()
    }
}

impl Tunnel {
    /// The tunnel as values, for another process that goes on with it; this one is as before. Actions that wait have to be carried out before.
    ///
    /// # Errors
    /// [`Busy`] while something is under way that cannot be carried.
    pub fn export(&self) -> Result<TunnelState, Busy> {
        let Self {
            settings: _,
            random: _,
            fork: _,
            current,
            successor,
            formers,
            next_name,
            configuring,
            return_at,
            displacement,
            earlier,
            following,
            actions,
        } = self;
        if !actions.is_empty() || !configuring.is_empty() {
            return Err(Busy("something is left to be done"));
        }
        if !formers.is_quiet() {
            return Err(Busy("an earlier session is being closed"));
        }
        if successor.as_ref().is_some_and(|successor| successor.line.connected().is_some()) {
            return Err(Busy("a session that succeeds this one is being made"));
        }
        let connected = match &current.state {
            State::Connected(connected) => Some(connected.export()?),
            State::Resolving(_) | State::Binding(..) | State::Waiting { .. } => None,
            State::Closing { .. } | State::Closed => return Err(Busy("the tunnel is being closed")),
        };
        Ok(TunnelState {
            connected,
            succession: successor.as_ref().map(Successor::reason),
            return_at: *return_at,
            next_name: *next_name,
            displacement: displacement.clone(),
            earlier: *earlier,
            path: following.known(),
        })
    }

    /// The tunnel again, in the process that goes on with it; what was not connected is tried at once.
    ///
    /// # Errors
    /// [`Unrestorable`].
    pub fn restore(
        settings: Arc<TunnelSettings>,
        random: Box<dyn Random>,
        fork: fn(&mut dyn Random) -> Box<dyn Random>,
        now: Instant,
        state: TunnelState,
    ) -> Result<Self, Unrestorable> {
        let TunnelState { connected, succession, return_at, next_name, displacement, earlier, path } = state;
        let idle = Self::idle(settings, random, fork);
        let following = Following::after(path);
        let mut tunnel = Self { return_at, next_name, displacement, earlier, following, ..idle };
        let Some(connected) = connected else {
            tunnel.try_next(now, Which::Current, false);
            return Ok(tunnel);
        };
        tunnel.current.state = State::Connected(Box::new(tunnel.connected_again(connected)?));
        // What is set of the host is as the process before had it.
        tunnel.configure(Which::Current);
        tunnel.look_at_link();
        if let Some(reason) = succession {
            tunnel.start_successor(now, reason);
        }
        Ok(tunnel)
    }

    fn connected_again(&mut self, state: ConnectedState) -> Result<Connected, Unrestorable> {
        let ConnectedState {
            name,
            session,
            rank,
            remote,
            local,
            identity,
            children,
            started,
            is_cut_off,
            up_since,
            expiring,
        } = state;
        let host = self.settings.gateways.get(rank).cloned().unwrap_or(Host::Address(remote));
        let path = self.settings.first_path(local, remote);
        let mut profile = self.settings.profile(&host, path, self.earlier, &self.displacement);
        profile.child.first_id = name.first_child();
        Ok(Connected {
            name,
            session: Session::restore(Arc::new(profile), (self.fork)(&mut *self.random), session)?,
            rank,
            phases: self.settings.profile.protocol.phases(),
            held: Vec::new(),
            heard: Vec::new(),
            believed: None,
            remote,
            local,
            identity,
            children,
            ready: true,
            started,
            sent: 0,
            is_answered: true,
            answer_by: None,
            is_cut_off,
            moving_to: None,
            probed: None,
            up_since: Some(up_since),
            expiring,
        })
    }
}

impl Connected {
    fn export(&self) -> Result<ConnectedState, Busy> {
        let Self {
            name,
            session,
            rank,
            remote,
            local,
            identity,
            phases: _,
            children,
            held,
            heard: _,
            believed: _,
            ready,
            started,
            sent: _,
            is_answered: _,
            answer_by: _,
            is_cut_off,
            moving_to,
            probed: _,
            up_since,
            expiring,
        } = self;
        let (true, Some(up_since), true) = (*ready, *up_since, held.is_empty()) else {
            return Err(Busy("the tunnel is being made"));
        };
        if moving_to.is_some() {
            return Err(Busy("the tunnel moves to another address"));
        }
        Ok(ConnectedState {
            name: *name,
            session: session.export()?,
            rank: *rank,
            remote: *remote,
            local: *local,
            identity: identity.clone(),
            children: children.clone(),
            started: *started,
            is_cut_off: *is_cut_off,
            up_since,
            expiring: *expiring,
        })
    }
}

impl TunnelSettings {
    /// What a new session is needed for when it differs, by configuration key: not the values, but what HMAC-SHA-256 makes of each under `key`, so that
    /// two processes can compare them and none tells the other a secret.
    pub fn marks(&self, key: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let profile = &self.profile;
        let (protocol, password) = match &profile.protocol {
            Protocol::Ikev1(ikev1) => {
                let user = ikev1.xauth.as_ref().map(|xauth| &xauth.user);
                let password = ikev1.xauth.as_ref().map(|xauth| xauth.password.expose());
                (format!("1 {:?} {user:?}", ikev1.mode), password.unwrap_or_default())
            }
            Protocol::Ikev2 => ("2".into(), &[][..]),
        };
        let shown = |value: &dyn std::fmt::Debug| format!("{value:?}").into_bytes();
        let values: [(&str, Vec<u8>); 11] = [
            ("[gateway] address", shown(&self.gateways)),
            ("[gateway] port", shown(&(self.first_port, profile.encapsulation_port))),
            ("[gateway] id", shown(&self.remote_identity)),
            ("[gateway] subnets", shown(&profile.child.remote)),
            ("[local] id", shown(&self.local_identity)),
            ("[local] address", shown(&profile.request)),
            ("[local] subnets", shown(&profile.child.local)),
            ("[ike] version", protocol.into_bytes()),
            ("[ike] mobike", shown(&profile.mobike)),
            ("[ike] proposals", shown(&profile.ike_offers)),
            ("[esp] proposals", shown(&profile.child.offers)),
        ];
        let secrets = [("[gateway] psk", profile.psk.expose()), ("[ike] xauth_password", password)];
        let values = values.iter().map(|(name, value)| (*name, value.as_slice())).chain(secrets);
        let mark = |(name, value): (&str, &[u8])| {
            let mark = Prf::HmacSha256.compute(key, &[name.as_bytes(), &[0], value]);
            (name.to_owned(), mark.expose().to_vec())
        };
        values.map(mark).collect()
    }
}

/// The keys that both processes know and that differ.
pub fn differing(ours: &BTreeMap<String, Vec<u8>>, theirs: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    ours.iter()
        .filter(|(key, mark)| theirs.get(*key).is_some_and(|other| other != *mark))
        .map(|(key, _)| key.clone())
        .collect()
}
