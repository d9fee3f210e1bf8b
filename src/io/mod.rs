//! The packet path's system calls: the TUN device, the UDP socket, batches of datagrams and waiting for either.
//!
//! It knows file descriptors and octets. It does not know routes or addresses (`os`), nor which thread calls it (`daemon`).

pub mod batch;
pub mod capability;
pub mod delivery;
pub mod intake;
pub mod offload;
pub mod sender;
mod sys;
pub mod train;
pub mod tun;
pub mod udp;
pub mod wake;
