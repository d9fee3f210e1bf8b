//! What only a real kernel can show: TUN devices, addresses, routes. Each test works in network namespaces of its own, which vanish with
//! its threads; none touches the machine's. Needs root, and fails loudly without.
//!
//! Unsafe code: namespaces and capabilities of a thread have no safe interface, and neither has an allocator that counts.
#![allow(unsafe_code, missing_docs)]

mod allocation;
mod dataplane;
mod end_to_end;
mod killswitch;
mod load;
mod mtu;
mod namespace;
mod offload;
mod pair;
mod relay;
mod resolve;
mod routes;
mod sandbox;
mod traffic;
mod trains;
mod tun;
