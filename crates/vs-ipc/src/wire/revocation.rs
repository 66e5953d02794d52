// SPDX-License-Identifier: Apache-2.0
//! REVOKED, which has said why since version 1.1.

use super::{MINOR_REVOKE_REASON, RevokeReason, Revoked, RevokedV0, WireError, parse, record};

/// A REVOKED for a client with which `minor` was agreed upon.
#[must_use]
pub fn encode(serial: u64, reason: RevokeReason, minor: u16) -> Vec<u8> {
    let serial = serial.into();
    if minor >= MINOR_REVOKE_REASON {
        record(Revoked { serial, reason: reason.code().into(), ..Revoked::default() }, &[])
    } else {
        record(RevokedV0 { serial, ..RevokedV0::default() }, &[])
    }
}

/// Reads a REVOKED: the frame's serial, and why. A host of version 1.0 does not say why, one of
/// a later version may say what this one does not know: both are taken for `Deadline`.
///
/// # Errors
/// [`WireError::TooShort`].
pub fn decode(record: &[u8]) -> Result<(u64, RevokeReason), WireError> {
    let (message, _) = parse::<RevokedV0>(record)?;
    let reason = parse::<Revoked>(record).ok().and_then(|(message, _)| RevokeReason::from_code(message.reason.get()));
    Ok((message.serial.get(), reason.unwrap_or(RevokeReason::Deadline)))
}

#[cfg(test)]
mod tests {
    use super::super::{Message, VERSION_MINOR, kind_of};
    use super::*;

    #[test]
    fn the_reason_is_for_those_who_know_of_it() {
        for reason in RevokeReason::ALL {
            let long = encode(7, *reason, VERSION_MINOR);
            assert_eq!((long.len(), decode(&long)), (24, Ok((7, *reason))));
            let short = encode(7, *reason, 0);
            assert_eq!((short.len(), decode(&short)), (16, Ok((7, RevokeReason::Deadline))));
            assert_eq!([kind_of(&long), kind_of(&short)], [Ok(Revoked::KIND); 2]);
        }
    }

    #[test]
    fn what_is_unknown_is_taken_for_a_deadline_and_what_is_cut_for_an_error() {
        let of_later = record(Revoked { reason: 99.into(), ..Revoked::default() }, b"more");
        assert_eq!(decode(&of_later), Ok((0, RevokeReason::Deadline)));
        let whole = encode(7, RevokeReason::Withdrawn, VERSION_MINOR);
        assert_eq!(decode(&whole[..20]), Ok((7, RevokeReason::Deadline)));
        assert!(matches!(decode(&whole[..15]), Err(WireError::TooShort { needed: 16, .. })));
    }
}
