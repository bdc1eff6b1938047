//! The command line, how a line is timed, how it is printed.
use std::future::Future;
use std::time::{Duration, Instant};

pub struct Options {
    pub line: String,
    pub workers: usize,
    pub seconds: f64,
    pub count: u64,
}

impl Options {
    pub fn parse() -> Options {
        let mut arguments = std::env::args().skip(1);
        let mut o = Options {
            line: arguments
                .next()
                .expect("usage: tokio LINE [--flag value]..."),
            workers: 2,
            seconds: 0.5,
            count: 1_000_000,
        };
        while let Some(flag) = arguments.next() {
            let value = arguments.next().expect("a value");
            match flag.as_str() {
                "--workers" => o.workers = value.parse().unwrap(),
                "--seconds" => o.seconds = value.parse().unwrap(),
                "--count" => o.count = value.parse().unwrap(),
                _ => panic!("{flag}: no such flag"),
            }
        }
        o
    }
}

/// Runs body(n), which does n operations, with growing n until it takes o.seconds.
pub async fn measure<F, R>(o: &Options, body: F)
where
    F: Fn(u64) -> R,
    R: Future<Output = ()>,
{
    let wanted = Duration::from_secs_f64(o.seconds);
    let mut n = 1000;
    loop {
        let (start, cpu) = (Instant::now(), cpu_ns());
        body(n).await;
        let (wall, used) = (start.elapsed(), cpu_ns() - cpu);
        if wall >= wanted {
            print(o, n, wall, used, rss_bytes());
            return;
        }
        let growth = 1.2 * wanted.as_secs_f64() / wall.as_secs_f64().max(1e-9);
        n = (n as f64 * growth.clamp(1.1, 100.0)) as u64;
    }
}

pub fn print(o: &Options, ops: u64, wall: Duration, cpu_ns: i64, rss_bytes: i64) {
    println!(
        r#"{{"line": "{}", "ops": {ops}, "wall_ns": {}, "cpu_ns": {cpu_ns}, "rss_bytes": {rss_bytes}}}"#,
        o.line,
        wall.as_nanos()
    );
}

pub fn cpu_ns() -> i64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let status = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut now) };
    assert_eq!(status, 0);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

pub fn rss_bytes() -> i64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: i64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * unsafe { libc::sysconf(libc::_SC_PAGESIZE) }
}
