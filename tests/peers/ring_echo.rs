// Reads records from the first ring of a segment and writes them to the second.
// Standard library only.
//   ring_echo <name> <count>

use std::fs::OpenOptions;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering::*};
use std::thread::yield_now;

extern "C" {
    fn mmap(addr: *mut u8, length: usize, prot: i32, flags: i32, fd: i32, offset: i64) -> *mut u8;
}

const SEGMENT: usize = 128;
const HEADER: usize = 512;

struct Ring {
    base: *mut u8,
    data: *mut u8,
    capacity: u32,
    head: u32,
    tail: u32,
    published: u32,
}

impl Ring {
    unsafe fn open(base: *mut u8) -> Ring {
        let word = |at: usize| *(base.add(at) as *const u32);
        let capacity = word(8);
        assert_eq!((word(0), word(4)), (0x4752_4c53, 1));
        assert!(capacity.is_power_of_two() && word(12) == capacity / 2 - 16);
        let data = base.add(HEADER);
        let mut ring = Ring { base, data, capacity, head: 0, tail: 0, published: 0 };
        ring.tail = ring.counter(256).load(Acquire);
        ring.head = ring.tail;
        ring.published = ring.tail;
        ring
    }

    fn counter(&self, at: usize) -> &AtomicU32 {
        unsafe { &*(self.base.add(at) as *const AtomicU32) }
    }

    fn word(&self, position: u32) -> &AtomicI32 {
        let at = (position & (self.capacity - 1)) as usize;
        unsafe { &*(self.data.add(at) as *const AtomicI32) }
    }

    fn claim(&self, at: usize) {
        let held = self.counter(at).compare_exchange(0, std::process::id(), AcqRel, Acquire);
        assert!(held.is_ok());
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let start = stat.rsplit(')').next().unwrap().split_whitespace().nth(19).unwrap();
        unsafe { *(self.base.add(at + 8) as *mut u64) = start.parse().unwrap() };
        self.counter(at + 4).store(1, Release);
    }

    fn release(&self, at: usize) {
        self.counter(at + 4).store(2, SeqCst);
        self.counter(at).store(0, SeqCst);
    }

    fn publish(&mut self) {
        self.published = self.tail;
        self.counter(256).store(self.tail, Release);
    }

    fn read(&mut self, into: &mut Vec<u8>) -> bool {
        loop {
            let at = self.tail & (self.capacity - 1);
            let word = self.word(self.tail).load(Acquire);
            if word == 0 {
                if self.published != self.tail {
                    self.publish();
                }
                return false;
            }
            if word < 0 {
                let pad = word.unsigned_abs();
                assert!(pad == self.capacity - at && at != 0);
                self.tail = self.tail.wrapping_add(pad);
                continue;
            }
            let word = word as u32;
            assert!(word >= 8 && word <= self.capacity / 2 - 8 && at + word <= self.capacity);
            let from = unsafe { self.data.add(at as usize + 8) };
            into.clear();
            into.extend_from_slice(unsafe { std::slice::from_raw_parts(from, word as usize - 8) });
            self.tail = self.tail.wrapping_add((word + 7) & !7);
            if self.tail.wrapping_sub(self.published) >= self.capacity / 4 {
                self.publish();
            }
            return true;
        }
    }

    fn write(&mut self, record: &[u8]) -> bool {
        let size = (record.len() as u32 + 15) & !7;
        let rest = self.capacity - (self.head & (self.capacity - 1));
        let pad = if rest < size { rest } else { 0 };
        let need = size + pad + 8;
        if need > self.capacity - self.head.wrapping_sub(self.tail) {
            self.tail = self.counter(256).load(Acquire);
            let used = self.head.wrapping_sub(self.tail);
            assert!(used <= self.capacity);
            if need > self.capacity - used {
                return false;
            }
        }
        let start = self.head.wrapping_add(pad);
        let at = (start & (self.capacity - 1)) as usize;
        unsafe {
            std::ptr::copy_nonoverlapping(record.as_ptr(), self.data.add(at + 8), record.len());
        }
        self.word(start.wrapping_add(size)).store(0, Relaxed);
        if pad != 0 {
            self.word(start).store(record.len() as i32 + 8, Relaxed);
            self.word(self.head).store(-(pad as i32), Release);
        } else {
            self.word(start).store(record.len() as i32 + 8, Release);
        }
        self.head = start.wrapping_add(size);
        true
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let count: usize = args[2].parse().unwrap();
    let path = format!("/dev/shm/{}", args[1]);
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len() as usize;
    let base = unsafe { mmap(std::ptr::null_mut(), length, 3, 1, file.as_raw_fd(), 0) };
    assert!(base as isize != -1);
    unsafe {
        assert_eq!(*(base as *const u32), 0x4d53_4c53);
        assert_eq!(*(base.add(8) as *const u64), length as u64);
    }
    let mut source = unsafe { Ring::open(base.add(SEGMENT)) };
    let second = SEGMENT + HEADER + source.capacity as usize;
    assert!(second + HEADER < length);
    let mut target = unsafe { Ring::open(base.add(second)) };
    source.claim(32);
    target.claim(16);
    let mut record = Vec::new();
    for _ in 0..count {
        while !source.read(&mut record) {
            yield_now();
        }
        while !target.write(&record) {
            yield_now();
        }
    }
    source.publish();
    source.release(32);
    target.release(16);
}
