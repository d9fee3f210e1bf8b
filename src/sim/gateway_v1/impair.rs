//! What a gateway can be told to do wrong, or to do at a moment that is hard for the client.

use std::time::Duration;

use super::octets::{Attribute, Payload};

/// One way to misbehave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Impairment {
    /// Answers nothing at all.
    Silent,
    /// Sends each datagram twice.
    Twice,

    /// Says NO-PROPOSAL-CHOSEN, in clear, to every phase 1.
    NoProposal,
    /// Changes the SA of its answer.
    Sa(SaChange),
    /// Answers with a payload of phase 1 that is not what it should be.
    KeyExchange(ValueChange),
    /// The same for its nonce.
    Nonce(ValueChange),
    /// Swaps the cookies of its second message.
    SwappedCookies,
    /// Its second message is one of another exchange.
    SwitchedExchange,
    /// Sets every octet that must be zero.
    ReservedNonzero,
    /// Says nothing of NAT traversal, and sends no NAT-D.
    NoNatTraversal,
    /// Puts these payloads into its second message.
    Surplus(Vec<Payload>),
    /// Sends no HASH_R.
    NoHash,
    /// HASH_R has one bit wrong.
    WrongHash,
    /// HASH_R lacks its last octet.
    ShortHash,
    /// Sends the client's own ID and HASH_I back.
    ReflectedHash,
    /// Knows another key.
    WrongPsk,
    /// Calls itself something else.
    WrongIdentity,
    /// The protocol and port of its ID.
    IdentityPort(u8, u16),
    /// The message with HASH_R is not encrypted, in main mode.
    LastInClear,

    /// Asks for XAUTH although no such method was agreed on.
    UninvitedXauth,
    /// Says that name or password are wrong.
    XauthFails,
    /// Puts these into its XAUTH request.
    XauthAsks(Vec<Attribute>),
    /// Answers no request for an address.
    NoConfiguration,
    /// Gives these attributes, and nothing else.
    Configures(Vec<Attribute>),
    /// Answers a request for an address with another identifier.
    WrongIdentifier,
    /// Its hash in transaction exchanges has one bit wrong.
    WrongTransactionHash,

    /// Refuses every quick mode with this protected notify.
    RefuseQuick(u16),
    /// Answers no quick mode.
    SilentQuick,
    /// Changes the SA of its quick mode answer.
    QuickSa(SaChange),
    /// HASH(2) has one bit wrong.
    WrongQuickHash,
    /// Sends a quick mode answer in which SA does not follow HASH.
    QuickOrder,
    /// The nonce of its quick mode answer.
    QuickNonce(ValueChange),
    /// Sends no KE in quick mode although there was one.
    NoQuickKeyExchange,
    /// Sends a KE in quick mode although there was none.
    UnaskedQuickKeyExchange,
    /// IDcr of its quick mode answer: type and data.
    QuickIdentity(u8, Vec<u8>),
    /// Sends no IDs in its quick mode answer.
    NoQuickIdentities,
    /// Sets the commit bit, and never says CONNECTED.
    CommitForever,
    /// Says in its quick mode answer that the SA lives this many seconds.
    ResponderLifetime(u32),

    /// Numbers its fragments from zero.
    FragmentZero,
    /// Sends every fragment twice, in turns with fragments of another message that never ends.
    FragmentsMixed,
    /// Sends fragments without end instead of its first long message.
    FragmentsEndless,
    /// Sends each fragment number twice with other octets.
    FragmentsOverlapping,
    /// Sends its fragments from the last to the first.
    FragmentsReversed,

    /// Answers no R-U-THERE.
    IgnoreProbes,
    /// Answers R-U-THERE with another number.
    WrongProbeAnswer,

    /// Does this so long after an ISAKMP SA was made.
    After(Duration, Deed),
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueChange {
    /// It is missing.
    Missing,
    /// It is there twice.
    Twice,
    /// All octets are zero.
    Zero,
    /// All bits are set.
    Ones,
    /// It is the client's own.
    Echoed,
    /// It has this many octets.
    Length(usize),
}

/// What is wrong with a chosen SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaChange {
    /// There are two SA payloads.
    TwoPayloads,
    /// There are two proposals.
    TwoProposals,
    /// There are two transforms.
    TwoTransforms,
    /// There is no transform.
    NoTransform,
    /// The attribute of this type has another value.
    Attribute(u16, u16),
    /// The attribute of this type is missing.
    WithoutAttribute(u16),
    /// There is one attribute more.
    ExtraAttribute(u16, u16),
    /// Numbers are written in the long form where they came in the short, and the other way: it means the same.
    OtherForm,
    /// Another transform number.
    TransformNumber,
    /// Another transform ID.
    TransformId(u8),
    /// Another proposal number.
    ProposalNumber,
    /// Another protocol.
    Protocol(u8),
    /// Another DOI.
    Doi(u32),
    /// Another situation.
    Situation(u32),
    /// Another SPI.
    Spi(u32),
    /// An SPI of this many octets.
    SpiLength(usize),
}

/// Something done at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Forgets the SA and its children without a word.
    Forget,
    /// Forgets the SA and its children, and answers nothing for this long.
    Outage(Duration),
    /// Deletes the ISAKMP SA.
    DeleteIke,
    /// Deletes the ISAKMP SA but keeps its children.
    DeleteIkeAlone,
    /// Deletes the children.
    DeleteChildren,
    /// Deletes the children twice in one message.
    DeleteTwice,
    /// Deletes the children and says something about them in one message.
    DeleteThenNotify,
    /// Deletes the ISAKMP SA and the children in one message.
    DeleteAll,
    /// Begins a quick mode for each child.
    Rekey,
    /// Begins a quick mode with these IDs: type and data of IDci, and of IDcr.
    QuickFor((u8, Vec<u8>), (u8, Vec<u8>)),
    /// Begins a quick mode that offers what nobody wants.
    QuickWithOddProposal,
    /// Sends attributes with SET.
    Push(Vec<Attribute>),
    /// Asks for name and password again.
    XauthAgain,
    /// Sends these payloads in a protected exchange of this number.
    Protected(u8, Vec<Payload>),
    /// Sends these payloads in an INFORMATIONAL with a wrong HASH(1).
    WrongHash(Vec<Payload>),
    /// Sends these payloads in an encrypted INFORMATIONAL without HASH.
    WithoutHash(Vec<Payload>),
    /// Sends these payloads in an INFORMATIONAL in clear.
    Clear(Vec<Payload>),
    /// Deletes ISAKMP SA and children, in clear.
    ClearDelete,
    /// Asks for a sign of life in clear.
    ClearProbe,
    /// Asks for a sign of life with the cookies of another SA.
    ProbeOfAnother,
    /// Shortens the children's lifetime to this many seconds, protected, in an INFORMATIONAL.
    Lifetime(u32),
    /// The same in clear.
    ClearLifetime(u32),
    /// Sends the last protected message again.
    Replay,
}

impl Impairment {
    /// When after establishment it happens, for those that happen once.
    pub(super) fn moment(&self) -> Option<(Duration, &Deed)> {
        match self {
            Self::After(delay, deed) => Some((*delay, deed)),
            _ => None,
        }
    }
}
