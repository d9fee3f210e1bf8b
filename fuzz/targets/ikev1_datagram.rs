//! Octets to every reader of IKEv1 messages: as a datagram with its own header, and as payloads behind one that is right.
//! What was read must survive being written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vpnd::ike::{
    v1::{
        header::{Header, PayloadType},
        message::{
            AggressiveAnswer, AggressiveOpening, AggressiveProof, Attributes, Hashed, Informational, MainModeAuth,
            MainModeKeys, MainModeProposal, QuickModeProposal,
        },
    },
    wire::{
        chain::Contents,
        error::{DecodeError, EncodeError},
    },
};

fuzz_target!(|data: &[u8]| {
    if let Ok((header, rest)) = Header::parse(data) {
        let written = header.write(rest.len()).expect("as long as it was");
        // Only 1.0 is written.
        let expected = Header { major: 1, ..header };
        assert_eq!(Header::parse(&[written.as_slice(), rest].concat()), Ok((expected, rest)));
        read(header.next_payload, rest);
    }
    if let Some((first, octets)) = data.split_first() {
        read(PayloadType(*first), octets);
    }
});

fn read(first: PayloadType, octets: &[u8]) {
    is_stable(first, octets, MainModeProposal::parse, MainModeProposal::contents);
    is_stable(first, octets, MainModeKeys::parse, MainModeKeys::contents);
    is_stable(first, octets, MainModeAuth::parse, MainModeAuth::contents);
    is_stable(first, octets, AggressiveOpening::parse, AggressiveOpening::contents);
    is_stable(first, octets, AggressiveAnswer::parse, AggressiveAnswer::contents);
    is_stable(first, octets, AggressiveProof::parse, AggressiveProof::contents);
    is_stable(first, octets, QuickModeProposal::parse, QuickModeProposal::contents);
    is_stable(first, octets, Informational::parse, Informational::contents);
    is_stable(first, octets, Attributes::parse, Attributes::contents);
    if let Ok(hashed) = Hashed::parse(first, octets) {
        // What a hash covers is the chain behind it, whole and without padding: it can be read as one.
        let again = Hashed::parse(first, &octets[..octets.len() - trailing(octets, &hashed)]);
        assert_eq!(again, Ok(hashed.clone()));
        if let Ok(message) = Informational::parse(PayloadType(hashed.next), hashed.rest) {
            assert!(!message.notifies.is_empty() || !message.deletes.is_empty());
        }
    }
}

/// Octets behind the chain.
fn trailing(octets: &[u8], hashed: &Hashed<'_>) -> usize {
    octets.len() - 4 - hashed.hash.len() - hashed.rest.len()
}

fn is_stable<M: PartialEq + std::fmt::Debug>(
    first: PayloadType,
    octets: &[u8],
    read: impl Fn(PayloadType, &[u8]) -> Result<M, DecodeError>,
    write: impl Fn(&M) -> Result<Contents, EncodeError>,
) {
    if let Ok(message) = read(first, octets)
        && let Ok(contents) = write(&message)
    {
        assert_eq!(read(PayloadType(contents.first.0), &contents.octets), Ok(message));
    }
}
