// SPDX-License-Identifier: Apache-2.0
//! What the book promises of the next frame, it keeps.

use proptest::prelude::*;

use super::{Claim, ClientKey, LeaseBook, Limits};

const CLIENTS: usize = 4;
const LEASE_NS: u64 = 1_000;

#[derive(Clone, Debug)]
enum Op {
    Publish { promise: bool },
    Lock(usize),
    Unlock(usize),
    Advance(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => any::<bool>().prop_map(|promise| Op::Publish { promise }),
        4 => (0..CLIENTS).prop_map(Op::Lock),
        3 => (0..CLIENTS).prop_map(Op::Unlock),
        1 => (0..LEASE_NS).prop_map(Op::Advance),
    ]
}

proptest! {
    #[test]
    fn whoever_would_get_the_next_frame_gets_it(
        frames in 1..12usize,
        claims in prop::collection::vec((1..4usize, 0..3u32), CLIENTS),
        ops in prop::collection::vec(op(), 0..80),
    ) {
        let mut book = LeaseBook::new(Limits { frames, lease_max_ns: LEASE_NS });
        let clients: Vec<_> = claims.into_iter().map(|(credits, uid)| book.add_client(Claim { credits, uid })).collect();
        let mut held: Vec<(ClientKey, u64)> = Vec::new();
        let mut now_ns = 0;
        for op in ops {
            match op {
                Op::Publish { promise } => {
                    if let Ok(serial) = book.publish(()) && promise {
                        book.promise(serial, now_ns + LEASE_NS / 2);
                    }
                }
                Op::Lock(client) => {
                    let serial = book.last_serial();
                    if book.lock(clients[client], serial, now_ns, LEASE_NS).is_ok() {
                        held.push((clients[client], serial));
                    }
                }
                Op::Unlock(client) => {
                    if let Some(index) = held.iter().position(|(holder, _)| *holder == clients[client]) {
                        let (holder, serial) = held.remove(index);
                        book.unlock(holder, serial, now_ns);
                    }
                }
                Op::Advance(ns) => {
                    now_ns += ns;
                    book.expire(now_ns, |_| ());
                }
            }
            if !book.has_room() {
                prop_assert!(book.is_full());
            }
        }
        let all: Vec<_> = clients.iter().filter(|client| book.would_lock_next(**client)).copied().collect();
        if book.has_room() && all.len() == CLIENTS {
            let serial = book.publish(()).unwrap();
            for client in all {
                prop_assert!(book.lock(client, serial, now_ns, LEASE_NS).is_ok());
            }
        }
        // Once everything has ended, everybody has room.
        for (holder, serial) in held {
            book.unlock(holder, serial, now_ns);
        }
        book.expire(u64::MAX - 1, |_| ());
        prop_assert!(book.has_room());
        prop_assert!(clients.iter().all(|client| book.would_lock_next(*client)));
    }
}
