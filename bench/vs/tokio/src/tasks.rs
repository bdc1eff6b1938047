//! Tasks: yielding, starting, waiting.
use crate::measure::{cpu_ns, print, rss_bytes, Options};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Notify;
use tokio::task::{yield_now, JoinSet};

pub async fn yields(n: u64, tasks: u64) {
    let mut set = JoinSet::new();
    for _ in 0..tasks {
        set.spawn(async move {
            for _ in 0..n / tasks {
                yield_now().await;
            }
        });
    }
    while set.join_next().await.is_some() {}
}

pub async fn spawns(n: u64, batch: u64) {
    if batch == 1 {
        for _ in 0..n {
            tokio::spawn(async {}).await.unwrap();
        }
        return;
    }
    let mut set = JoinSet::new();
    for _ in (0..n).step_by(batch as usize) {
        for _ in 0..batch {
            set.spawn(async {});
        }
        while set.join_next().await.is_some() {}
    }
}

pub async fn parked(o: &Options) {
    let (before, start, cpu) = (rss_bytes(), Instant::now(), cpu_ns());
    let stop = Arc::new(Notify::new());
    let started = Arc::new(AtomicU64::new(0));
    let mut set = JoinSet::new();
    for _ in 0..o.count {
        let (stop, started) = (stop.clone(), started.clone());
        set.spawn(async move {
            let notified = stop.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            started.fetch_add(1, Ordering::Relaxed);
            notified.await;
        });
    }
    while started.load(Ordering::Relaxed) < o.count {
        yield_now().await;
    }
    print(
        o,
        o.count,
        start.elapsed(),
        cpu_ns() - cpu,
        rss_bytes() - before,
    );
    stop.notify_waiters();
    while set.join_next().await.is_some() {}
}
