use super::*;
use crate::io::offload::coalesce::tests::{tcp_train, udp_train};

/// What a device was given, and what it answered.
struct Device {
    written: Vec<(Header, Vec<u8>)>,
    refuses: fn(&Header) -> Option<i32>,
}

impl Device {
    fn new(refuses: fn(&Header) -> Option<i32>) -> Self {
        Self { written: Vec::new(), refuses }
    }

    fn take(&mut self, delivery: &mut Delivery, packets: &[Vec<u8>]) -> io::Result<()> {
        delivery.deliver_by(packets.iter().map(Vec::as_slice), |header, parts| match (self.refuses)(header) {
            Some(code) => Err(io::Error::from_raw_os_error(code)),
            None => {
                let packet = parts.iter().flat_map(|part| part.iter().copied()).collect();
                self.written.push((*header, packet));
                Ok(())
            }
        })
    }

    fn all_single(&self) -> Vec<Vec<u8>> {
        assert!(self.written.iter().all(|(header, _)| header.is_plain()));
        self.written.iter().map(|(_, packet)| packet.clone()).collect()
    }
}

fn traffic() -> Vec<Vec<u8>> {
    [tcp_train(4, 5), udp_train(6, 4), tcp_train(6, 3)].concat()
}

fn super_packet(header: &Header) -> bool {
    header.segmentation.is_some()
}

#[test]
fn each_step_of_the_device_gets_what_it_takes() {
    for (offload, expected) in [
        (Offload::Udp, Delivered { super_packets: 3, merged: 12, ..Delivered::default() }),
        (Offload::Tcp, Delivered { super_packets: 2, merged: 8, ..Delivered::default() }),
        (Offload::Header, Delivered { super_packets: 2, merged: 8, ..Delivered::default() }),
        (Offload::None, Delivered::default()),
    ] {
        let mut delivery = Delivery::new(offload, 1);
        let mut device = Device::new(|_| None);
        device.take(&mut delivery, &traffic()).unwrap();
        assert_eq!(delivery.delivered(), expected, "{offload:?}");
        let supers = device.written.iter().filter(|(header, _)| super_packet(header)).count();
        assert_eq!(device.written.len() - supers, 12 - usize::try_from(expected.merged).unwrap());
    }
}

#[test]
fn what_is_refused_is_written_singly_and_not_tried_again() {
    for code in [libc::EINVAL, libc::EIO, libc::EMSGSIZE, libc::EOPNOTSUPP] {
        static CODE: std::sync::atomic::AtomicI32 = std::sync::atomic::AtomicI32::new(0);
        CODE.store(code, std::sync::atomic::Ordering::Relaxed);
        let mut delivery = Delivery::new(Offload::Udp, 8);
        let mut device =
            Device::new(|header| super_packet(header).then(|| CODE.load(std::sync::atomic::Ordering::Relaxed)));
        device.take(&mut delivery, &traffic()).unwrap();
        assert_eq!(device.all_single(), traffic());
        let once = Delivered { taken_apart: 3, ..Delivered::default() };
        assert_eq!(
            delivery.delivered(),
            once,
            "one TCP train of each family was merged before the batch ended, and UDP"
        );
        device.take(&mut delivery, &traffic()).unwrap();
        assert_eq!(delivery.delivered(), once);
        assert_eq!(device.written.len(), 24);
    }
}

#[test]
fn a_refusal_of_one_protocol_leaves_the_other_merged() {
    let mut delivery = Delivery::new(Offload::Udp, 8);
    let is_udp = |header: &Header| header.segmentation.is_some_and(|one| one.protocol == Segmented::Udp);
    let mut device = Device::new(|header| {
        let is_udp = |header: &Header| header.segmentation.is_some_and(|one| one.protocol == Segmented::Udp);
        is_udp(header).then_some(libc::EINVAL)
    });
    device.take(&mut delivery, &traffic()).unwrap();
    device.take(&mut delivery, &traffic()).unwrap();
    assert_eq!(delivery.delivered(), Delivered { super_packets: 4, merged: 16, taken_apart: 1, refused: 0 });
    assert!(!device.written.iter().any(|(header, _)| is_udp(header)));
}

#[test]
fn a_device_that_is_down_or_short_of_memory_gets_super_packets_again_later() {
    for refuses in [
        (|_: &Header| Some(libc::EIO)) as fn(&Header) -> Option<i32>,
        |header| super_packet(header).then_some(libc::ENOMEM),
        |header| super_packet(header).then_some(libc::EAGAIN),
    ] {
        let mut delivery = Delivery::new(Offload::Udp, 8);
        Device::new(refuses).take(&mut delivery, &traffic()).unwrap();
        assert_eq!(delivery.delivered().super_packets, 0);
        Device::new(|_| None).take(&mut delivery, &traffic()).unwrap();
        assert_eq!(delivery.delivered().super_packets, 3);
    }
}

#[test]
fn packets_that_a_device_refuses_are_counted_each() {
    let mut delivery = Delivery::new(Offload::Udp, 8);
    Device::new(|_| Some(libc::EIO)).take(&mut delivery, &traffic()).unwrap();
    assert_eq!(delivery.delivered(), Delivered { taken_apart: 3, refused: 12, ..Delivered::default() });
}

#[test]
fn a_removed_device_ends_the_delivery() {
    for offload in [Offload::Udp, Offload::None] {
        let mut delivery = Delivery::new(offload, 8);
        let error = Device::new(|_| Some(libc::EBADFD)).take(&mut delivery, &traffic()).unwrap_err();
        assert!(tun::is_gone(&error));
    }
}
