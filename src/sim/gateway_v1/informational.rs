//! Notifies, deletes and signs of life (RFC 2408 §3.14 and §3.15, RFC 3706).

use crate::time::Instant;

use super::impair::Impairment;
use super::octets::{Notify, Payload, exchange, find_all, notify, notify_payload, payload, read_delete};
use super::sa::{Pending, Sa, XauthState};
use super::{Gateway, REPEAT, Received, Unique};

impl Gateway {
    /// An authentic INFORMATIONAL. Returns whether the SA lives on.
    pub(super) fn handle_informational(&mut self, received: Received<'_>, sa: &mut Sa, payloads: &[Payload]) -> bool {
        for notify in find_all(payloads, payload::NOTIFY).filter_map(Notify::read) {
            match notify.kind {
                notify::R_U_THERE => self.answer_probe(received, sa, &notify),
                notify::R_U_THERE_ACK if notify.spi == sa.cookies() => self.counts.probe_answers += 1,
                _ => {}
            }
        }
        let mut lives = true;
        for (protocol, spis) in find_all(payloads, payload::DELETE).filter_map(read_delete) {
            match protocol {
                1 if spis.contains(&sa.cookies()) => {
                    self.counts.deletes.0 += 1;
                    if self.settings.unique != Unique::Independent {
                        self.children.retain(|child| child.owner != sa.cky_r);
                    }
                    lives = false;
                }
                3 => {
                    self.counts.deletes.1 += spis.len() as u64;
                    // The SPIs are those that the sender receives on.
                    self.children.retain(|child| !spis.contains(&child.pair.outbound().to_be_bytes().to_vec()));
                }
                _ => {}
            }
        }
        lives
    }

    fn answer_probe(&mut self, received: Received<'_>, sa: &mut Sa, probe: &Notify) {
        self.counts.probes += 1;
        let number = probe.data.as_slice().try_into().map(u32::from_be_bytes);
        let Ok(number) = number else { return };
        let expected = sa.expected_probe.unwrap_or(number);
        // RFC 3706 §6.2: one more than the last. Strict gateways take nothing else.
        if number != expected || probe.spi != sa.cookies() || probe.protocol != 1 {
            self.counts.odd_probes += 1;
            return;
        }
        sa.expected_probe = Some(number.wrapping_add(1));
        if self.impaired(&Impairment::IgnoreProbes) {
            return;
        }
        let number = if self.impaired(&Impairment::WrongProbeAnswer) { number ^ 1 } else { number };
        let cookies = sa.cookies();
        let answer = notify_payload(1, &cookies, notify::R_U_THERE_ACK, &number.to_be_bytes());
        let id = self.message_id();
        let message = sa.seal_hashed(exchange::INFORMATIONAL, 0, id, &[answer]);
        let messages = self.send_sealed(sa, message);
        self.remember(received.octets, messages);
    }

    /// Asks for a sign of life.
    pub(super) fn probe(&mut self, now: Instant, sa: &mut Sa) {
        if sa.next_probe == 0 {
            // RFC 3706 §6.2: random, and with the highest bit clear.
            sa.next_probe = u32::from_be_bytes(self.random_octets()) & 0x7fff_ffff;
        }
        let number = sa.next_probe;
        sa.next_probe += 1;
        sa.awaited_probe = Some(number);
        let messages = self.ask_with(sa, number);
        sa.pending.push(Pending { id: 0, messages, next: now.after(REPEAT), tries: 0, vital: true });
    }

    /// An R-U-THERE with this number.
    pub(super) fn ask_with(&mut self, sa: &mut Sa, number: u32) -> Vec<Vec<u8>> {
        let cookies = sa.cookies();
        let probe = notify_payload(1, &cookies, notify::R_U_THERE, &number.to_be_bytes());
        let id = self.message_id();
        let message = sa.seal_hashed(exchange::INFORMATIONAL, 0, id, &[probe]);
        self.send_sealed(sa, message)
    }

    /// Whether quick modes may begin.
    pub(super) fn is_authorized(sa: &Sa) -> bool {
        matches!(sa.xauth, XauthState::None | XauthState::Passed)
    }
}
