//! The process around it all: threads, the data plane's two and the control thread; privileges. The only place with tasks.

pub mod privilege;
