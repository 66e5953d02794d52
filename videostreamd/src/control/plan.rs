// SPDX-License-Identifier: Apache-2.0
//! From what was wished for a stream to what its thread opens.

use std::sync::Arc;
use std::time::Duration;

use vs_codec::ConverterConfig;
use vs_frame::{Format, FourCc, Rate};
use vs_ipc::wire::StreamState;

use super::error::list;
use super::{Control, ControlError, StreamEntry};
use crate::rendition::{Coding, Pre, Rendition};
use crate::stream::camera::CameraPlan;
use crate::stream::coded::CodedPlan;
use crate::stream::converted::ConvertedPlan;
use crate::stream::file::{FilePlan, Playback};
use crate::stream::ipc::Subscription;
use crate::stream::source::Plan;
use crate::stream::spec::{Shape, SourceSpec, StreamSpec, Wanted};

/// The pictures of a stream that has not run yet, for whoever asks what could be made of them.
const LIKELY_PICTURES: (FourCc, (u32, u32)) = (FourCc::NV12, (640, 480));

impl Control {
    /// Refuses what nobody can do, before a stream is given up for it.
    pub(super) fn check_codec(&self, plan: &Plan) -> Result<(), ControlError> {
        let pictures = |stream: &str| -> Result<Arc<Format>, ControlError> {
            let known = self.find_stream(stream).and_then(|entry| entry.status().borrow().format.clone());
            let (fourcc, (width, height)) = LIKELY_PICTURES;
            let likely = || Format::packed(fourcc, width, height, Rate::UNKNOWN).map(Arc::new);
            known.map_or_else(likely, Ok).map_err(|error| ControlError::Failed(error.to_string()))
        };
        let could = match plan {
            Plan::Coded(plan) => {
                let Coding { config, backend } = &plan.rendition.coding;
                self.codecs.could_encode(&*pictures(&plan.rendition.stream)?, config, *backend)
            }
            Plan::Converted(plan) => self.codecs.could_convert(&*pictures(&plan.from)?, &plan.config, plan.backend),
            _ => Ok(()),
        };
        could.map_err(|error| ControlError::BadFormat(error.to_string()))
    }

    /// What to open for an entry: what was wished now, before, or in the configuration.
    pub(super) fn plan(
        &self,
        entry: &StreamEntry,
        wanted: &Wanted,
        current: Option<&Plan>,
        on_failure: OnFailure,
    ) -> Result<Plan, ControlError> {
        let spec = &entry.spec;
        let before = current.map_or(spec.shape, |plan| match plan {
            Plan::Pattern { shape, .. } | Plan::Camera(CameraPlan { shape, .. }) => *shape,
            Plan::Converted(plan) => Shape { fourcc: plan.config.fourcc, size: plan.config.size, rate: None },
            Plan::Ipc(_) | Plan::Coded(_) | Plan::File(_) => Shape::default(),
        });
        let of_coded = !wanted.coding.is_empty() || wanted.pre.is_some();
        if of_coded && !matches!(spec.source, SourceSpec::Coded { .. }) {
            return Err(ControlError::BadFormat(format!(
                "stream '{}' is not encoded: codec, bitrate, pre and the like are for streams made with --from",
                spec.name
            )));
        }
        let (shape, buffers) = (wanted.shape.over(before), spec.buffers);
        match &spec.source {
            SourceSpec::Pattern => {
                let format = StreamSpec::pattern_format(shape).and_then(|format| spec.check_vsl(&format));
                format.map_err(ControlError::BadFormat)?;
                Ok(Plan::Pattern { shape, memory: spec.memory.clone(), buffers, spares: spec.spares })
            }
            SourceSpec::Camera { device } => {
                let camera = self.devices.follow(device);
                // Whoever asks now wants to know; what runs waits for its camera.
                let waits = current.is_some() || on_failure == OnFailure::Stay;
                let camera = camera.filter(|camera| waits || camera.presence.borrow().is_some());
                let camera = camera.ok_or_else(|| ControlError::NoSuchDevice {
                    stream: spec.name.clone(),
                    device: device.clone(),
                    known: list(
                        "cameras found:",
                        self.devices.cameras().iter().map(String::as_str),
                        "no camera was found",
                    ),
                })?;
                let (spares, vsl) = (spec.spares, spec.host.vsl.is_some());
                let controls = self.controls.of(device);
                Ok(Plan::Camera(CameraPlan { camera, controls, shape, buffers, spares, vsl }))
            }
            SourceSpec::Ipc { path, .. } if shape != Shape::default() => {
                let (name, path) = (&spec.name, path.display());
                Err(ControlError::BadFormat(format!(
                    "stream '{name}' is taken as it comes from {path}: format, size and rate are chosen there"
                )))
            }
            SourceSpec::Coded { from, .. } if shape != Shape::default() => Err(ControlError::BadFormat(format!(
                "stream '{}' shows what '{from}' shows: format, size and rate are chosen there",
                spec.name
            ))),
            SourceSpec::Coded { from, coding, pre } => {
                let (before, pre) = match current {
                    Some(Plan::Coded(plan)) => (&plan.rendition.coding, plan.pre),
                    _ => (coding, *pre),
                };
                let memory = pre.map_or(Pre::DEFAULT_MEMORY, |pre| pre.memory);
                let coding = wanted.coding.over(before).map_err(ControlError::BadFormat)?;
                Ok(Plan::Coded(CodedPlan {
                    rendition: Rendition { stream: from.clone(), coding },
                    renditions: Arc::clone(&self.renditions),
                    upstream: self.directory.look_at(from),
                    buffers,
                    pre: wanted.pre.map(|duration| Pre { duration, memory }).or(pre),
                }))
            }
            SourceSpec::Converted { from, .. } if shape.rate.is_some() => Err(ControlError::BadFormat(format!(
                "stream '{}' shows what '{from}' shows: the rate is chosen there",
                spec.name
            ))),
            SourceSpec::Converted { .. } if shape.fourcc.is_some_and(|fourcc| fourcc.pixel_info().is_none()) => {
                Err(ControlError::BadFormat(format!(
                    "stream '{}' shows pictures, and {} is none of their formats: to encode, make another stream from it",
                    spec.name,
                    shape.fourcc.map(|fourcc| fourcc.to_string()).unwrap_or_default()
                )))
            }
            SourceSpec::Converted { from, backend } => Ok(Plan::Converted(ConvertedPlan {
                from: from.clone(),
                upstream: self.directory.look_at(from),
                config: ConverterConfig { fourcc: shape.fourcc, size: shape.size, pictures: buffers },
                backend: *backend,
                codecs: Arc::clone(&self.codecs),
            })),
            SourceSpec::File(file) if shape != Shape::default() => Err(ControlError::BadFormat(format!(
                "stream '{}' shows what is in {}: format, size and rate are the file's",
                spec.name, file.clip
            ))),
            SourceSpec::File(file) => Ok(Plan::File(FilePlan {
                stream: spec.name.clone(),
                spec: file.clone(),
                buffers,
                codecs: Arc::clone(&self.codecs),
                playback: Arc::new(Playback::default()),
            })),
            SourceSpec::Ipc { path, locks } => Ok(Plan::Ipc(Subscription {
                path: path.clone(),
                locks: *locks,
                name: spec.name.clone(),
                credits: u16::try_from(buffers).unwrap_or(u16::MAX),
                lease: Duration::from_nanos(spec.host.lease_max_ns),
            })),
        }
    }
}

/// What becomes of a stream whose source cannot be opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OnFailure {
    /// It is stopped again: whoever asked is told.
    Stop,
    /// It keeps its socket and says why in its state.
    Stay,
}

impl OnFailure {
    /// Whether a camera that cannot be opened now may be opened later.
    pub(super) fn is_patient(self) -> bool {
        self == Self::Stay
    }

    /// What a stream is after it could not be started.
    pub(super) fn state(self) -> StreamState {
        match self {
            Self::Stop => StreamState::Stopped,
            Self::Stay => StreamState::Failed,
        }
    }
}
