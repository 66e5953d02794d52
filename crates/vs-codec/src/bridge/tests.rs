// SPDX-License-Identifier: Apache-2.0
//! A bridge between two that take little at a time, lose pictures and fail.

use std::num::NonZeroU32;
use std::sync::Arc;

use proptest::prelude::*;
use vs_frame::{Colorimetry, CpuMemory, CpuPool, Format, FourCc, FrameMeta, Rate};

use super::*;
use crate::BackendKind;
use crate::Bitrate;
use crate::config::RateControl;
use crate::converter::ConverterInfo;

/// What a fake has inside, and what becomes of it.
#[derive(Default)]
struct Inside {
    room: usize,
    queue: VecDeque<(Option<Frame>, FrameTag, bool)>,
    loses: Vec<u64>,
    fails_at: Option<u64>,
    draining: bool,
    failed: bool,
}

fn failure() -> BackendError {
    BackendError { session: "fake".to_owned(), call: "working", reason: "it was told to fail".to_owned() }
}

/// What comes out of a fake, before it is made into something.
type Made = Output<(Option<Frame>, FrameTag, bool)>;

impl Inside {
    fn submit(&mut self, frame: &Frame, tag: FrameTag, keyframe: bool) -> Result<(), SubmitError> {
        if self.failed {
            return Err(failure().into());
        }
        if self.draining {
            return Err(SubmitError::Draining);
        }
        if self.queue.len() >= self.room {
            return Err(SubmitError::Full);
        }
        self.failed = self.fails_at == Some(tag.serial);
        self.queue.push_back((Some(frame.clone()), tag, keyframe));
        Ok(())
    }

    fn receive(&mut self) -> Result<Made, BackendError> {
        match self.queue.pop_front() {
            Some((_, tag, _)) if self.failed || self.loses.contains(&tag.serial) => {
                Ok(Output::Lost(tag, Loss::Corrupt))
            }
            Some(made) => Ok(Output::Done(made)),
            None if self.failed => Err(failure()),
            None if std::mem::take(&mut self.draining) => Ok(Output::Drained),
            None => Ok(Output::Pending),
        }
    }
}

struct Fake {
    inside: Inside,
    keyframe: bool,
    info: ConverterInfo,
    effective: Effective,
}

impl Session for Fake {
    fn as_poll_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn deadline(&self) -> Option<u64> {
        None
    }

    fn drain(&mut self) -> Result<(), BackendError> {
        self.inside.draining = true;
        if self.inside.failed { Err(failure()) } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), BackendError> {
        self.inside.queue.clear();
        self.inside.draining = false;
        Ok(())
    }
}

impl Converter for Fake {
    fn info(&self) -> &ConverterInfo {
        &self.info
    }

    fn submit(&mut self, frame: &Frame, tag: FrameTag) -> Result<(), SubmitError> {
        self.inside.submit(frame, tag, false)
    }

    fn receive(&mut self) -> Result<Output<Picture>, BackendError> {
        Ok(match self.inside.receive()? {
            Output::Done((frame, tag, _)) => Output::Done(Picture { frame: frame.unwrap(), tag }),
            Output::Lost(tag, loss) => Output::Lost(tag, loss),
            Output::Pending => Output::Pending,
            Output::Drained => Output::Drained,
        })
    }
}

impl Encoder for Fake {
    fn effective(&self) -> &Effective {
        &self.effective
    }

    fn submit(&mut self, frame: &Frame, tag: FrameTag) -> Result<(), SubmitError> {
        self.inside.submit(frame, tag, self.keyframe)?;
        self.keyframe = false;
        Ok(())
    }

    fn receive(&mut self) -> Result<Output<AccessUnit>, BackendError> {
        Ok(match self.inside.receive()? {
            Output::Done((_, tag, keyframe)) => {
                Output::Done(AccessUnit { data: Arc::from([]), tag, dts_ns: tag.pts_ns, keyframe })
            }
            Output::Lost(tag, loss) => Output::Lost(tag, loss),
            Output::Pending => Output::Pending,
            Output::Drained => Output::Drained,
        })
    }

    fn force_keyframe(&mut self) {
        self.keyframe = true;
    }

    fn reconfigure(&mut self, _: &Changes) -> Result<(), ReconfigureError> {
        Ok(())
    }
}

fn fake(inside: Inside) -> Box<Fake> {
    let output = Arc::new(format());
    let info = ConverterInfo { backend: BackendKind::Software, name: "fake".into(), reason: String::new(), output };
    let effective = Effective {
        backend: BackendKind::Software,
        name: "fake".to_owned(),
        reason: String::new(),
        codec: FourCc::FWHT,
        width: 16,
        height: 16,
        rate: Rate::UNKNOWN,
        color: Colorimetry::default(),
        rotation: 0,
        rate_control: RateControl::Vbr(Bitrate::new(1).unwrap()),
        keyframe_interval: NonZeroU32::MIN,
        profile: None,
        level: None,
        b_frames: 0,
        imports: false,
        threads: 1,
        parameter_sets: Arc::from([]),
        largest_access_unit: 0,
    };
    Box::new(Fake { inside, keyframe: false, info, effective })
}

fn format() -> Format {
    Format::packed(FourCc::GREY, 16, 16, Rate::UNKNOWN).unwrap()
}

fn tag(serial: u64) -> FrameTag {
    FrameTag { serial, pts_ns: serial as i64, ..FrameTag::default() }
}

/// What came out: serial, and whether it is a keyframe; `None` if it was lost.
type Came = Vec<(u64, Option<bool>)>;

/// Receives until there is nothing, or the end.
fn receive(bridge: &mut Bridge, came: &mut Came) -> Result<bool, BackendError> {
    loop {
        match bridge.receive()? {
            Output::Done(unit) => came.push((unit.tag.serial, Some(unit.keyframe))),
            Output::Lost(tag, _) => came.push((tag.serial, None)),
            Output::Pending => return Ok(false),
            Output::Drained => return Ok(true),
        }
    }
}

proptest! {
    #[test]
    fn everything_comes_out_once_and_in_order(
        rooms in (1..4_usize, 1..4_usize), count in 0..40_u64,
        lost in (prop::collection::vec(0..40_u64, 0..6), prop::collection::vec(0..40_u64, 0..6)),
        forced in prop::collection::vec(0..40_u64, 0..6), lazy in 1..5_u64,
    ) {
        let frame = a_frame();
        let converter = Inside { room: rooms.0, loses: lost.0.clone(), ..Inside::default() };
        let encoder = Inside { room: rooms.1, loses: lost.1.clone(), ..Inside::default() };
        let mut bridge = Bridge::new(fake(converter), fake(encoder)).unwrap();
        let mut came = Came::new();
        for serial in 0..count {
            if forced.contains(&serial) {
                bridge.force_keyframe();
            }
            while let Err(error) = bridge.submit(&frame, tag(serial)) {
                prop_assert!(matches!(error, SubmitError::Full), "{error}");
                receive(&mut bridge, &mut came).unwrap();
            }
            if serial % lazy == 0 {
                receive(&mut bridge, &mut came).unwrap();
            }
        }
        bridge.drain().unwrap();
        prop_assert!(matches!(bridge.submit(&frame, tag(99)), Err(SubmitError::Draining)));
        prop_assert!(receive(&mut bridge, &mut came).unwrap());
        prop_assert!(!receive(&mut bridge, &mut came).unwrap(), "the end is said once");
        let done: Vec<u64> = came.iter().filter(|(_, done)| done.is_some()).map(|(serial, _)| *serial).collect();
        let kept = |serial: &u64| !lost.0.contains(serial) && !lost.1.contains(serial);
        prop_assert_eq!(done, (0..count).filter(kept).collect::<Vec<_>>());
        came.sort_unstable();
        prop_assert!(came.iter().map(|(serial, _)| *serial).eq(0..count));
        for (serial, keyframe) in came {
            // One that the converter loses is made of the next that it does not.
            let before = (0..serial).rev().take_while(|before| lost.0.contains(before));
            let wanted = before.chain([serial]).any(|serial| forced.contains(&serial));
            prop_assert!(keyframe.is_none_or(|keyframe| keyframe == wanted), "{serial}");
        }
        // It goes on.
        bridge.submit(&frame, tag(100)).unwrap();
    }

    #[test]
    fn of_a_failure_everything_is_accounted_for(
        rooms in (1..4_usize, 1..4_usize), at in 0..20_u64, converter_fails in any::<bool>(), lazy in 1..5_u64,
    ) {
        let frame = a_frame();
        let fails = |fails: bool| fails.then_some(at);
        let converter = Inside { room: rooms.0, fails_at: fails(converter_fails), ..Inside::default() };
        let encoder = Inside { room: rooms.1, fails_at: fails(!converter_fails), ..Inside::default() };
        let mut bridge = Bridge::new(fake(converter), fake(encoder)).unwrap();
        let (mut came, mut serial) = (Came::new(), 0);
        let failed = loop {
            let taken = bridge.submit(&frame, tag(serial));
            serial += u64::from(taken.is_ok());
            let now = taken.is_err() || serial % lazy == 0;
            if now && let Err(error) = receive(&mut bridge, &mut came) {
                break error;
            }
            prop_assert!(serial <= 40, "it has not failed");
        };
        prop_assert_eq!(failed, failure());
        came.sort_unstable();
        prop_assert!(came.iter().map(|(serial, _)| *serial).eq(0..serial), "{:?}", came);
        prop_assert!(bridge.drain().is_err() && bridge.receive().is_err());
    }
}

#[test]
fn what_is_flushed_does_not_come() {
    let room = || Inside { room: 2, ..Inside::default() };
    let mut bridge = Bridge::new(fake(room()), fake(room())).unwrap();
    let frame = a_frame();
    (0..4).for_each(|serial| bridge.submit(&frame, tag(serial)).unwrap());
    bridge.drain().unwrap();
    bridge.flush().unwrap();
    bridge.submit(&frame, tag(7)).unwrap();
    let mut came = Came::new();
    assert!(!receive(&mut bridge, &mut came).unwrap());
    assert_eq!(came, [(7, Some(false))]);
}

fn a_frame() -> Frame {
    let pool = CpuPool::new(Arc::new(format()), CpuMemory::Memfd, 1, 1).unwrap();
    pool.acquire().unwrap().unwrap().finish(FrameMeta::default()).unwrap()
}
