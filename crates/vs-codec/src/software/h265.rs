// SPDX-License-Identifier: Apache-2.0
//! H.265 by rusty_h265, built without its SIMD so that there is no unsafe code in it.
//!
//! The library reorders pictures itself, by what the stream says (C.5.2). Each is copied as soon as it
//! is decoded, so that the library holds memory for its references only, and what it gives out later
//! is known by its serial.
//!
//! Pictures that a damaged stream refers to and that are not there, it would make up, as many as a
//! slice names. So each picture's first slice is read before it is given any, and none that names more
//! than the standard allows pictures of that size (A.4.2).

use std::collections::BTreeMap;
use std::sync::Arc;

use rusty_h265::bits::BitReader;
use rusty_h265::nal::{NalHeader, unescape};
use rusty_h265::ps::{Pps, Sps, parse_pps, parse_sps};
use rusty_h265::slice::parse_slice_header;
use rusty_h265::{Decoder, Frame, Picture as Planes, Plane};
use vs_bitstream::{Codec, NalKind, VideoFormat, h265, is_keyframe, nal_units};
use vs_convert::{I420, fill};
use vs_frame::{FourCc, WriteSlot};

use super::engine::{Announced, Damaged, Engine, Look, check_size, format_of_video, guard};
use super::openh264::MAX_MACROBLOCKS;
use crate::decoder::MAX_ACCESS_UNIT;
use crate::session::{BackendError, Loss, Output, Picture};

const LIBRARY: &str = "rusty_h265 0.6";

/// A NAL unit header has two bytes (7.3.1.2).
const NAL_HEADER_BYTES: usize = 2;

/// A slice header is read out of so many bytes: one of 440 tiles, each with four bytes of where it
/// begins, is a fourth of it.
const LONGEST_SLICE_HEADER: usize = 8192;

/// The beginning of a picture and nothing more. The library finishes the picture before it, and then
/// finds that this one names no parameter set.
const NEXT_PICTURE: [u8; 3] = [1 << 1, 1, 0x80];

pub(super) struct H265 {
    library: Decoder,
    fourcc: FourCc,
    sequences: BTreeMap<u8, Sequence>,
    pictures: BTreeMap<u8, Pps>,
    /// Of the picture that was decoded last.
    serial: i64,
    /// Its place in the order of showing.
    order: i32,
    /// Pictures whose turn has come, and those that still wait, by serial.
    ready: Vec<i64>,
    waiting: Vec<i64>,
    held: Vec<Held>,
    /// The planes of a picture in 8 bits.
    planes: [Vec<u8>; 3],
}

/// A sequence parameter set: for the library, and for people.
struct Sequence {
    sps: Sps,
    video: VideoFormat,
}

/// A picture that waits for its turn.
struct Held {
    serial: i64,
    order: i32,
    picture: Picture,
}

impl H265 {
    pub(super) fn new(fourcc: FourCc) -> Self {
        Self {
            library: Decoder::new(),
            fourcc,
            sequences: BTreeMap::new(),
            pictures: BTreeMap::new(),
            serial: 0,
            order: 0,
            ready: Vec::new(),
            waiting: Vec::new(),
            held: Vec::new(),
            planes: Default::default(),
        }
    }

    /// Reads the parameter sets of an access unit and its first slice; `None` without slices.
    fn read(&mut self, unit: &[u8]) -> Result<Option<Announced>, Damaged> {
        let mut announced = None;
        for nal in base_layer(unit) {
            let payload = nal.get(NAL_HEADER_BYTES..).ok_or(Damaged)?;
            match NalKind::of(Codec::H265, nal) {
                NalKind::Sps => {
                    let sps = parse_sps(&unescape(payload).data).map_err(|_| Damaged)?;
                    let video = h265::Sps::parse(nal).map_err(|_| Damaged)?.format;
                    self.sequences.insert(sps.id, Sequence { sps, video });
                }
                NalKind::Pps => {
                    let pps = parse_pps(&unescape(payload).data).map_err(|_| Damaged)?;
                    self.pictures.insert(pps.id, pps);
                }
                kind if kind.is_slice() => match (begins_picture(payload), &announced) {
                    (true, None) => announced = Some(self.read_slice(nal, payload, kind == NalKind::KeySlice)?),
                    (false, Some(_)) => {}
                    _ => return Err(Damaged),
                },
                _ => {}
            }
        }
        Ok(announced)
    }

    fn read_slice(&self, nal: &[u8], payload: &[u8], keyframe: bool) -> Result<Announced, Damaged> {
        let lookup = |id: u8| {
            let pps = self.pictures.get(&id)?;
            Some((&self.sequences.get(&pps.sps_id)?.sps, pps))
        };
        let header = NalHeader::parse(nal).ok_or(Damaged)?;
        let rbsp = unescape(&payload[..payload.len().min(LONGEST_SLICE_HEADER)]);
        let slice = parse_slice_header(&mut BitReader::new(&rbsp.data), &header, &lookup, None).map_err(|_| Damaged)?;
        let pps = self.pictures.get(&slice.pps_id).ok_or(Damaged)?;
        let Sequence { sps, video } = self.sequences.get(&pps.sps_id).ok_or(Damaged)?;
        let buffering = sps.ordering.get(usize::from(sps.max_sub_layers_minus1)).ok_or(Damaged)?;
        let references = slice.st_rps.neg.len() + slice.st_rps.pos.len() + slice.long_term.len();
        let most = buffering.max_dec_pic_buffering_minus1;
        if most >= most_pictures((sps.width, sps.height))
            || references > most as usize
            || buffering.max_num_reorder_pics > most
        {
            return Err(Damaged);
        }
        let waiting = buffering.max_num_reorder_pics as usize;
        Ok(Announced { keyframe, format: format_of_video(self.fourcc, video), waiting })
    }

    /// Copies a picture into a buffer of its size.
    fn write(&mut self, picture: &Planes, slot: &mut WriteSlot) -> Result<(), Damaged> {
        let format = Arc::clone(slot.format());
        let (left, top, width, height) = picture.crop;
        if (width, height) != (format.width as usize, format.height as usize) {
            return Err(Damaged);
        }
        let (uv_left, uv_top, uv_width, uv_height) = (left / 2, top / 2, width.div_ceil(2), height.div_ceil(2));
        let [y, u, v] = &mut self.planes;
        narrow(&picture.planes[0], (left, top, width, height), y).ok_or(Damaged)?;
        for (plane, bytes) in picture.planes[1..].iter().zip([&mut *u, &mut *v]) {
            narrow(plane, (uv_left, uv_top, uv_width, uv_height), bytes).ok_or(Damaged)?;
        }
        let planes = I420 { y, u, v, y_stride: width, uv_stride: uv_width };
        match slot.write(|memories| fill(memories, &format, &planes)) {
            Ok(Some(())) => Ok(()),
            _ => Err(Damaged),
        }
    }

    fn restart(&mut self) {
        self.library = Decoder::new();
        self.sequences.clear();
        self.pictures.clear();
    }
}

impl Engine for H265 {
    fn name(&self) -> String {
        LIBRARY.to_owned()
    }

    fn longest_unit(&self) -> usize {
        MAX_ACCESS_UNIT
    }

    fn refuse_unsupported(&self, unit: &[u8]) -> Result<(), String> {
        let sequences = base_layer(unit).filter(|nal| NalKind::of(Codec::H265, nal) == NalKind::Sps);
        sequences.filter_map(|nal| h265::Sps::parse(nal).ok()).try_for_each(|sps| check_sps(&sps))
    }

    fn look(&mut self, unit: &[u8]) -> Look {
        match guard(LIBRARY, || self.read(unit)) {
            Ok(None) => Look::Nothing,
            Ok(Some(announced)) => Look::Picture(announced),
            Err(Damaged) => Look::Unclear { keyframe: is_keyframe(Codec::H265, unit) },
        }
    }

    fn decode(&mut self, unit: &[u8], slot: Option<&mut WriteSlot>) -> Result<bool, Damaged> {
        self.serial += 1;
        let (library, serial) = (&mut self.library, self.serial);
        let frames = guard(LIBRARY, || feed(library, unit, serial));
        let frames = frames.inspect_err(|_| self.restart())?;
        self.ready = frames.iter().filter_map(|frame| frame.pts).collect();
        let waiting = self.library.dpb().iter().filter(|entry| entry.needed_for_output);
        self.waiting = waiting.clone().filter_map(|entry| entry.pts).collect();
        let shown = frames.iter().map(|frame| (frame.pts, frame.poc, &frame.picture));
        let mut all = shown.chain(waiting.map(|entry| (entry.pts, entry.poc, &entry.pic)));
        let ours = all.find(|(pts, ..)| *pts == Some(serial)).map(|(_, order, picture)| (order, Arc::clone(picture)));
        match (ours, slot) {
            (Some((order, picture)), Some(slot)) => {
                self.order = order;
                self.write(&picture, slot)?;
                Ok(true)
            }
            // It is not to be shown, or what it refers to is before where decoding began (RASL).
            (None, _) => Ok(false),
            (Some(_), None) => Err(Damaged),
        }
    }

    fn take_turn(&mut self, picture: Option<Picture>) -> Vec<Output<Picture>> {
        let Self { serial, order, ready, waiting, held, .. } = self;
        held.extend(picture.map(|picture| Held { serial: *serial, order: *order, picture }));
        let mut outputs = Vec::new();
        for serial in ready.drain(..) {
            if let Some(at) = held.iter().position(|held| held.serial == serial) {
                outputs.push(Output::Done(held.remove(at).picture));
            }
        }
        // A keyframe can say that those before it are not to be shown any more.
        let dropped = held.extract_if(.., |held| !waiting.contains(&held.serial));
        outputs.extend(dropped.map(|held| Output::Lost(held.picture.tag, Loss::NoPicture)));
        outputs
    }

    fn end(&mut self) -> Vec<Picture> {
        let library = &mut self.library;
        let ended = guard(LIBRARY, || {
            library.flush();
            while library.next_frame().is_ok() {}
            Ok(())
        });
        if ended.is_err() {
            self.restart();
        }
        // All are of one sequence: a keyframe that begins another one shows those before it.
        self.held.sort_by_key(|held| held.order);
        self.held.drain(..).map(|held| held.picture).collect()
    }

    fn reopen(&mut self) -> Result<(), BackendError> {
        self.restart();
        self.held.clear();
        Ok(())
    }
}

/// Decodes an access unit as a whole; gives what is to be shown now.
fn feed(library: &mut Decoder, unit: &[u8], serial: i64) -> Result<Vec<Frame>, Damaged> {
    let made_up = library.stats.generated_refs;
    for nal in base_layer(unit) {
        let kind = NalKind::of(Codec::H265, nal);
        let of_use = kind.is_slice() || matches!(kind, NalKind::Sps | NalKind::Pps) || ends_sequence(kind);
        if of_use {
            library.push_nal(nal, kind.is_slice().then_some(serial)).map_err(|_| Damaged)?;
        }
    }
    let _ = library.push_nal(&NEXT_PICTURE, None);
    if library.stats.generated_refs != made_up {
        return Err(Damaged);
    }
    Ok(std::iter::from_fn(|| library.next_frame().ok()).collect())
}

/// The NAL units without those of other layers, which are for decoders that know them.
fn base_layer(unit: &[u8]) -> impl Iterator<Item = &[u8]> {
    nal_units(unit).filter(|nal| matches!(nal, [first, second, ..] if first & 1 == 0 && second >> 3 == 0))
}

/// first_slice_segment_in_pic_flag
fn begins_picture(payload: &[u8]) -> bool {
    payload.first().is_some_and(|byte| byte & 0x80 != 0)
}

/// End of sequence or of bitstream.
fn ends_sequence(kind: NalKind) -> bool {
    matches!(kind, NalKind::Other(36 | 37))
}

/// MaxDpbSize of A.4.2, for the largest pictures that are decoded here.
fn most_pictures((width, height): (u32, u32)) -> u32 {
    const MAX_LUMA: u64 = MAX_MACROBLOCKS as u64 * 256;
    const MAX_DPB_PIC_BUF: u32 = 6;
    match u64::from(width) * u64::from(height) {
        luma if luma <= MAX_LUMA / 4 => 16,
        luma if luma <= MAX_LUMA / 2 => 2 * MAX_DPB_PIC_BUF,
        luma if luma <= MAX_LUMA * 3 / 4 => 4 * MAX_DPB_PIC_BUF / 3,
        _ => MAX_DPB_PIC_BUF,
    }
}

fn check_sps(sps: &h265::Sps) -> Result<(), String> {
    /// Main, Main 10 and Main Still Picture.
    const PROFILES: [u8; 3] = [1, 2, 3];
    let format = &sps.format;
    let what = match format.chroma_format {
        0 => "pictures without colour (4:0:0)",
        2 => "4:2:2 pictures",
        3 => "4:4:4 pictures",
        _ if format.bit_depth_luma.max(format.bit_depth_chroma) > 8 => "pictures of more than 8 bit",
        _ if sps.fields => "interlaced pictures",
        _ if !PROFILES.contains(&sps.profile()) => "this profile",
        _ => {
            check_size(sps.coded_size.0, sps.coded_size.1)?;
            let most = most_pictures(sps.coded_size);
            let kept = sps.max_dec_pic_buffering.unwrap_or(most);
            let too_many = || format!("streams that refer to {kept} pictures of that size; it keeps {most}");
            return if kept <= most { Ok(()) } else { Err(too_many()) };
        }
    };
    let profile = sps.profile();
    Err(format!("{what} (general_profile_idc {profile}); it decodes progressive 8 bit 4:2:0 of Main"))
}

/// The part of a plane that is to be shown, in 8 bits; `None` if it is not all there.
fn narrow(plane: &Plane, (left, top, width, height): (usize, usize, usize, usize), to: &mut Vec<u8>) -> Option<()> {
    to.clear();
    for row in top..top + height {
        let row = plane.data.get(row * plane.stride + left..)?.get(..width)?;
        to.extend(row.iter().map(|sample| *sample as u8));
    }
    Some(())
}
