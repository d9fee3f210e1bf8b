//! The TSi and TSr payloads (RFC 7296 §3.13).

use std::net::IpAddr;

use crate::ike::wire::{
    error::{DecodeError, EncodeError},
    reader::Reader,
    registry::SelectorType,
    writer::Writer,
};
use crate::sa::selector::Selector;

/// One side's selectors, in order. Empty if all were of unknown types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficSelectors(pub Vec<Selector>);

impl TrafficSelectors {
    /// From the body of a payload, to its end. Selectors of an unknown type are left out.
    pub fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = reader.u8()?;
        reader.take(3)?;
        let mut selectors = Vec::new();
        for _ in 0..count {
            let structure = reader.structure()?;
            let mut content = structure.content;
            let kind = SelectorType(structure.first);
            if kind.name().is_none() {
                continue;
            }
            let first_port = content.u16()?;
            let last_port = content.u16()?;
            let (start, end): (IpAddr, IpAddr) = if kind == SelectorType::IPV4_ADDR_RANGE {
                (content.array::<4>()?.into(), content.array::<4>()?.into())
            } else {
                (content.array::<16>()?.into(), content.array::<16>()?.into())
            };
            content.finish()?;
            let selector = Selector::new(start, end, structure.second, first_port, last_port)
                .ok_or(DecodeError::Value { field: "traffic selector range", at: structure.at })?;
            selectors.push(selector);
        }
        Ok(Self(selectors))
    }

    /// The body of a payload.
    pub fn write(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        writer.count(self.0.len())?;
        writer.octets(&[0; 3]);
        for selector in &self.0 {
            let kind = match selector.start() {
                IpAddr::V4(_) => SelectorType::IPV4_ADDR_RANGE,
                IpAddr::V6(_) => SelectorType::IPV6_ADDR_RANGE,
            };
            writer.structure(kind.0, selector.protocol(), |writer| {
                writer.u16(selector.first_port());
                writer.u16(selector.last_port());
                for address in [selector.start(), selector.end()] {
                    match address {
                        IpAddr::V4(address) => writer.octets(&address.octets()),
                        IpAddr::V6(address) => writer.octets(&address.octets()),
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}
