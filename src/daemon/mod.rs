//! The process around it all: threads, the data plane's two and the control thread; privileges. The only place with tasks.

pub mod control;
pub mod data_thread;
mod file_watch;
mod handover;
pub mod logging;
pub mod privilege;
mod rivals;
pub mod sandbox;
pub mod source;
pub mod start;
mod status;
pub mod supervisor;
