//! Publishes events and takes their bytes without `std`, with its own allocator and panic handler. The exit code is 0 if the
//! bytes are correct.
#![no_std]
#![no_main]

extern crate alloc;

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicUsize, Ordering};

use sse_core::{ChannelConfig, ConnectionConfig, Event, Hub, HubConfig, Instant};

// Every Rust program requires functions such as memcpy from its platform, and a caller of main.
#[link(name = "c")]
unsafe extern "C" {}

const ARENA_BYTES: usize = 1 << 20;

/// An allocator that hands out one arena and never frees memory.
struct Arena {
    bytes: UnsafeCell<[u8; ARENA_BYTES]>,
    used: AtomicUsize,
}

// SAFETY: each byte of the arena is allocated once.
unsafe impl Sync for Arena {}

// SAFETY: each allocation is aligned, lies within the arena, and overlaps with no other.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = self.bytes.get() as usize;
        let mut at = 0;
        let fits = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            at = (start + used).next_multiple_of(layout.align()) - start;
            at.checked_add(layout.size()).filter(|end| *end <= ARENA_BYTES)
        });
        if fits.is_ok() { (start + at) as *mut u8 } else { core::ptr::null_mut() }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ARENA: Arena = Arena { bytes: UnsafeCell::new([0; ARENA_BYTES]), used: AtomicUsize::new(0) };

#[panic_handler]
fn panicked(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn main() -> i32 {
    match publish_and_take() {
        Some(true) => 0,
        _ => 1,
    }
}

fn publish_and_take() -> Option<bool> {
    let now = Instant::ORIGIN;
    let mut hub = Hub::new(HubConfig::default()).ok()?;
    let channel = hub.open_channel(now, "weather", ChannelConfig::default()).ok()?;
    let connection = hub.connect(now, ConnectionConfig::default()).ok()?;
    hub.subscribe(now, channel, connection).ok()?;
    hub.publish(now, channel, &Event::new().data("sunny")).ok()?;
    hub.publish(now, channel, &Event::new().json(["rain", "later"])).ok()?;
    let mut window = hub.transmit(now, connection);
    let bytes = bytes_of(&mut window);
    Some(bytes.as_slice() == b"id: 0-0\nevent: position\ndata: \n\nid: 0-1\ndata: sunny\n\nid: 0-2\ndata: [\"rain\",\"later\"]\n\n")
}

fn bytes_of(window: &mut impl sse_core::bytes::Buf) -> alloc::vec::Vec<u8> {
    let mut bytes = alloc::vec::Vec::new();
    while window.has_remaining() {
        let chunk = window.chunk();
        bytes.extend_from_slice(chunk);
        let count = chunk.len();
        window.advance(count);
    }
    bytes
}
