//! Octets to every reader of IKEv2 messages: as a datagram with its own header, and as payloads behind one that is right.
//! What was read must survive being written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vpnd::ike::{
    v2::message::{
        AuthRequest, AuthResponse, CreateChildRequest, Informational, MessageError, SaInitRequest, SaInitResponse,
        payload::{parse_all, write_contents},
    },
    wire::{
        chain::{Contents, Outer, RawPayload, parse_inner, parse_outer},
        error::EncodeError,
        header::Header,
        registry::PayloadType,
    },
};

fuzz_target!(|data: &[u8]| {
    if let Ok((header, rest)) = Header::parse(data) {
        assert_eq!(header.write(rest.len()).map(|octets| octets.len() + rest.len()), Ok(data.len()));
        if let Ok(outer) = parse_outer(&header, rest) {
            if let Some(protected) = &outer.protected {
                assert_eq!(data.get(protected.sealed_at..), Some(protected.sealed));
            }
            read(&outer);
        }
    }
    if let Some((first, octets)) = data.split_first()
        && let Ok(clear) = parse_inner(PayloadType(*first), octets)
    {
        read(&Outer { clear, protected: None });
    }
});

fn read(outer: &Outer<'_>) {
    let raw = &outer.clear;
    if let Ok(payloads) = parse_all(raw)
        && let Ok(contents) = write_contents(&payloads)
    {
        assert_eq!(parse_all(&reread(&contents)), Ok(payloads));
    }
    if let Ok(message) = SaInitResponse::parse(outer) {
        is_stable(message, SaInitResponse::contents, |raw| {
            SaInitResponse::parse(&Outer { clear: raw.to_vec(), protected: None })
        });
    }
    if let Ok(message) = SaInitRequest::parse(raw) {
        is_stable(message, SaInitRequest::contents, SaInitRequest::parse);
    }
    if let Ok(message) = AuthResponse::parse(raw) {
        is_stable(message, AuthResponse::contents, AuthResponse::parse);
    }
    if let Ok(message) = Informational::parse(raw) {
        is_stable(message, Informational::contents, Informational::parse);
    }
    if let Ok(message) = AuthRequest::parse(raw) {
        // Its notifies are written where the RFC puts them, so only the second reading is as the first.
        if let Ok(contents) = message.contents()
            && let Ok(ordered) = AuthRequest::parse(&reread(&contents))
        {
            is_stable(ordered, AuthRequest::contents, AuthRequest::parse);
        }
    }
    if let Err(error) = CreateChildRequest::parse(raw) {
        let answer = error.answer();
        assert!(answer.kind.is_error() && answer.spi.is_empty() && answer.data.len() <= 1);
    }
}

fn is_stable<M: PartialEq + std::fmt::Debug>(
    message: M,
    write: impl Fn(&M) -> Result<Contents, EncodeError>,
    read: impl Fn(&[RawPayload<'_>]) -> Result<M, MessageError>,
) {
    if let Ok(contents) = write(&message) {
        assert_eq!(read(&reread(&contents)), Ok(message));
    }
}

fn reread(contents: &Contents) -> Vec<RawPayload<'_>> {
    parse_inner(contents.first, &contents.octets).expect("what was written can be read")
}
