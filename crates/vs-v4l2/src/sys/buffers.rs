// SPDX-License-Identifier: Apache-2.0
//! `VIDIOC_REQBUFS`, `VIDIOC_CREATE_BUFS`, `VIDIOC_REMOVE_BUFS`, `VIDIOC_EXPBUF`, `VIDIOC_QBUF`,
//! `VIDIOC_DQBUF`, `VIDIOC_STREAMON` and `-OFF`.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use v4l2r::ioctl::{
    self, BufferFlags, DqBufIoctlError, ExpbufFlags, IoctlConvertError, MemoryConsistency, PlaneMapping,
    UncheckedV4l2Buffer,
};
use v4l2r::memory::MemoryType;
use v4l2r::{QueueType, bindings};
use vs_frame::clock::NS_PER_SEC;
use vs_frame::{Field, MAX_PLANES};

use super::{Result, errno, retry};

const US_PER_SEC: u64 = 1_000_000;

/// A buffer that the driver gave back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Dequeued {
    pub(crate) index: u32,
    /// The driver says that its contents are not to be trusted.
    pub(crate) error: bool,
    pub(crate) sequence: u32,
    /// Which rows it has.
    pub(crate) field: Field,
    /// There is nothing after it (`V4L2_BUF_FLAG_LAST`).
    pub(crate) last: bool,
    /// Decoding can start with it (`V4L2_BUF_FLAG_KEYFRAME`).
    pub(crate) keyframe: bool,
    /// The timestamp in µs, whatever clock it is of; 0 if there is none.
    pub(crate) stamp_us: u64,
    /// `CLOCK_MONOTONIC`; `None` if the driver stamps with another clock, or not at all.
    pub(crate) capture_ns: Option<u64>,
    /// Bytes used of each memory, `data_offset` included.
    pub(crate) bytes_used: [u32; MAX_PLANES],
    /// Bytes in each memory before the picture begins.
    pub(crate) data_offset: [u32; MAX_PLANES],
}

/// Asks for `count` buffers that the driver allocates; 0 gives all back. Returns how many
/// there are.
pub(crate) fn request_buffers(fd: BorrowedFd<'_>, queue: QueueType, count: u32) -> Result<u32> {
    request(fd, queue, MemoryType::Mmap, count)
}

/// Asks for `count` buffers whose memory comes with each, as DmaBufs; 0 gives all back.
pub(crate) fn request_imports(fd: BorrowedFd<'_>, queue: QueueType, count: u32) -> Result<u32> {
    request(fd, queue, MemoryType::DmaBuf, count)
}

fn request(fd: BorrowedFd<'_>, queue: QueueType, memory: MemoryType, count: u32) -> Result<u32> {
    let none = MemoryConsistency::empty();
    let got: usize = retry(|| ioctl::reqbufs(&fd, queue, memory, count, none).map_err(errno))?;
    u32::try_from(got).map_err(|_| Errno::PROTO)
}

/// What a driver can do about the number of its buffers while it streams.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Elasticity {
    /// Buffers that the queue can have.
    pub(crate) max: u32,
    /// Whether it can give single ones back (`VIDIOC_REMOVE_BUFS`, from Linux 6.10).
    pub(crate) removes: bool,
}

/// Asks whether buffers can be added. `ENOTTY`: never.
pub(crate) fn elasticity(fd: BorrowedFd<'_>, queue: QueueType) -> Result<Elasticity> {
    // With a count of 0 nothing is created, and the rest is checked and answered (kernel doc,
    // "ioctl VIDIOC_CREATE_BUFS").
    let answer = create(fd, queue, 0)?;
    Ok(Elasticity {
        max: match answer.capabilities & bindings::V4L2_BUF_CAP_SUPPORTS_MAX_NUM_BUFFERS {
            0 => bindings::VIDEO_MAX_FRAME,
            _ => answer.max_num_buffers,
        },
        removes: answer.capabilities & bindings::V4L2_BUF_CAP_SUPPORTS_REMOVE_BUFS != 0,
    })
}

/// Adds one buffer for the format that is set now; returns its number, which need not follow
/// the others.
pub(crate) fn create_buffer(fd: BorrowedFd<'_>, queue: QueueType) -> Result<u32> {
    let created = create(fd, queue, 1)?;
    // Some drivers give less than they were asked for, and call that success.
    if created.count == 0 { Err(Errno::NOMEM) } else { Ok(created.index) }
}

fn create(fd: BorrowedFd<'_>, queue: QueueType, count: u32) -> Result<bindings::v4l2_create_buffers> {
    let format: bindings::v4l2_format = retry(|| ioctl::g_fmt(&fd, queue).map_err(errno))?;
    retry(|| ioctl::create_bufs(&fd, count, MemoryType::Mmap, format).map_err(errno))
}

nix::ioctl_readwrite!(vidioc_remove_bufs, b'V', 104, bindings::v4l2_remove_buffers);

/// Gives one buffer back to the system. The driver must not have it; whoever has a descriptor
/// of its memory keeps that.
pub(crate) fn remove_buffer(fd: BorrowedFd<'_>, queue: QueueType, index: u32) -> Result<()> {
    let mut range = bindings::v4l2_remove_buffers { index, count: 1, type_: queue as u32, ..Default::default() };
    retry(|| {
        // SAFETY: `range` is the structure that this request reads, alive for the call.
        let removed = unsafe { vidioc_remove_bufs(fd.as_raw_fd(), &raw mut range) };
        removed.map(|_| ()).map_err(|error| Errno::from_raw_os_error(error as i32))
    })
}

/// What a descriptor of a buffer allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Export {
    /// Reading only.
    Read,
    /// Reading and writing.
    ReadWrite,
}

/// One memory of a buffer as a DmaBuf. Each call makes a DmaBuf of its own.
pub(crate) fn export(fd: BorrowedFd<'_>, queue: QueueType, index: u32, plane: u32, export: Export) -> Result<OwnedFd> {
    let access = match export {
        Export::Read => ExpbufFlags::RDONLY,
        Export::ReadWrite => ExpbufFlags::RDWR,
    };
    let flags = ExpbufFlags::CLOEXEC | access;
    retry(|| ioctl::expbuf(&fd, queue, index as usize, plane as usize, flags).map_err(errno))
}

/// Gives a buffer to the driver.
pub(crate) fn enqueue(fd: BorrowedFd<'_>, queue: QueueType, index: u32) -> Result<()> {
    retry(|| {
        let mut buffer = UncheckedV4l2Buffer::new_for_querybuf(queue, Some(index));
        buffer.0.memory = MemoryType::Mmap as u32;
        ioctl::qbuf::<_, ()>(&fd, buffer).map_err(errno)
    })
}

/// One memory of an input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InputMemory<'a> {
    /// The bytes from the memory's first to the last that counts.
    pub(crate) bytes_used: u32,
    /// Bytes before the data; only the multi-planar API knows them.
    pub(crate) data_offset: u32,
    /// Where it lies if it is not the driver's own, and how long that is.
    pub(crate) import: Option<(BorrowedFd<'a>, u32)>,
}

/// Gives a buffer with an input to the driver, under a timestamp that comes back with what is
/// made of it (`V4L2_BUF_FLAG_TIMESTAMP_COPY`).
pub(crate) fn enqueue_input(
    fd: BorrowedFd<'_>,
    queue: QueueType,
    (index, stamp_us): (u32, u64),
    memories: &[InputMemory<'_>],
) -> Result<()> {
    let imports = memories.iter().any(|memory| memory.import.is_some());
    let memory_type = if imports { MemoryType::DmaBuf } else { MemoryType::Mmap };
    retry(|| {
        let mut buffer = UncheckedV4l2Buffer::new_for_querybuf(queue, Some(index));
        let UncheckedV4l2Buffer(raw, planes) = &mut buffer;
        raw.memory = memory_type as u32;
        raw.field = bindings::v4l2_field_V4L2_FIELD_NONE;
        raw.timestamp =
            bindings::timeval { tv_sec: (stamp_us / US_PER_SEC) as _, tv_usec: (stamp_us % US_PER_SEC) as _ };
        match (planes, memories) {
            (None, [only]) => {
                raw.bytesused = only.bytes_used;
                if let Some((fd, len)) = only.import {
                    raw.m.fd = fd.as_raw_fd();
                    raw.length = len;
                }
            }
            (Some(planes), memories) if memories.len() <= planes.len() => {
                raw.length = memories.len() as u32;
                for (plane, memory) in planes.iter_mut().zip(memories) {
                    plane.bytesused = memory.bytes_used;
                    plane.data_offset = memory.data_offset;
                    if let Some((fd, len)) = memory.import {
                        plane.m.fd = fd.as_raw_fd();
                        plane.length = len;
                    }
                }
            }
            _ => return Err(Errno::INVAL),
        }
        ioctl::qbuf::<_, ()>(&fd, buffer).map_err(errno)
    })
}

/// Maps each memory of a buffer that the driver allocated.
pub(crate) fn map_buffer(fd: BorrowedFd<'_>, queue: QueueType, index: u32) -> Result<Vec<PlaneMapping>> {
    let UncheckedV4l2Buffer(raw, planes) =
        retry(|| ioctl::querybuf::<UncheckedV4l2Buffer>(&fd, queue, index as usize).map_err(errno))?;
    let places: Vec<(u32, u32)> = match planes {
        // SAFETY: for MMAP memory the kernel fills `offset`; it is a plain number.
        None => vec![(unsafe { raw.m.offset }, raw.length)],
        Some(planes) => {
            let place = |plane: &bindings::v4l2_plane| {
                // SAFETY: for MMAP memory the kernel fills `mem_offset`; it is a plain number.
                (unsafe { plane.m.mem_offset }, plane.length)
            };
            planes.iter().take(raw.length as usize).map(place).collect()
        }
    };
    places.into_iter().map(|(offset, length)| ioctl::mmap(&fd, offset, length).map_err(|_| Errno::NOMEM)).collect()
}

/// Takes a filled buffer from the driver; `None` if there is none yet.
pub(crate) fn dequeue(fd: BorrowedFd<'_>, queue: QueueType) -> Result<Option<Dequeued>> {
    // v4l2r's checked buffer refuses, after the driver has already given it away, what it
    // does not know; an unchecked one always comes back.
    let taken = retry(|| match ioctl::dqbuf::<UncheckedV4l2Buffer>(&fd, queue) {
        Ok(raw) => Ok(Some(raw)),
        Err(IoctlConvertError::IoctlError(DqBufIoctlError::NotReady)) => Ok(None),
        Err(error) => Err(errno(error)),
    })?;
    Ok(taken.map(|UncheckedV4l2Buffer(buffer, planes)| read(&buffer, planes.as_ref().map(<[_; _]>::as_slice))))
}

fn read(buffer: &bindings::v4l2_buffer, planes: Option<&[bindings::v4l2_plane]>) -> Dequeued {
    let (mut bytes_used, mut data_offset) = ([0; MAX_PLANES], [0; MAX_PLANES]);
    match planes {
        None => bytes_used[0] = buffer.bytesused,
        Some(planes) => {
            for (index, plane) in planes.iter().take(buffer.length as usize).take(MAX_PLANES).enumerate() {
                bytes_used[index] = plane.bytesused;
                data_offset[index] = plane.data_offset;
            }
        }
    }
    Dequeued {
        index: buffer.index,
        error: buffer.flags & BufferFlags::ERROR.bits() != 0,
        last: buffer.flags & bindings::V4L2_BUF_FLAG_LAST != 0,
        keyframe: buffer.flags & BufferFlags::KEYFRAME.bits() != 0,
        stamp_us: stamp_us(buffer),
        sequence: buffer.sequence,
        // Numbers above 255 are none of any kernel.
        field: Field(u8::try_from(buffer.field).unwrap_or(0)),
        capture_ns: monotonic_ns(buffer),
        bytes_used,
        data_offset,
    }
}

fn stamp_us(buffer: &bindings::v4l2_buffer) -> u64 {
    let seconds = u64::try_from(buffer.timestamp.tv_sec).unwrap_or(0);
    let microseconds = u64::try_from(buffer.timestamp.tv_usec).unwrap_or(0);
    seconds.saturating_mul(US_PER_SEC).saturating_add(microseconds)
}

fn monotonic_ns(buffer: &bindings::v4l2_buffer) -> Option<u64> {
    let clock = buffer.flags & bindings::V4L2_BUF_FLAG_TIMESTAMP_MASK;
    let seconds = u64::try_from(buffer.timestamp.tv_sec).ok()?;
    let microseconds = u64::try_from(buffer.timestamp.tv_usec).ok()?;
    let ns = seconds.checked_mul(NS_PER_SEC)?.checked_add(microseconds.checked_mul(1000)?)?;
    (clock == bindings::V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC && ns > 0).then_some(ns)
}

/// Lets the driver begin to fill buffers.
pub(crate) fn stream_on(fd: BorrowedFd<'_>, queue: QueueType) -> Result<()> {
    retry(|| ioctl::streamon(&fd, queue).map_err(errno))
}

/// Makes the driver stop; it gives up every buffer it has.
pub(crate) fn stream_off(fd: BorrowedFd<'_>, queue: QueueType) -> Result<()> {
    retry(|| ioctl::streamoff(&fd, queue).map_err(errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(flags: u32, sec: i64, usec: i64) -> bindings::v4l2_buffer {
        let timestamp = bindings::timeval { tv_sec: sec, tv_usec: usec };
        bindings::v4l2_buffer { flags, timestamp, ..Default::default() }
    }

    #[test]
    fn only_monotonic_stamps_count() {
        let monotonic = bindings::V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
        assert_eq!(monotonic_ns(&buffer(monotonic, 2, 3)), Some(2_000_003_000));
        assert_eq!(monotonic_ns(&buffer(0, 2, 3)), None);
        assert_eq!(monotonic_ns(&buffer(bindings::V4L2_BUF_FLAG_TIMESTAMP_COPY, 2, 3)), None);
        assert_eq!(monotonic_ns(&buffer(monotonic, 0, 0)), None);
        assert_eq!(monotonic_ns(&buffer(monotonic, -1, 0)), None);
        assert_eq!(monotonic_ns(&buffer(monotonic, i64::MAX, 0)), None);
    }

    #[test]
    fn the_field_is_the_drivers() {
        let field = |field| read(&bindings::v4l2_buffer { field, ..Default::default() }, None).field;
        assert_eq!((field(2), field(3), field(u32::MAX)), (Field::TOP, Field::BOTTOM, Field(0)));
    }

    #[test]
    fn planes_beyond_what_a_frame_has_are_left_out() {
        let planes = [bindings::v4l2_plane { bytesused: 7, data_offset: 2, ..Default::default() }; 8];
        let raw = bindings::v4l2_buffer { length: 99, ..Default::default() };
        let read = read(&raw, Some(&planes));
        assert_eq!((read.bytes_used, read.data_offset), ([7; MAX_PLANES], [2; MAX_PLANES]));
    }
}
