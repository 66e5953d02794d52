// SPDX-License-Identifier: Apache-2.0
//! Counters that should not grow. While one does, that is news once; when it has come to rest, how much it was.

use std::collections::HashMap;

use vsclient::dbus::StreamInfo;

use crate::report::event::{Trouble, What};

/// What a source counts that is no trouble.
const HARMLESS: &str = "captured";

/// A counter: of which client (number, time and name), what it counts, and why.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    client: Option<(u64, u64, String)>,
    counter: &'static str,
    reason: String,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    value: u64,
    /// Its value before it began to grow, while it does.
    before: Option<u64>,
}

/// Those of a stream.
#[derive(Debug, Default)]
pub struct Troubles {
    counters: HashMap<Key, Seen>,
    begun: bool,
}

impl Troubles {
    /// Compares with what was known.
    pub fn look(&mut self, stream: &StreamInfo, news: &mut Vec<What>) {
        let mut last = std::mem::take(&mut self.counters);
        for (key, value) in counters(stream) {
            // One that nobody has seen began at 0, but what was before the first look is no news.
            let unseen = Seen { value: if self.begun { 0 } else { value }, before: None };
            let seen = last.remove(&key).unwrap_or(unseen);
            let before = match seen.before {
                // Begun anew.
                _ if value < seen.value => None,
                None if value > seen.value => {
                    news.push(What::TroubleBegan(key.trouble(stream, value - seen.value)));
                    Some(seen.value)
                }
                Some(before) if value == seen.value => {
                    news.push(What::TroubleOver(key.trouble(stream, value - before)));
                    None
                }
                before => before,
            };
            self.counters.insert(key, Seen { value, before });
        }
        // Those whose client has gone.
        for (key, seen) in last {
            if let Some(before) = seen.before {
                news.push(What::TroubleOver(key.trouble(stream, seen.value - before)));
            }
        }
        self.begun = true;
    }
}

fn counters(stream: &StreamInfo) -> Vec<(Key, u64)> {
    let mut all = Vec::new();
    let source = stream.counters.source.iter().filter(|(reason, _)| *reason != HARMLESS);
    all.extend(source.map(|(reason, n)| (Key { client: None, counter: "source", reason: reason.clone() }, *n)));
    for client in &stream.clients {
        let who = (client.id, client.connected, client.name.clone());
        for (counter, counts) in [("skipped", &client.skipped), ("revoked", &client.revoked)] {
            let key = |reason: &String| Key { client: Some(who.clone()), counter, reason: reason.clone() };
            all.extend(counts.iter().map(|(reason, n)| (key(reason), *n)));
        }
    }
    all
}

impl Key {
    fn trouble(&self, stream: &StreamInfo, count: u64) -> Trouble {
        Trouble {
            stream: stream.name.clone(),
            client: self.client.as_ref().map(|(_, _, name)| name.clone()),
            counter: self.counter,
            reason: self.reason.clone(),
            count,
        }
    }
}

#[cfg(test)]
mod tests {
    use vsclient::dbus::ClientInfo;

    use super::*;

    fn look(troubles: &mut Troubles, lost: u64, skipped: Option<u64>) -> Vec<(bool, u64)> {
        let mut stream = StreamInfo::default();
        stream.counters.source = HashMap::from([("lost".to_owned(), lost), ("captured".to_owned(), lost * 1000)]);
        if let Some(skipped) = skipped {
            let mut client = ClientInfo::default();
            client.skipped = HashMap::from([("no-credit".to_owned(), skipped)]);
            stream.clients.push(client);
        }
        let mut news = Vec::new();
        troubles.look(&stream, &mut news);
        let told = |what: &What| match what {
            What::TroubleBegan(trouble) => (true, trouble.count),
            What::TroubleOver(trouble) => (false, trouble.count),
            other => panic!("{other:?}"),
        };
        news.iter().map(told).collect()
    }

    #[test]
    fn a_trouble_is_told_when_it_begins_and_when_it_ends() {
        let mut troubles = Troubles::default();
        assert_eq!(look(&mut troubles, 7, None), []);
        assert_eq!(look(&mut troubles, 9, None), [(true, 2)]);
        assert_eq!(look(&mut troubles, 12, None), []);
        assert_eq!(look(&mut troubles, 12, None), [(false, 5)]);
        assert_eq!(look(&mut troubles, 12, None), []);
        assert_eq!(look(&mut troubles, 0, None), []);
    }

    #[test]
    fn a_client_takes_its_troubles_along() {
        let mut troubles = Troubles::default();
        assert_eq!(look(&mut troubles, 0, None), []);
        assert_eq!(look(&mut troubles, 0, Some(3)), [(true, 3)]);
        assert_eq!(look(&mut troubles, 0, None), [(false, 3)]);
    }
}
