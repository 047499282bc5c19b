// The measurements of socket_throughput.ts in Rust's standard library.
// usage: socket_peer ROLE PATH BYTES

use std::hint::black_box;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

const PIECE: usize = 64 * 1024;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let (role, path, total) = (&args[1], &args[2], args[3].parse::<usize>().unwrap());
    let warm_up = total / 8;
    if role == "send" {
        let mut stream = loop {
            match UnixStream::connect(path) {
                Ok(stream) => break stream,
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        let piece = vec![7u8; PIECE];
        let mut sent = 0;
        while sent < total + warm_up {
            stream.write_all(black_box(&piece)).unwrap();
            sent += PIECE;
        }
        return;
    }
    let mut stream = UnixListener::bind(path).unwrap().accept().unwrap().0;
    let mut buffer = vec![0u8; PIECE];
    let (mut received, mut start) = (0, None);
    loop {
        let size = stream.read(&mut buffer).unwrap();
        if size == 0 {
            break;
        }
        black_box(&buffer);
        received += size;
        if start.is_none() && received >= warm_up {
            start = Some(Instant::now());
            received = 0;
        }
    }
    println!("{}", received as f64 / start.unwrap().elapsed().as_secs_f64());
}
