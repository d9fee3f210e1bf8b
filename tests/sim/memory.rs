//! What a thread has taken of the allocator and not given back. The allocator of this whole program counts.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static HELD: Cell<i64> = const { Cell::new(0) };
}

fn count(change: i64) {
    // A thread that is ending counts no more.
    let _ = HELD.try_with(|held| held.set(held.get() + change));
}

fn size(layout: Layout) -> i64 {
    i64::try_from(layout.size()).unwrap_or(i64::MAX)
}

// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(size(layout));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-size(layout));
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Octets that the calling thread holds. What it frees for another counts, too.
pub(crate) fn allocated_by_this_thread() -> i64 {
    HELD.with(Cell::get)
}
