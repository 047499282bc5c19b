// Sluice's ring in Rust (std only), and a ring with two index counters, which
// is what most Rust crates do. Baselines for bench/shm.ts and a peer of tests.
//
//   rustc -O ring.rs
//   ring <path> <commit|index> <ping|pong|send|recv|recv_peek> <count> <size> <batch>
//
// Both kinds hold two rings, one behind the other, from byte 128 of the file.

use std::hint::{black_box, spin_loop};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicI32, Ordering::*};
use std::time::Instant;

extern "C" {
    fn mmap(addr: *mut u8, len: usize, prot: i32, flags: i32, fd: i32, off: i64) -> *mut u8;
}

const HEADER: usize = 512;

fn padded(length: usize) -> usize {
    (length + 8 + 7) & !7
}

trait Ring {
    fn append(&mut self, payload: &[u8]) -> bool;
    fn publish(&mut self);
    /// Calls `take` with the next record in place.
    fn consume(&mut self, take: &mut dyn FnMut(&[u8])) -> bool;
}

/// The layout of docs/shm-layout.md.
struct Commit {
    base: *mut u8,
    data: *mut u8,
    capacity: usize,
    head: u32,
    tail: u32,
    published: u32,
    first: Option<(usize, i32)>,
}

impl Commit {
    unsafe fn attach(base: *mut u8) -> Self {
        let capacity = *(base.add(8) as *const u32) as usize;
        assert!(*(base as *const u32) == 0x4752_4c53 && capacity.is_power_of_two());
        let data = base.add(HEADER);
        Commit { base, data, capacity, head: 0, tail: 0, published: 0, first: None }
    }
    fn word(&self, at: usize) -> &AtomicI32 {
        unsafe { &*(self.data.add(at) as *const AtomicI32) }
    }
    fn shared_tail(&self) -> &AtomicI32 {
        unsafe { &*(self.base.add(256) as *const AtomicI32) }
    }
    fn put(&mut self, at: usize, word: i32) {
        match self.first {
            None => self.first = Some((at, word)),
            Some(_) => self.word(at).store(word, Relaxed),
        }
    }
    fn release_to(&mut self) {
        self.published = self.tail;
        self.shared_tail().store(self.tail as i32, Release);
    }
}

impl Ring for Commit {
    #[inline]
    fn append(&mut self, payload: &[u8]) -> bool {
        let size = padded(payload.len());
        let mut at = self.head as usize & (self.capacity - 1);
        let rest = self.capacity - at;
        let pad = if rest < size { rest } else { 0 };
        let need = size + pad + 8;
        if need > self.capacity - self.head.wrapping_sub(self.tail) as usize {
            self.tail = self.shared_tail().load(Acquire) as u32;
            if need > self.capacity - self.head.wrapping_sub(self.tail) as usize {
                return false;
            }
        }
        if pad > 0 {
            self.put(at, -(pad as i32));
            self.head = self.head.wrapping_add(pad as u32);
            at = 0;
        }
        // The consumer polls the record's first line, so that one is written last.
        let next = self.head.wrapping_add(size as u32);
        self.word(next as usize & (self.capacity - 1)).store(0, Relaxed);
        unsafe {
            let (from, to) = (payload.as_ptr(), self.data.add(at + 8));
            if payload.len() > 256 || payload.len() % 8 != 0 {
                std::ptr::copy_nonoverlapping(from, to, payload.len());
            } else {
                for i in (0..payload.len() / 8).rev() {
                    let long = (from as *const u64).add(i).read_unaligned();
                    std::ptr::write_volatile((to as *mut u64).add(i), long);
                }
            }
        }
        self.put(at, payload.len() as i32 + 8);
        self.head = next;
        true
    }
    #[inline]
    fn publish(&mut self) {
        if let Some((at, word)) = self.first.take() {
            self.word(at).store(word, Release);
        }
    }
    #[inline]
    fn consume(&mut self, take: &mut dyn FnMut(&[u8])) -> bool {
        loop {
            let at = self.tail as usize & (self.capacity - 1);
            let word = self.word(at).load(Acquire);
            if word == 0 {
                if self.published != self.tail {
                    self.release_to();
                }
                return false;
            }
            if word < 0 {
                self.tail = self.tail.wrapping_add(-word as u32);
                continue;
            }
            let length = word as usize - 8;
            take(unsafe { std::slice::from_raw_parts(self.data.add(at + 8), length) });
            self.tail = self.tail.wrapping_add(padded(length) as u32);
            if self.tail.wrapping_sub(self.published) as usize >= self.capacity / 4 {
                self.release_to();
            }
            return true;
        }
    }
}

/// Two counters, each cached by the other side.
struct Index {
    base: *mut u8,
    data: *mut u8,
    capacity: usize,
    head: u32,
    tail: u32,
    pending: bool,
}

impl Index {
    unsafe fn attach(base: *mut u8, capacity: usize) -> Self {
        Index { base, data: base.add(HEADER), capacity, head: 0, tail: 0, pending: false }
    }
    fn counter(&self, at: usize) -> &AtomicI32 {
        unsafe { &*(self.base.add(at) as *const AtomicI32) }
    }
}

impl Ring for Index {
    #[inline]
    fn append(&mut self, payload: &[u8]) -> bool {
        let size = padded(payload.len());
        let mut at = self.head as usize & (self.capacity - 1);
        let rest = self.capacity - at;
        let pad = if rest < size { rest } else { 0 };
        if size + pad > self.capacity - self.head.wrapping_sub(self.tail) as usize {
            self.tail = self.counter(256).load(Acquire) as u32;
            if size + pad > self.capacity - self.head.wrapping_sub(self.tail) as usize {
                return false;
            }
        }
        unsafe {
            if pad > 0 {
                *(self.data.add(at) as *mut i32) = -(pad as i32);
                self.head = self.head.wrapping_add(pad as u32);
                at = 0;
            }
            *(self.data.add(at) as *mut i32) = payload.len() as i32 + 8;
            std::ptr::copy_nonoverlapping(payload.as_ptr(), self.data.add(at + 8), payload.len());
        }
        self.head = self.head.wrapping_add(size as u32);
        self.pending = true;
        true
    }
    #[inline]
    fn publish(&mut self) {
        if self.pending {
            self.counter(128).store(self.head as i32, Release);
            self.pending = false;
        }
    }
    #[inline]
    fn consume(&mut self, take: &mut dyn FnMut(&[u8])) -> bool {
        loop {
            if self.tail == self.head {
                self.head = self.counter(128).load(Acquire) as u32;
                if self.tail == self.head {
                    return false;
                }
            }
            let at = self.tail as usize & (self.capacity - 1);
            let word = unsafe { *(self.data.add(at) as *const i32) };
            if word < 0 {
                self.tail = self.tail.wrapping_add(-word as u32);
                continue;
            }
            let length = word as usize - 8;
            take(unsafe { std::slice::from_raw_parts(self.data.add(at + 8), length) });
            self.tail = self.tail.wrapping_add(padded(length) as u32);
            self.counter(256).store(self.tail as i32, Release);
            return true;
        }
    }
}

fn run<R: Ring>(mut there: R, mut back: R, role: &str, count: usize, size: usize, batch: usize) {
    let mut buffer = vec![7u8; size];
    let mut into = vec![0u8; size];
    let started = Instant::now();
    match role {
        "ping" => {
            // The first rounds wait for the peer to start and are not counted.
            let mut started = started;
            for i in 0..count + 10_000 {
                if i == 10_000 {
                    started = Instant::now();
                }
                buffer[0] = i as u8;
                there.append(black_box(&buffer));
                there.publish();
                while !back.consume(&mut |r| into[..r.len()].copy_from_slice(r)) {
                    spin_loop();
                }
                assert!(black_box(&into)[0] == i as u8);
            }
            println!("{}", started.elapsed().as_nanos() as f64 / count as f64);
        }
        "pong" => {
            for _ in 0..count + 10_000 {
                while !there.consume(&mut |r| into[..r.len()].copy_from_slice(r)) {
                    spin_loop();
                }
                back.append(black_box(&into));
                back.publish();
            }
        }
        "send" => {
            let mut sent = 0;
            while sent < count {
                let goal = (sent + batch).min(count);
                while sent < goal && there.append(black_box(&buffer)) {
                    sent += 1;
                }
                there.publish();
                if sent < goal {
                    spin_loop();
                }
            }
        }
        _ => {
            let peek = role == "recv_peek";
            let mut sum = 0u64;
            // As in TypeScript, where the code is not hot before.
            let warm_up = count / 5;
            let mut started = started;
            let mut received = 0;
            while received < count {
                let some = there.consume(&mut |r| {
                    if peek {
                        sum += r[0] as u64 + r[r.len() - 1] as u64;
                    } else {
                        into[..r.len()].copy_from_slice(r);
                        black_box(&mut into);
                    }
                });
                if some {
                    if received == warm_up {
                        started = Instant::now();
                    }
                    received += 1;
                } else {
                    spin_loop();
                }
            }
            black_box(sum);
            println!("{}", started.elapsed().as_nanos() as f64 / (count - warm_up) as f64);
        }
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&args[1]).unwrap();
    let length = file.metadata().unwrap().len() as usize;
    let number = |i: usize| args.get(i).map_or(1, |text| text.parse::<usize>().unwrap());
    let (count, size, batch) = (number(4), number(5), number(6));
    unsafe {
        let map = mmap(std::ptr::null_mut(), length, 3, 1, file.as_raw_fd(), 0);
        assert!(map as isize != -1);
        let first = map.add(128);
        let capacity = *(first.add(8) as *const u32) as usize;
        let second = first.add(HEADER + capacity);
        match args[2].as_str() {
            "commit" => {
                run(Commit::attach(first), Commit::attach(second), &args[3], count, size, batch)
            }
            _ => run(
                Index::attach(first, capacity),
                Index::attach(second, capacity),
                &args[3],
                count,
                size,
                batch,
            ),
        }
    }
}
