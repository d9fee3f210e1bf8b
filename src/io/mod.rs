//! The packet path's system calls: the TUN device, the UDP socket, batches of datagrams and waiting for either.
//!
//! It knows file descriptors and octets. It does not know routes or addresses (`os`), nor which thread calls it (`daemon`).

#[cfg(feature = "daemon")]
pub mod batch;
#[cfg(feature = "daemon")]
pub mod capability;
#[cfg(feature = "daemon")]
pub mod delivery;
#[cfg(feature = "daemon")]
pub mod filter;
#[cfg(feature = "daemon")]
pub mod intake;
pub mod offload;
#[cfg(feature = "daemon")]
pub mod pass;
#[cfg(feature = "daemon")]
pub mod sender;
#[cfg(feature = "daemon")]
mod sys;
#[cfg(feature = "daemon")]
pub mod train;
#[cfg(feature = "daemon")]
pub mod tun;
#[cfg(feature = "daemon")]
pub mod udp;
#[cfg(feature = "daemon")]
pub mod wake;
