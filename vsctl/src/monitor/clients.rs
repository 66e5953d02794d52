// SPDX-License-Identifier: Apache-2.0
//! Who has come to a stream, and who has gone.

use std::collections::HashMap;

use vsclient::dbus::{ClientInfo, DepartureInfo, StreamInfo};

use crate::report::event::{Client, Departure, What};
use crate::report::some_text;

/// A connection. Numbers begin anew with the stream, its time does not.
type Key = (u64, u64);

/// Those of a stream.
#[derive(Debug, Default)]
pub struct Clients {
    known: HashMap<Key, Client>,
    /// When the last one left that was told of, in ns of `CLOCK_MONOTONIC`.
    last_left: u64,
}

impl Clients {
    /// Compares with what was known.
    pub fn look(&mut self, now: &StreamInfo, news: &mut Vec<What>) {
        for info in &now.clients {
            let client = client(now, info);
            if self.known.insert((info.id, info.connected), client.clone()).is_none() {
                news.push(What::ClientConnected(client));
            }
        }
        for info in now.departures.iter().filter(|info| info.left > self.last_left) {
            self.known.remove(&(info.id, info.connected));
            news.push(What::ClientLeft(departure(now, info)));
        }
        let newest = now.departures.iter().map(|info| info.left).max().unwrap_or_default();
        self.last_left = self.last_left.max(newest);
        // More left at once than are remembered, or their stream was stopped.
        let here = |key: &Key| now.clients.iter().any(|info| (info.id, info.connected) == *key);
        self.known.retain(|key, client| {
            let stays = here(key);
            if !stays {
                let client = client.clone();
                news.push(What::ClientLeft(Departure { client, reason: None, text: None, delivered: None }));
            }
            stays
        });
    }
}

fn client(stream: &StreamInfo, info: &ClientInfo) -> Client {
    Client { stream: stream.name.clone(), id: info.id, name: info.name.clone(), pid: info.pid, uid: info.uid }
}

fn departure(stream: &StreamInfo, info: &DepartureInfo) -> Departure {
    let DepartureInfo { id, name, pid, uid, reason, text, delivered, .. } = info.clone();
    let client = Client { stream: stream.name.clone(), id, name, pid, uid };
    Departure { client, reason: some_text(&reason), text: some_text(&text), delivered: Some(delivered) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(clients: &[Key], gone: &[(Key, u64, &str)]) -> StreamInfo {
        let mut stream = StreamInfo::default();
        for &(id, connected) in clients {
            let mut client = ClientInfo::default();
            (client.id, client.connected) = (id, connected);
            stream.clients.push(client);
        }
        for &((id, connected), left, reason) in gone {
            let mut departure = DepartureInfo::default();
            (departure.id, departure.connected, departure.left) = (id, connected, left);
            departure.reason = reason.to_owned();
            stream.departures.push(departure);
        }
        stream
    }

    fn look(clients: &mut Clients, now: &StreamInfo) -> Vec<String> {
        let mut news = Vec::new();
        clients.look(now, &mut news);
        let told = |what: &What| match what {
            What::ClientConnected(client) => format!("+{}", client.id),
            What::ClientLeft(gone) => format!("-{} {}", gone.client.id, gone.reason.as_deref().unwrap_or("itself")),
            other => panic!("{other:?}"),
        };
        news.iter().map(told).collect()
    }

    #[test]
    fn everybody_comes_once_and_goes_once() {
        let mut clients = Clients::default();
        assert_eq!(look(&mut clients, &stream(&[(1, 10), (2, 20)], &[])), ["+1", "+2"]);
        assert_eq!(look(&mut clients, &stream(&[(1, 10), (2, 20)], &[])), [""; 0]);
        let gone = [((2, 20), 30, ""), ((3, 25), 31, "not-reading")];
        assert_eq!(look(&mut clients, &stream(&[(1, 10)], &gone)), ["-2 itself", "-3 not-reading"]);
        assert_eq!(look(&mut clients, &stream(&[(1, 10)], &gone)), [""; 0]);
        // The stream was started anew: its numbers begin anew, and its departures are forgotten.
        assert_eq!(look(&mut clients, &stream(&[(1, 40)], &[])), ["+1", "-1 itself"]);
    }
}
