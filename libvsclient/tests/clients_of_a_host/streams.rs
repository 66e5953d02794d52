// SPDX-License-Identifier: Apache-2.0
//! The same on a tokio runtime.

use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use vs_ipc::wire::GoodbyeReason;
use vsclient::{AsyncClient, Backoff, Event, Mode, ReceiveError};

use crate::stage::{Stage, TIMEOUT, value};

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(TIMEOUT, future).await.expect("it takes too long")
}

#[tokio::test]
async fn frames_are_a_stream() {
    let stage = Stage::new();
    let mut client = stage.client().connect_async().await.unwrap();
    let mut frames = pin!(client.frames());
    for round in 1..=50 {
        stage.publish(round);
        let frame = in_time(frames.next()).await.unwrap().unwrap();
        assert_eq!((frame.serial(), value(&frame)), (u64::from(round), round));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_wait_loses_nothing() {
    let stage = Stage::new();
    let mut client = stage.client().credits(4).connect_async().await.unwrap();
    let mut serials = Vec::new();
    for round in 1..=20 {
        assert!(tokio::time::timeout(Duration::from_micros(200), client.next_frame()).await.is_err());
        stage.publish(round);
        serials.push(in_time(client.next_frame()).await.unwrap().serial());
    }
    assert_eq!(serials, (1..=20).collect::<Vec<_>>());
    // Nor does a lock that nobody waited for: its answer is an event.
    stage.publish(21);
    let frame = in_time(client.next_frame()).await.unwrap();
    stage.publish(22);
    let _ = tokio::time::timeout(Duration::ZERO, client.lock(&frame, None, TIMEOUT)).await;
    assert_eq!(in_time(client.next_frame()).await.unwrap().serial(), 22);
}

#[tokio::test]
async fn locks_are_awaited() {
    let stage = Stage::new();
    let mut client = stage.client().mode(Mode::Notify).connect_async().await.unwrap();
    stage.publish(1);
    let frame = in_time(client.next_frame()).await.unwrap();
    stage.publish(2);
    client.lock(&frame, Some(Duration::from_secs(3)), TIMEOUT).await.unwrap();
    assert!(frame.is_leased());
    assert_eq!(in_time(client.newest()).await.unwrap().serial(), 2);
    drop(frame);
    stage.until_all_is_returned();
}

#[tokio::test]
async fn a_lost_host_is_found_again() {
    let stage = Stage::with(|options| options.epoch = 1);
    let dir = stage.dir.clone();
    let backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(40));
    let mut client = stage.client().reconnect(backoff).connect_async().await.unwrap();
    stage.run(|host, _| host.close(GoodbyeReason::Shutdown, "bye"));
    drop(stage);
    {
        let mut events = pin!(client.events());
        let mut lost = false;
        while !lost {
            lost = matches!(
                in_time(events.next()).await.unwrap().unwrap(),
                Event::Disconnected { cause: ReceiveError::Goodbye(_), .. }
            );
        }
    }
    let _stage = Stage::at(dir, |options| options.epoch = 2);
    loop {
        // Impatient callers do not start one attempt after the other.
        match tokio::time::timeout(Duration::from_millis(1), client.next_event()).await {
            Ok(Ok(Event::Connected { epoch_changed, .. })) => break assert!(epoch_changed),
            Ok(Err(error)) => panic!("{error}"),
            Ok(Ok(_)) | Err(_) => {}
        }
    }
    assert!(client.is_connected());
}

#[tokio::test]
async fn a_stream_that_ended_stays_so() {
    let stage = Stage::new();
    let mut client = stage.client().no_reconnect().connect_async().await.unwrap();
    drop(stage);
    let items: Vec<_> = in_time(client.frames().collect()).await;
    assert!(items.len() == 1 && items[0].is_err());
    let error = AsyncClient::connect("/nowhere/cam0").await.unwrap_err();
    assert!(error.to_string().contains("there is no stream at /nowhere/cam0"), "{error}");
}
