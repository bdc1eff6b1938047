//! What tasks wait for.
use std::future::{poll_fn, Future};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{mpsc, Mutex};
use tokio::task::JoinSet;
use tokio::time::{sleep, Sleep};
use tokio_util::sync::CancellationToken;

const HOUR: Duration = Duration::from_secs(3600);

/// Tokio has no channel without a buffer: this is the smallest.
pub async fn unbuffered(n: u64) {
    let (there, mut asked) = mpsc::channel(1);
    let (back, mut answered) = mpsc::channel(1);
    let other = tokio::spawn(async move {
        while let Some(message) = asked.recv().await {
            back.send(message).await.unwrap();
        }
    });
    for i in 0..n {
        there.send(i).await.unwrap();
        assert_eq!(answered.recv().await, Some(i));
    }
    drop(there);
    other.await.unwrap();
}

pub async fn buffered(n: u64) {
    let (sender, mut receiver) = mpsc::channel(1024);
    let producer = tokio::spawn(async move {
        for i in 0..n {
            sender.send(i).await.unwrap();
        }
    });
    let mut received = 0;
    while receiver.recv().await.is_some() {
        received += 1;
    }
    assert_eq!(received, n);
    producer.await.unwrap();
}

pub async fn selects(n: u64) {
    let (there, mut asked) = mpsc::channel(1);
    let (back, mut answered) = mpsc::channel(1);
    let (_open, mut never) = mpsc::channel::<u64>(1);
    let (_open_too, mut never_too) = mpsc::channel::<u64>(1);
    let other = tokio::spawn(async move {
        loop {
            tokio::select! {
                message = asked.recv() => match message {
                    Some(message) => back.send(message).await.unwrap(),
                    None => return,
                },
                _ = never.recv() => return,
            }
        }
    });
    for i in 0..n {
        there.send(i).await.unwrap();
        tokio::select! {
            message = answered.recv() => assert_eq!(message, Some(i)),
            _ = never_too.recv() => return,
        }
    }
    drop(there);
    other.await.unwrap();
}

pub async fn mutex(n: u64) {
    let mutex = Mutex::new(());
    for _ in 0..n {
        drop(mutex.lock().await);
    }
}

pub async fn contended_mutex(n: u64) {
    const TASKS: u64 = 8;
    let count = Arc::new(Mutex::new(0));
    let mut set = JoinSet::new();
    for _ in 0..TASKS {
        let count = count.clone();
        set.spawn(async move {
            for _ in 0..n / TASKS {
                *count.lock().await += 1;
            }
        });
    }
    while set.join_next().await.is_some() {}
    assert_eq!(*count.lock().await, n / TASKS * TASKS);
}

/// A Sleep is in the timer wheel from its first poll on.
async fn start(mut timer: Pin<&mut Sleep>) {
    poll_fn(|context| {
        assert!(timer.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await
}

pub async fn live_timers(count: usize) -> Vec<Pin<Box<Sleep>>> {
    let mut timers = Vec::new();
    for _ in 0..count {
        let mut timer = Box::pin(sleep(HOUR));
        start(timer.as_mut()).await;
        timers.push(timer);
    }
    timers
}

pub async fn timers(n: u64) {
    for _ in 0..n {
        let timer = sleep(HOUR);
        tokio::pin!(timer);
        start(timer).await;
    }
}

/// A child token whose end an hour's timer would bring as well.
pub async fn contexts(n: u64) {
    let root = CancellationToken::new();
    for _ in 0..n {
        let child = root.child_token();
        let timeout = sleep(HOUR);
        tokio::pin!(timeout);
        start(timeout).await;
        child.cancel();
    }
}
