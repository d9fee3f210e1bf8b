//! A session that goes on in another process, as values. It knows that there are two kinds of them, and what keeps one from being carried now.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ike::{v1, v2};

/// An established session at rest, with its keys. Written down it is as secret as they are.
#[derive(Serialize, Deserialize)]
pub struct SessionState(pub(in crate::ike) Kind);

#[derive(Serialize, Deserialize)]
pub(in crate::ike) enum Kind {
    Ikev1(Box<v1::EstablishedState>),
    Ikev2(Box<v2::EstablishedState>),
}

/// Why a session cannot be carried to another process just now; it passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy(pub &'static str);

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Ikev1(_) => "SessionState(IKEv1)",
            Kind::Ikev2(_) => "SessionState(IKEv2)",
        })
    }
}
