//! The lines of bench/vs/README.md on Tokio.
mod echo;
mod measure;
mod tasks;
mod waits;

use measure::{measure, Options};
use std::sync::Arc;

const UNKNOWN_LINE: i32 = 3;

async fn run(o: Options) {
    match o.line.as_str() {
        "yield-2" => measure(&o, |n| tasks::yields(n, 2)).await,
        "yield-1000" => measure(&o, |n| tasks::yields(n, 1000)).await,
        "spawn" => measure(&o, |n| tasks::spawns(n, 1)).await,
        "spawn-100" => measure(&o, |n| tasks::spawns(n, 100)).await,
        "parked" => tasks::parked(&o).await,
        "unbuffered" => measure(&o, waits::unbuffered).await,
        "buffered" => measure(&o, waits::buffered).await,
        "select" => measure(&o, waits::selects).await,
        "mutex" => measure(&o, waits::mutex).await,
        "mutex-contended" => measure(&o, waits::contended_mutex).await,
        "timer" => {
            let others = Arc::new(waits::live_timers(10_000).await);
            measure(&o, waits::timers).await;
            drop(others);
        }
        "context" => measure(&o, waits::contexts).await,
        "echo" => echo::serve().await,
        _ => std::process::exit(UNKNOWN_LINE),
    }
}

fn main() {
    let o = Options::parse();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(o.workers)
        .enable_all()
        .build()
        .unwrap()
        // As a task of its own: what block_on itself runs is on no worker.
        .block_on(async { tokio::spawn(run(o)).await.unwrap() });
}
