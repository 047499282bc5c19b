// Lines into `cat` through std's BufWriter: the baseline of bench/buffered.ts.
//
//   rustc -O buffered.rs
//   buffered <same|format> <lines> <runs>
//
// Prints the median of the runs: nanoseconds from the first line to cat's exit.

use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

fn run(kind: &str, lines: usize) -> u128 {
    let mut child = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let text = "2026-01-01T00:00:00Z INFO request served in 12 ms by worker 3\n";
    let started = Instant::now();
    let mut writer = BufWriter::with_capacity(64 * 1024, child.stdin.take().unwrap());
    for line in 0..lines {
        if kind == "format" {
            writeln!(
                writer,
                "2026-01-01T00:00:00Z INFO request {} served in {} ms by worker {}",
                black_box(line),
                line % 97,
                line % 8
            )
            .unwrap();
        } else {
            writer.write_all(black_box(text).as_bytes()).unwrap();
        }
    }
    writer.flush().unwrap();
    drop(writer);
    assert!(child.wait().unwrap().success());
    started.elapsed().as_nanos()
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let lines: usize = args[2].parse().unwrap();
    let runs: usize = args[3].parse().unwrap();
    let mut times: Vec<u128> = (0..runs).map(|_| run(&args[1], lines)).collect();
    times.sort();
    println!("{}", times[runs / 2]);
}
