//! How impairments change what would have been said.

use super::impair::{SaChange, ValueChange};
use super::octets::{Attribute, Payload, Proposal, SecurityAssociation, Transform, payload};

impl ValueChange {
    /// Changes the payload of a kind; `theirs` is what the client sent.
    pub(super) fn apply(self, payloads: &mut Vec<Payload>, kind: u8, theirs: Option<&[u8]>) {
        let Some(place) = payloads.iter().position(|(number, _)| *number == kind) else { return };
        match self {
            Self::Missing => {
                payloads.remove(place);
            }
            Self::Twice => payloads.insert(place, payloads[place].clone()),
            Self::Zero => payloads[place].1.fill(0),
            Self::Ones => payloads[place].1.fill(0xff),
            Self::Echoed => payloads[place].1 = theirs.unwrap_or_default().to_vec(),
            Self::Length(length) => payloads[place].1.resize(length, 7),
        }
    }
}

impl SaChange {
    /// Changes the SA payload.
    pub(super) fn apply(self, payloads: &mut Vec<Payload>) {
        let Some(place) = payloads.iter().position(|(number, _)| *number == payload::SA) else { return };
        if self == Self::TwoPayloads {
            payloads.insert(place, payloads[place].clone());
            return;
        }
        let mut sa = SecurityAssociation::read(&payloads[place].1).expect("an SA of our own");
        self.apply_to(&mut sa);
        payloads[place].1 = sa.write();
    }

    fn apply_to(self, sa: &mut SecurityAssociation) {
        match self {
            Self::TwoPayloads => {}
            Self::TwoProposals => {
                let again = Proposal { number: sa.proposals[0].number + 1, ..sa.proposals[0].clone() };
                sa.proposals.push(again);
            }
            Self::TwoTransforms => {
                let first = &sa.proposals[0].transforms[0];
                let again = Transform { number: first.number + 1, ..first.clone() };
                sa.proposals[0].transforms.push(again);
            }
            Self::NoTransform => sa.proposals[0].transforms.clear(),
            Self::Doi(doi) => sa.doi = doi,
            Self::Situation(situation) => sa.situation = situation,
            Self::ProposalNumber => sa.proposals[0].number += 1,
            Self::Protocol(protocol) => sa.proposals[0].protocol = protocol,
            Self::Spi(spi) => sa.proposals[0].spi = spi.to_be_bytes().to_vec(),
            Self::SpiLength(length) => sa.proposals[0].spi.resize(length, 0x77),
            Self::TransformNumber => sa.proposals[0].transforms[0].number += 1,
            Self::TransformId(id) => sa.proposals[0].transforms[0].id = id,
            Self::Attribute(..) | Self::WithoutAttribute(_) | Self::ExtraAttribute(..) | Self::OtherForm => {
                self.apply_to_attributes(&mut sa.proposals[0].transforms[0].attributes);
            }
        }
    }

    fn apply_to_attributes(self, attributes: &mut Vec<Attribute>) {
        match self {
            Self::Attribute(kind, value) => {
                for attribute in attributes.iter_mut().filter(|attribute| attribute.kind == kind) {
                    *attribute = Attribute::short(kind, value);
                }
            }
            Self::WithoutAttribute(kind) => attributes.retain(|attribute| attribute.kind != kind),
            Self::ExtraAttribute(kind, value) => attributes.push(Attribute::short(kind, value)),
            Self::OtherForm => {
                for attribute in attributes {
                    let number = attribute.number().unwrap_or(0);
                    *attribute = match u16::try_from(number) {
                        Ok(small) if !attribute.short => Attribute::short(attribute.kind, small),
                        _ => Attribute::long(attribute.kind, &(number as u32).to_be_bytes()),
                    };
                }
            }
            _ => {}
        }
    }
}
