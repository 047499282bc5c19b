// The measurements of framing_throughput.ts in Rust's standard library.
// usage: framing_peer ROLE PATH COUNT

use std::hint::black_box;
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

fn open(role: &str, path: &str) -> UnixStream {
    if role == "receive" || role == "answer" {
        return UnixListener::bind(path).unwrap().accept().unwrap().0;
    }
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return stream,
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn write_frame(out: &mut impl Write, payload: &[u8]) {
    out.write_all(&(payload.len() as u32).to_be_bytes()).unwrap();
    out.write_all(payload).unwrap();
}

/// Reads a frame into a buffer of its own, as the TypeScript end hands out.
fn read_frame(input: &mut impl Read) -> Option<Vec<u8>> {
    let mut header = [0u8; 4];
    input.read_exact(&mut header).ok()?;
    let mut payload = vec![0u8; u32::from_be_bytes(header) as usize];
    input.read_exact(&mut payload).ok()?;
    Some(payload)
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let (role, path, count) = (&args[1], &args[2], args[3].parse::<u64>().unwrap());
    let warm_up = count / 5;
    let stream = open(role, path);
    let mut input = BufReader::with_capacity(65536, stream.try_clone().unwrap());
    let mut out = BufWriter::with_capacity(65536, stream);
    let payload = [7u8; 64];
    let mut start = Instant::now();
    match role.as_str() {
        "send" => {
            for _ in 0..count + warm_up {
                write_frame(&mut out, black_box(&payload));
            }
            out.flush().unwrap();
        }
        "receive" => {
            let mut received = 0u64;
            while let Some(payload) = read_frame(&mut input) {
                black_box(&payload);
                received += 1;
                if received == warm_up {
                    start = Instant::now();
                }
            }
            println!("{}", (received - warm_up) as f64 / start.elapsed().as_secs_f64());
        }
        "call" => {
            for i in 0..count + warm_up {
                if i == warm_up {
                    start = Instant::now();
                }
                write_frame(&mut out, black_box(&payload));
                out.flush().unwrap();
                black_box(read_frame(&mut input).unwrap());
            }
            println!("{}", count as f64 / start.elapsed().as_secs_f64());
        }
        _ => {
            while let Some(payload) = read_frame(&mut input) {
                write_frame(&mut out, &payload);
                out.flush().unwrap();
            }
        }
    }
}
