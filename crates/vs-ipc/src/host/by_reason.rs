// SPDX-License-Identifier: Apache-2.0
//! Counters by reason: nothing is taken from a client without one.

use std::marker::PhantomData;

use crate::wire::codes::SKIP_COUNTERS;
use crate::wire::{RevokeReason, SkipReason};

/// Why something was taken from a client: a code with a counter of its own.
pub trait Reason: Copy + 'static {
    /// Every reason, in the order of their codes, which go from 0 without gaps.
    const ALL: &'static [Self];

    /// Its number on the wire.
    fn code(self) -> u32;

    /// The name used in statistics, on D-Bus and in JSON.
    fn name(self) -> &'static str;
}

macro_rules! reasons {
    ($($name:ident)*) => {$(
        impl Reason for $name {
            const ALL: &'static [Self] = $name::ALL;

            fn code(self) -> u32 {
                $name::code(self)
            }

            fn name(self) -> &'static str {
                $name::name(self)
            }
        }
    )*};
}

reasons!(SkipReason RevokeReason);

/// How often something happened, by reason: `N` of them, as many as `R` has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ByReason<R, const N: usize>(pub(super) [u64; N], PhantomData<R>);

/// Frames not delivered, by [`SkipReason`].
pub type Skips = ByReason<SkipReason, SKIP_COUNTERS>;

/// Leases that the host ended, by [`RevokeReason`].
pub type Revocations = ByReason<RevokeReason, { RevokeReason::ALL.len() }>;

impl<R: Reason, const N: usize> ByReason<R, N> {
    pub(super) fn count(&mut self, reason: R) {
        self.0[reason.code() as usize] += 1;
    }

    pub(super) fn count_all(&mut self, reasons: impl IntoIterator<Item = R>) {
        reasons.into_iter().for_each(|reason| self.count(reason));
    }

    /// How often for `reason`.
    #[must_use]
    pub fn by(&self, reason: R) -> u64 {
        self.0[reason.code() as usize]
    }

    /// Every reason with its count, those included that have not occurred.
    pub fn iter(&self) -> impl Iterator<Item = (R, u64)> {
        R::ALL.iter().map(|reason| (*reason, self.by(*reason)))
    }

    /// How often for whatever reason.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl<R: Reason, const N: usize> Default for ByReason<R, N> {
    fn default() -> Self {
        const { assert!(R::ALL.len() == N, "one counter for each reason") };
        Self([0; N], PhantomData)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_counter() {
        let mut counts = Revocations::default();
        counts.count(RevokeReason::Deadline);
        counts.count_all([RevokeReason::Withdrawn; 2]);
        assert_eq!((counts.by(RevokeReason::Deadline), counts.by(RevokeReason::Withdrawn), counts.total()), (1, 2, 3));
        assert!(counts.iter().eq([(RevokeReason::Deadline, 1), (RevokeReason::Withdrawn, 2)]));
        let mut skips = Skips::default();
        skips.count_all(SkipReason::ALL.iter().copied());
        assert!(skips.iter().all(|(_, count)| count == 1));
    }
}
