// Lines into `cat` through std's BufWriter: the baseline of bench/buffered.ts.
//
//   rustc -O buffered.rs
//   buffered <lines>        prints nanoseconds from the first line to cat's exit

use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

fn main() {
    let lines: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let mut child = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let text = "2026-01-01T00:00:00Z INFO request served in 12 ms by worker 3\n";
    let started = Instant::now();
    let mut writer = BufWriter::with_capacity(64 * 1024, child.stdin.take().unwrap());
    for _ in 0..lines {
        writer.write_all(black_box(text).as_bytes()).unwrap();
    }
    writer.flush().unwrap();
    drop(writer);
    assert!(child.wait().unwrap().success());
    println!("{}", started.elapsed().as_nanos());
}
