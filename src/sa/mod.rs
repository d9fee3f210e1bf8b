//! The words both protocols speak: SPIs, suites, selectors, keys, lifetimes, and the commands between IKE and the packet path.
//! It knows no message format and no state.

pub mod command;
pub mod handover;
pub mod keys;
pub mod lifetime;
pub mod nearest;
pub mod notation;
pub mod path;
pub mod selector;
pub mod spi;
pub mod suite;
