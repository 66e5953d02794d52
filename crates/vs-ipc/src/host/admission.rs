// SPDX-License-Identifier: Apache-2.0
//! Who may connect at all.

use super::client::Peer;
use super::places::{NoPlace, Place};
use super::{Dialect, Host, vsl};
use crate::wire::GoodbyeReason;

/// This part of all connections is kept for users that have few: one that opens all it can
/// leaves them to the others, and of those none can take all that is left either. Few
/// connections are not worth dividing. (dbus-broker shares its quotas by halves, too.)
const SHARED_PART: usize = 8;

impl Host {
    /// A place for a further connection of `peer`, or why there is none.
    pub(super) fn find_place(&mut self, peer: Peer, dialect: Dialect) -> Result<Place, (GoodbyeReason, String)> {
        if let (Dialect::Vsl, Some(text)) = (dialect, self.vsl.as_ref().and_then(vsl::Endpoint::refusal)) {
            return Err((GoodbyeReason::Other, text));
        }
        if !self.may_connect(peer.uid) {
            let text =
                "this user connects, or says, far more than clients need: wait before the next attempt".to_owned();
            return Err((GoodbyeReason::TooManyOfUser, text));
        }
        let max = self.options.clients_max;
        if self.clients.len() >= max {
            return Err((GoodbyeReason::TooManyClients, "the stream has as many clients as it may".to_owned()));
        }
        let of_user = self.clients.iter().filter(|(_, client)| client.peer.uid == peer.uid).count();
        let text = if of_user >= self.options.clients_per_uid_max {
            "this user has as many clients of this stream as one may (clients-per-uid-max)"
        } else if takes_all(of_user, self.clients.len(), max) {
            "the connections left are for users that have fewer (the last eighth of clients-max)"
        } else {
            return Place::take(peer.uid).map_err(no_place);
        };
        Err((GoodbyeReason::TooManyOfUser, text.to_owned()))
    }
}

fn no_place(why: NoPlace) -> (GoodbyeReason, String) {
    let (reason, text) = match why {
        NoPlace::ForAnybody => (
            GoodbyeReason::TooManyClients,
            "all streams together have as many clients as the host's descriptors allow (LimitNOFILE=, ulimit -n)",
        ),
        NoPlace::ForThisUser => (
            GoodbyeReason::TooManyOfUser,
            "the host's last descriptors are for users with fewer clients (LimitNOFILE=, ulimit -n)",
        ),
    };
    (reason, text.to_owned())
}

/// Whether a user with `of_user` of all `present` connections would take, with a further one,
/// what is kept for others.
pub(super) fn takes_all(of_user: usize, present: usize, max: usize) -> bool {
    let left = max.saturating_sub(present);
    left <= max / SHARED_PART && of_user >= left
}

#[cfg(test)]
mod tests {
    use super::takes_all;

    /// How many connections users get who come one after the other, each taking all it can.
    fn greedy(max: usize) -> Vec<usize> {
        let mut taken = Vec::new();
        for _ in 0..4 {
            let before: usize = taken.iter().sum();
            let count =
                (0..).take_while(|count| before + count < max && !takes_all(*count, before + count, max)).count();
            taken.push(count);
        }
        taken
    }

    #[test]
    fn no_user_takes_all_and_the_next_ones_get_some() {
        assert_eq!(greedy(2048), [1792, 128, 64, 32]);
        assert_eq!(greedy(16), [14, 1, 1, 0]);
        assert_eq!(greedy(4), [4, 0, 0, 0], "too few to be divided");
    }
}
