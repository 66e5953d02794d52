// SPDX-License-Identifier: Apache-2.0
//! One record, taken for each message of either protocol.

use vs_frame::MAX_PLANES;
use vs_ipc::vsl::picture::Picture;
use vs_ipc::vsl::wire::{Event, Request};
use vs_ipc::wire::{self, FormatMessage, Hello, Message, Welcome, format_message};
use zerocopy::IntoBytes;

/// What can be read can be written again, and texts cannot command a terminal.
pub(crate) fn run(data: &[u8]) {
    if wire::kind_of(data) == Ok(FormatMessage::KIND)
        && let Ok((number, format)) = format_message::decode(data)
    {
        let again = format_message::encode(number, &format);
        assert_eq!(format_message::decode(&again), Ok((number, format.clone())));
        for len in [0, 4096, u64::MAX] {
            if format.check(&[len; MAX_PLANES]).is_ok() {
                for memory in 0..format.memories() {
                    assert!(format.memory_size(memory) <= len);
                }
            }
        }
        let _ = vs_pattern::Pattern::new(&format);
    }
    for name in [
        wire::parse::<Hello>(data).map(|(hello, _)| wire::name_text(&hello.name)),
        wire::parse::<Welcome>(data).map(|(welcome, _)| wire::name_text(&welcome.stream)),
    ]
    .into_iter()
    .flatten()
    {
        assert!(!name.contains(char::is_control));
        assert!(wire::name_field(&name).len() == wire::NAME_LEN);
    }
    if let Some(request) = Request::parse(data) {
        assert_eq!(request.as_bytes(), &data[..size_of::<Request>()]);
    }
    if let Some(event) = Event::parse(data) {
        let picture = Picture::said_by(&event);
        for len in [event.size.get(), event.offset.get().saturating_add(event.size.get()), 4096] {
            if let Ok(format) = picture.format(len) {
                assert!(format.check(&[len]).is_ok() && format.memory_size(0) <= len);
            }
        }
    }
}
