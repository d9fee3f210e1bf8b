//! A name server for a lab: every name has one IPv4 address, which may be changed.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::lab::{Client, within};

/// It ends when it is dropped.
pub(crate) struct Names {
    address: Arc<Mutex<Ipv4Addr>>,
    stop: Arc<AtomicBool>,
    serving: Option<JoinHandle<()>>,
}

impl Names {
    /// Serves at the address of `place`, and is the only name server of `client`'s programs.
    pub(crate) fn start(place: &Client<'_>, client: &Client<'_>, address: &str) -> Self {
        let own = place.address();
        std::fs::write(format!("/etc/netns/{}/resolv.conf", client.namespace()), format!("nameserver {own}\n"))
            .expect("the resolver's file");
        let socket = within(&place.namespace(), move || UdpSocket::bind((own.as_str(), 53)).expect("port 53"));
        // Long enough to cost nothing, short enough to end soon.
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a time-out");
        let address = Arc::new(Mutex::new(address.parse().expect("an address")));
        let stop = Arc::new(AtomicBool::new(false));
        let (answer, told) = (Arc::clone(&address), Arc::clone(&stop));
        let serving = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                serve(&socket, &answer);
            }
        });
        Self { address, stop, serving: Some(serving) }
    }

    /// From now on names lead there.
    pub(crate) fn lead_to(&self, address: &str) {
        *self.address.lock().expect("the address") = address.parse().expect("an address");
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // What it panicked of was printed.
        self.serving.take().map(JoinHandle::join);
    }
}

/// Answers one question, if one comes: an address to those of type A, none to others.
fn serve(socket: &UdpSocket, address: &Mutex<Ipv4Addr>) {
    const TYPE_A: u8 = 1;
    let mut memory = [0; 512];
    let Ok((length, from)) = socket.recv_from(&mut memory) else { return };
    // A header, and labels up to an empty one. An additional record may come behind the question, and is not repeated.
    let Some(end) = memory[12..length].iter().position(|octet| *octet == 0).map(|at| 12 + at + 5) else { return };
    let mut answer = memory[..end].to_vec();
    answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]);
    if answer[end - 3] == TYPE_A {
        answer[7] = 1;
        answer.extend([0xc0, 12, 0, TYPE_A, 0, 1, 0, 0, 0, 0, 0, 4]);
        answer.extend(address.lock().expect("the address").octets());
    }
    // Who asked may be gone.
    socket.send_to(&answer, from).ok();
}
