// Both ends of the report in Rust, standard library only. See README.md.

use std::env;
use std::fs;
use std::hint::black_box;
use std::io::{BufReader, BufWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Instant;

trait Stream: Read + Write {
    fn twin(&self) -> Box<dyn Stream>;
}
impl Stream for UnixStream {
    fn twin(&self) -> Box<dyn Stream> {
        Box::new(self.try_clone().unwrap())
    }
}
impl Stream for TcpStream {
    fn twin(&self) -> Box<dyn Stream> {
        Box::new(self.try_clone().unwrap())
    }
}

fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn report(role: &str, started: Instant, cpu: f64, times: Option<&mut Vec<f64>>) {
    let seconds = started.elapsed().as_secs_f64();
    let mut extra = String::new();
    if let Some(times) = times {
        times.sort_by(|a, b| a.total_cmp(b));
        let at = |share: f64| times[((times.len() as f64 * share) as usize).min(times.len() - 1)];
        extra = format!(",\"p50\":{},\"p99\":{},\"p999\":{}", at(0.5), at(0.99), at(0.999));
    }
    eprintln!(
        "{{\"role\":\"{role}\",\"seconds\":{seconds},\"cpu\":{},\"memory\":{}{extra}}}",
        cpu_seconds() - cpu,
        peak_memory()
    );
}

fn write_frame(out: &mut impl Write, payload: &[u8]) {
    out.write_all(&(payload.len() as u32).to_be_bytes()).unwrap();
    out.write_all(payload).unwrap();
}

fn read_frame(input: &mut impl Read, payload: &mut Vec<u8>) {
    let mut head = [0; 4];
    input.read_exact(&mut head).unwrap();
    payload.resize(u32::from_be_bytes(head) as usize, 0);
    input.read_exact(payload).unwrap();
    black_box(&payload);
}

fn run(role: &str, kind: &str, size: usize, count: usize, stream: Box<dyn Stream>) {
    let mut input = BufReader::with_capacity(64 * 1024, stream.twin());
    let mut output = BufWriter::with_capacity(64 * 1024, stream);
    let warm_up = if kind == "echo" { count.min(1000) } else { 0 };
    let mut payload = vec![0u8; size];
    let mut cpu = cpu_seconds();
    let mut started = Instant::now();
    match (role, kind) {
        ("server", "echo") => {
            for _ in 0..count + warm_up {
                read_frame(&mut input, &mut payload);
                write_frame(&mut output, &payload);
                output.flush().unwrap();
            }
            report(role, started, cpu, None);
        }
        ("server", _) => {
            for _ in 0..count {
                read_frame(&mut input, &mut payload);
            }
            write_frame(&mut output, &[0]);
            output.flush().unwrap();
            report(role, started, cpu, None);
        }
        (_, "echo") => {
            let mut times = Vec::with_capacity(count);
            let mut reply = Vec::new();
            for index in 0..count + warm_up {
                if index == warm_up {
                    cpu = cpu_seconds();
                    started = Instant::now();
                }
                let before = Instant::now();
                write_frame(&mut output, &payload);
                output.flush().unwrap();
                read_frame(&mut input, &mut reply);
                if index >= warm_up {
                    times.push(before.elapsed().as_secs_f64() * 1e6);
                }
            }
            report(role, started, cpu, Some(&mut times));
        }
        _ => {
            for _ in 0..count {
                write_frame(&mut output, &payload);
            }
            output.flush().unwrap();
            read_frame(&mut input, &mut payload);
            report(role, started, cpu, None);
        }
    }
}

fn main() {
    let args: Vec<String> = env::args().collect();
    let (role, address, kind) = (&args[1], &args[3], &args[4]);
    let (size, count) = (args[5].parse().unwrap(), args[6].parse().unwrap());
    let (scheme, rest) = address.split_once(':').unwrap();
    let stream: Box<dyn Stream> = match (role.as_str(), scheme) {
        ("server", "unix") => {
            let listener = UnixListener::bind(rest).unwrap();
            eprintln!("ready {address}");
            Box::new(listener.accept().unwrap().0)
        }
        ("server", _) => {
            let listener = TcpListener::bind(rest).unwrap();
            eprintln!("ready tcp:{}", listener.local_addr().unwrap());
            let stream = listener.accept().unwrap().0;
            stream.set_nodelay(true).unwrap();
            Box::new(stream)
        }
        (_, "unix") => Box::new(UnixStream::connect(rest).unwrap()),
        _ => {
            let stream = TcpStream::connect(rest).unwrap();
            stream.set_nodelay(true).unwrap();
            Box::new(stream)
        }
    };
    run(role, kind, size, count, stream);
}
