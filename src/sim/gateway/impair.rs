//! What a gateway can be told to do wrong, or to do at a moment that is hard for the client.

use std::time::Duration;

use super::octets::Payload;

/// One way to misbehave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Impairment {
    /// Answers nothing at all.
    Silent,
    /// Knows another key.
    WrongPsk,
    /// Calls itself something else.
    WrongIdentity,
    /// Sends EAP instead of AUTH.
    Eap,
    /// Leaves AUTH out.
    NoAuth,
    /// Says its AUTH is an RSA signature.
    RsaMethod,
    /// Cuts AUTH short by an octet.
    ShortAuth,
    /// Asks for another cookie for ever.
    CookieForever,
    /// Asks for a group that was not offered.
    UnofferedGroup,
    /// Asks for another offered group for ever.
    GroupForever,
    /// Says NO_PROPOSAL_CHOSEN to everything.
    NoProposal,
    /// Puts a transform into the chosen IKE proposal that was not offered.
    ExtraTransform,
    /// Leaves a transform out of the chosen IKE proposal.
    MissingTransform,
    /// Answers with another proposal number.
    WrongNumber,
    /// Answers with the client's own nonce.
    EchoNonce,
    /// Answers with the client's own key exchange value.
    EchoKeyExchange,
    /// Its key exchange value is all zero.
    ZeroKeyExchange,
    /// Its nonce has 15 octets.
    ShortNonce,
    /// Refuses the child, but not the IKE SA, with this notify.
    RefuseChild(u16),
    /// Answers with selectors wider than asked.
    WiderSelectors,
    /// Answers with an ESP SPI of the reserved range.
    ReservedSpi,
    /// Gives 127.0.0.1 as inner address.
    LoopbackAddress,
    /// Gives no address.
    NoAddress,
    /// Says transport mode although nobody asked.
    TransportMode,
    /// Puts a payload of an unknown type, marked critical, into the IKE_AUTH response.
    CriticalPayload,
    /// Fails authentication of the client in a protected response.
    RefuseClient,
    /// Sends the IKE_AUTH response with an unknown payload and notify and in another order.
    OddOrder,
    /// Forgets the SA without a word.
    ForgetAfter(Duration),
    /// Deletes the IKE SA.
    DeleteIkeAfter(Duration),
    /// Deletes the child SA.
    DeleteChildAfter(Duration),
    /// Asks to rekey the child SA.
    RekeyChildAfter(Duration),
    /// Asks to rekey the IKE SA.
    RekeyIkeAfter(Duration),
    /// Answers every CREATE_CHILD_SA request with this notify.
    RefuseRekey(u16),
    /// In rekeys, its own and the client's, its key exchange value is all zero.
    ZeroRekeyExchange,
    /// Answers a rekey of a child with narrower selectors.
    NarrowRekey,
    /// Answers UPDATE_SA_ADDRESSES with this error notify.
    RefuseAddresses(u16),
    /// Returns another COOKIE2 than it got.
    OtherCookie2,
    /// Sees the client elsewhere whenever it is asked.
    RandomMapping,
    /// Sends this protected request.
    RequestAfter(Duration, u8, Vec<Payload>),
    /// Sends these payloads in an INFORMATIONAL without any protection.
    InClear(Duration, Vec<Payload>),
}

impl Impairment {
    /// When after establishment it happens, for those that happen once.
    pub(super) fn delay(&self) -> Option<Duration> {
        match self {
            Self::ForgetAfter(delay)
            | Self::DeleteIkeAfter(delay)
            | Self::DeleteChildAfter(delay)
            | Self::RekeyChildAfter(delay)
            | Self::RekeyIkeAfter(delay)
            | Self::RequestAfter(delay, ..)
            | Self::InClear(delay, _) => Some(*delay),
            _ => None,
        }
    }
}
