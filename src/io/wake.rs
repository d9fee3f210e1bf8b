//! Waiting without using the processor: a wake-up that another thread can give, and the wait for it or for a descriptor.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use crate::io::sys;

/// A wake-up call for one waiting thread. Clones wake the same thread; calls that come before the thread looks are one call.
#[derive(Clone, Debug)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// Makes one.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub fn new() -> io::Result<Self> {
        sys::event_descriptor().map(|fd| Self(Arc::new(fd)))
    }

    /// Ends the wait of the thread that waits on this, now or the next time it waits.
    pub fn wake(&self) {
        // The counter can only refuse when it is about to overflow, and then the thread is awake already.
        let _ = sys::signal_event(&self.0);
    }

    /// Takes the call back, so that the next wait waits.
    pub fn clear(&self) {
        let _ = sys::clear_event(&self.0);
    }
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// The waker was called.
    pub woken: bool,
    /// The descriptor at this place of the list has something to read, or an error that a read will tell.
    pub readable: [bool; 2],
}

/// Waits until `waker` is called, one of `sources` (the first two count) can be read, or `limit` is over.
///
/// # Errors
/// What poll(2) says; an interruption by a signal is no error but a wait that ended with nothing ready.
pub fn wait(waker: &Waker, sources: &[BorrowedFd<'_>], limit: Option<Duration>) -> io::Result<Ready> {
    let mut list = [(waker.0.as_raw_fd(), false); 3];
    let mut len = 1_usize;
    for (slot, source) in list.iter_mut().skip(1).zip(sources) {
        *slot = (source.as_raw_fd(), false);
        len = len.saturating_add(1);
    }
    sys::poll(list.get_mut(..len).unwrap_or_default(), limit)?;
    let [(_, woken), (_, first), (_, second)] = list;
    let ready = Ready { woken, readable: [first, second] };
    Ok(ready)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_call_before_the_wait_ends_the_wait_once() {
        let waker = Waker::new().unwrap();
        waker.wake();
        waker.wake();
        assert!(wait(&waker, &[], None).unwrap().woken);
        waker.clear();
        assert!(!wait(&waker, &[], Some(Duration::ZERO)).unwrap().woken);
    }

    #[test]
    fn a_readable_descriptor_ends_the_wait_and_says_which_it_is() {
        let waker = Waker::new().unwrap();
        let quiet = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let busy = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        quiet.send_to(b"x", busy.local_addr().unwrap()).unwrap();
        let ready = wait(&waker, &[quiet.as_fd(), busy.as_fd()], None).unwrap();
        assert_eq!((ready.woken, ready.readable), (false, [false, true]));
    }

    #[test]
    fn another_threads_call_ends_the_wait() {
        let waker = Waker::new().unwrap();
        let other = waker.clone();
        let caller = std::thread::spawn(move || other.wake());
        assert!(wait(&waker, &[], None).unwrap().woken);
        caller.join().unwrap();
    }
}
