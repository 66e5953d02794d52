// SPDX-License-Identifier: Apache-2.0
//! The camera itself.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;
use v4l2r::bindings::V4L2_CID_CAMERA_SENSOR_ROTATION;
use v4l2r::ioctl::EventType;
use vs_frame::clock::monotonic_ns;
use vs_frame::{Field, Format, Frame, FrameFlags, FrameMeta, MAX_PLANES};

use super::allocate::Allocator;
use super::elastic::{Elastic, Need};
use super::error::{CaptureError, GrowError, OpenError, StartError};
use super::layout::{format_of, with_data_offset};
use super::negotiate::negotiate;
use super::queue::{BufferQueue, DeviceQueue, StartFailure};
use super::request::{Adjustment, Answer, CaptureRequest, adjustments};
use super::sequence::SequenceTracker;
use crate::classify::Direction;
use crate::controls::Controls;
use crate::event::Event;
use crate::node::{self, NodeError};
use crate::planar::Planar;
use crate::sys::{self, Dequeued, Elasticity, RawValue, Signal};

/// An open camera with its buffers. Dropping it stops and closes the device at once; frames
/// that readers still hold stay readable.
///
/// Readiness is the file descriptor's ([`AsFd`]): readable means a frame, priority
/// (`POLLPRI`) an event, an error (`POLLERR`) that [`dequeue`](Self::dequeue) knows more. A
/// stopped camera reports an error all the time: wait on one that streams.
#[derive(Debug)]
pub struct Camera {
    devnode: PathBuf,
    planar: Planar,
    queue: BufferQueue<DeviceQueue>,
    allocator: Allocator,
    elastic: Elastic,
    /// As negotiated.
    plain: Arc<Format>,
    /// As of the last frame.
    format: Arc<Format>,
    data_offset: [u32; MAX_PLANES],
    memory_lens: Vec<u64>,
    adjustments: Vec<Adjustment>,
    sequence: SequenceTracker,
    frames: u64,
    corrupt: u64,
}

/// What a camera delivered.
#[derive(Debug)]
pub enum Captured {
    /// A frame. Dropping its last handle gives the buffer back to the driver.
    Frame(Frame),
    /// The driver flagged the buffer as erroneous, or filled it with nothing. It is back
    /// with the driver already.
    Corrupt {
        /// The driver's count of it.
        sequence: u32,
    },
}

/// Where a camera's buffers are, and what became of its frames since it was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CaptureStats {
    /// Buffers in all.
    pub buffers: u32,
    /// Those of them that it did not begin with.
    pub spares: u32,
    /// Buffers that the driver can fill.
    pub queued: u32,
    /// Buffers that readers hold.
    pub held: u32,
    /// Frames delivered.
    pub frames: u64,
    /// Buffers that came back flagged as erroneous, or empty.
    pub corrupt: u64,
    /// Frames that the driver counted but never delivered.
    pub lost: u64,
    /// Times that the driver refused a buffer (`VIDIOC_QBUF`). A refused buffer is offered
    /// again with each [`Camera::dequeue`].
    pub qbuf_errors: u64,
    /// Why it did so last, since the last start.
    pub last_qbuf_error: Option<Errno>,
}

impl Camera {
    /// Opens a camera, agrees with its driver on a format and exports its buffers. It does
    /// not stream yet. Where the driver's answer differs from the request,
    /// [`adjustments`](Self::adjustments) says so.
    ///
    /// # Errors
    /// [`OpenError`]; the device is closed again then.
    pub fn open(devnode: &Path, request: &CaptureRequest) -> Result<Self, OpenError> {
        let (fd, capability) = node::open(devnode)?;
        if request.bus.as_ref().is_some_and(|bus| *bus != capability.bus) {
            return Err(OpenError::Another { devnode: devnode.to_owned(), bus: capability.bus });
        }
        let planar = Planar::of(capability.caps).filter(|_| Direction::of(capability.caps) == Direction::Capture);
        let planar = planar.ok_or_else(|| OpenError::NotACamera { devnode: devnode.to_owned() })?;
        let request = request.within_bounds();
        let signal = sys::follow_signal(fd.as_fd()).map_err(|e| NodeError::new("set the timings of", devnode, e))?;
        match signal {
            Signal::Fine => {}
            Signal::Missing => return Err(OpenError::NoSignal { devnode: devnode.to_owned() }),
            Signal::Unsupported => return Err(OpenError::Signal { devnode: devnode.to_owned() }),
        }
        let (pix, rate) = negotiate(fd.as_fd(), devnode, planar, &request)?;
        let wrong = |source| OpenError::Layout { devnode: devnode.to_owned(), source };
        let format = Format { rotation: mounting(fd.as_fd()), ..format_of(&pix, rate).map_err(wrong)? };
        let allocator = Allocator {
            devnode: devnode.to_owned(),
            queue: planar.capture(),
            memories: format.memories() as u32,
            bytes: pix.planes.iter().map(|plane| u64::from(plane.sizeimage)).sum(),
            writable: request.writable,
            unexported: None,
        };
        let queue = allocator.begin(fd, request.buffers)?;
        // All buffers are alike; the driver rounds their sizes up, never down.
        let memory_lens = queue.buffer(0).map(|buffer| buffer.memory_lens()).unwrap_or_default();
        format.check(&memory_lens).map_err(|error| wrong(error.into()))?;
        // Few cameras have these events; those that have none refuse, which is fine.
        let _ = sys::subscribe(queue.driver().as_fd(), || EventType::SourceChange(0));
        let _ = sys::subscribe(queue.driver().as_fd(), || EventType::Eos);
        let initial = queue.holders().all();
        // A driver that refuses the question adds no buffers.
        let fixed = Elasticity { max: initial, removes: false };
        let elasticity = sys::elasticity(queue.driver().as_fd(), planar.capture()).unwrap_or(fixed);
        let spares = request.spares.min(elasticity.max.saturating_sub(initial));
        let answer = Answer { fourcc: pix.fourcc, size: (pix.width, pix.height), rate, buffers: initial, spares };
        let format = Arc::new(format);
        Ok(Self {
            devnode: devnode.to_owned(),
            planar,
            queue,
            allocator,
            elastic: Elastic::new(initial, spares, request.floor, elasticity.removes),
            plain: Arc::clone(&format),
            format,
            data_offset: [0; MAX_PLANES],
            memory_lens,
            adjustments: adjustments(&request, &answer),
            sequence: SequenceTracker::default(),
            frames: 0,
            corrupt: 0,
        })
    }

    /// The node it was opened at.
    #[must_use]
    pub fn devnode(&self) -> &Path {
        &self.devnode
    }

    /// The buffer API that its driver speaks.
    #[must_use]
    pub fn planar(&self) -> Planar {
        self.planar
    }

    /// The format of the frames, in the driver's own strides, offsets and colours. Some
    /// drivers tell an offset with the first frame only; the frames' own format then
    /// differs from what this said before.
    #[must_use]
    pub fn format(&self) -> &Arc<Format> {
        &self.format
    }

    /// The ways in which the driver's answer differs from what was asked.
    #[must_use]
    pub fn adjustments(&self) -> &[Adjustment] {
        &self.adjustments
    }

    /// Says that frames are missing before the next one, which the camera cannot know: another
    /// opened camera delivered those before it.
    pub fn note_gap(&mut self) {
        self.sequence.note_gap();
    }

    /// Its controls, through the same open file.
    ///
    /// # Errors
    /// [`NodeError`] if there are no more descriptors.
    pub fn controls(&self) -> Result<Controls, NodeError> {
        Controls::of(self.as_fd(), &self.devnode)
    }

    /// Gives the driver its buffers and lets it stream. Starting a camera that streams does
    /// nothing.
    ///
    /// # Errors
    /// [`StartError`]; the camera stays stopped then and can be started again.
    pub fn start(&mut self) -> Result<(), StartError> {
        if self.is_streaming() {
            return Ok(());
        }
        self.sequence.restart();
        self.queue.start().map_err(|failure| match failure {
            StartFailure::NoBuffer(Errno::NODEV) => StartError::Gone(self.devnode.clone()),
            StartFailure::NoBuffer(source) => StartError::NoBuffer { devnode: self.devnode.clone(), source },
            StartFailure::StreamOn(errno) => StartError::new(&self.devnode, errno),
        })
    }

    /// Stops the driver. Frames that readers hold stay theirs; they come back to the driver
    /// if the camera is started again.
    pub fn stop(&mut self) {
        self.queue.stop();
    }

    /// Whether it is started.
    #[must_use]
    pub fn is_streaming(&self) -> bool {
        self.queue.is_streaming()
    }

    /// The next frame; `Ok(None)` if there is none yet. Never blocks.
    ///
    /// # Errors
    /// [`CaptureError`]: after [`Gone`](CaptureError::Gone) the camera is to be dropped,
    /// after the others to be stopped and started.
    pub fn dequeue(&mut self) -> Result<Option<Captured>, CaptureError> {
        if !self.is_streaming() {
            return Err(CaptureError::Stopped(self.devnode.clone()));
        }
        let taken = self.queue.dequeue().map_err(|errno| CaptureError::new(&self.devnode, errno))?;
        Ok(taken.map(|taken| self.captured(taken)))
    }

    /// The events that have come since the last call: changes of the source, the end of the
    /// stream. Never blocks.
    ///
    /// # Errors
    /// [`CaptureError`] as of [`dequeue`](Self::dequeue).
    pub fn events(&mut self) -> Result<Vec<Event>, CaptureError> {
        let mut events = Vec::new();
        // The kernel's queue is short; one that never ends must not keep us.
        while events.len() < MAX_EVENTS {
            match sys::next_event(self.as_fd()) {
                Ok(Some(event)) => events.push(event),
                // ENOTTY: a driver without events.
                Ok(None) | Err(Errno::NOTTY) => break,
                Err(errno) => return Err(CaptureError::new(&self.devnode, errno)),
            }
        }
        Ok(events)
    }

    /// Buffers that the driver can fill now. At 0 it drops what comes.
    #[must_use]
    pub fn queued(&self) -> u32 {
        self.queue.holders().driver
    }

    /// Sees to it that the driver has its floor of buffers
    /// ([`CaptureRequest::floor`]) while readers hold others: if it has fewer, it gets one
    /// that is spare, or that is allocated now within the bound. Call it when a frame has
    /// been handed out: as readers hold one more with each frame, once for each is enough.
    /// Returns whether the driver got one.
    ///
    /// # Errors
    /// [`GrowError`] if there could be one more but cannot be had. It is tried again after
    /// some calls of [`trim`](Self::trim); until then [`max_buffers`](Self::max_buffers) is
    /// what there is.
    pub fn top_up(&mut self) -> Result<bool, GrowError> {
        if !self.is_streaming() {
            return Ok(false);
        }
        match self.elastic.need(self.queue.holders()) {
            Need::Nothing => Ok(false),
            Need::Wake => Ok(self.queue.wake() > 0),
            Need::Grow => {
                let grown = self.allocator.grow(&mut self.queue, &self.memory_lens);
                grown.inspect_err(|_| self.elastic.refuse(self.queue.holders())).map(|()| true)
            }
        }
    }

    /// Gives back buffers that nobody has needed since the last call, down to the number that
    /// the camera began with. Call it every few seconds, for each buffer goes in steps: it comes
    /// home; it loses its number, so that readers can be told to forget it; and when none has
    /// its memory any more, the system gets it. Returns how many have lost their number.
    ///
    /// Where the driver cannot take out single buffers ([`gives_back`](Self::gives_back)) they
    /// stay in use until the camera is closed.
    pub fn trim(&mut self) -> u32 {
        self.elastic.trim(&mut self.queue).renamed
    }

    /// Whether spares are given back while the camera is open (`VIDIOC_REMOVE_BUFS`, from Linux
    /// 6.10 and with most drivers).
    #[must_use]
    pub fn gives_back(&self) -> bool {
        self.elastic.removes()
    }

    /// Buffers that there can be at most, spares included: less than what was asked for if the
    /// driver cannot add any, and while it has no memory.
    #[must_use]
    pub fn max_buffers(&self) -> u32 {
        self.elastic.max()
    }

    /// Where the buffers are and what became of the frames.
    #[must_use]
    pub fn stats(&self) -> CaptureStats {
        let (holders, refused) = (self.queue.holders(), self.queue.refused());
        CaptureStats {
            buffers: holders.all(),
            spares: self.elastic.beyond_initial(holders),
            queued: holders.driver,
            held: holders.readers,
            frames: self.frames,
            corrupt: self.corrupt,
            lost: self.sequence.lost(),
            qbuf_errors: refused.count,
            last_qbuf_error: refused.last,
        }
    }

    fn captured(&mut self, taken: Dequeued) -> Captured {
        let (index, sequence) = (taken.index, taken.sequence);
        match self.frame(taken) {
            Some(frame) => {
                self.frames += 1;
                Captured::Frame(frame)
            }
            None => {
                self.queue.home().take_back(index);
                self.sequence.skip(sequence);
                self.corrupt += 1;
                Captured::Corrupt { sequence }
            }
        }
    }

    /// Makes a frame of a buffer; `None` if its contents are not to be trusted.
    fn frame(&mut self, taken: Dequeued) -> Option<Frame> {
        let bytes_used = self.payload(&taken)?;
        self.follow_data_offset(&taken.data_offset)?;
        let buffer = Arc::clone(self.queue.buffer(taken.index)?);
        let mut flags = FrameFlags::empty();
        flags.set(FrameFlags::GAP, self.sequence.publish(taken.sequence));
        flags.set(FrameFlags::TOP_FIELD, taken.field == Field::TOP);
        flags.set(FrameFlags::BOTTOM_FIELD, taken.field == Field::BOTTOM);
        let meta = FrameMeta {
            sequence: taken.sequence,
            capture_ns: taken.capture_ns.unwrap_or_else(monotonic_ns),
            bytes_used,
            flags,
            ..FrameMeta::default()
        };
        Frame::new(buffer, Arc::clone(&self.format), meta, Some((self.queue.home(), taken.index))).ok()
    }

    /// The bytes used of each memory; `None` if the driver flagged an error, delivered
    /// nothing, or states more than there is. Some drivers do not count the bytes of
    /// pictures, whose size is known; an access unit of 0 bytes is none.
    fn payload(&self, taken: &Dequeued) -> Option<[u32; MAX_PLANES]> {
        let mut bytes_used = [0; MAX_PLANES];
        for (memory, len) in self.memory_lens.iter().enumerate() {
            bytes_used[memory] = match *taken.bytes_used.get(memory)? {
                0 if self.plain.is_coded() => return None,
                0 => u32::try_from(self.plain.memory_size(memory)).ok()?,
                // What the driver states includes the bytes before the data (kernel doc,
                // "struct v4l2_plane", `data_offset`).
                used if u64::from(used) <= *len => used.saturating_sub(taken.data_offset[memory]),
                _ => return None,
            };
        }
        (!taken.error).then_some(bytes_used)
    }

    /// Takes over where in their memories the planes begin; `None` if that cannot be.
    fn follow_data_offset(&mut self, data_offset: &[u32; MAX_PLANES]) -> Option<()> {
        if *data_offset != self.data_offset {
            self.format = Arc::new(with_data_offset(&self.plain, data_offset, &self.memory_lens).ok()?);
            self.data_offset = *data_offset;
        }
        Some(())
    }
}

/// How the camera is mounted, as its driver or the board's device tree says; 0 if they say nothing.
fn mounting(fd: BorrowedFd<'_>) -> u16 {
    match sys::get_control(fd, V4L2_CID_CAMERA_SENSOR_ROTATION, &RawValue::Small(0)) {
        Ok(RawValue::Small(degrees)) => u16::try_from(degrees).unwrap_or(0),
        _ => 0,
    }
}

/// More than any driver keeps.
const MAX_EVENTS: usize = 64;

impl AsFd for Camera {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.driver().as_fd()
    }
}
