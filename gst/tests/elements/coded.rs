// SPDX-License-Identifier: Apache-2.0
//! Access units whose parameter sets come once: who comes late has them all the same.

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_check::Harness;
use vs_bitstream::{Codec, NalKind, nal_units};
use vsclient::Client;

use crate::stage::{PATIENCE, Pipeline, Stage, eventually, push_into};

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// Frames from keyframe to keyframe.
const GROUP: usize = 5;

/// An encoder's output, in which only the first keyframe has parameter sets; and these.
struct Film {
    codec: Codec,
    caps: gst::Caps,
    units: Vec<gst::Buffer>,
    sets: Vec<u8>,
}

fn film(codec: Codec) -> Film {
    let (encoder, name) = match codec {
        Codec::H264 => ("x264enc tune=zerolatency bitrate=200", "h264"),
        Codec::H265 => ("x265enc tune=zerolatency bitrate=200", "h265"),
    };
    let description = format!(
        "videotestsrc num-buffers={} ! video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! \
         {encoder} key-int-max={GROUP} ! {name}parse config-interval=-1 ! \
         capsfilter caps=video/x-{name},stream-format=byte-stream,alignment=au",
        4 * GROUP
    );
    let mut encoded = Harness::new_parse(&description);
    encoded.play();
    let whole: Vec<_> = (0..4 * GROUP).map(|_| encoded.pull().unwrap()).collect();
    let caps = encoded.sinkpad().unwrap().current_caps().unwrap();
    let is_set = |nal: &[u8]| NalKind::of(codec, nal).is_parameter_set();
    let first = whole[0].map_readable().unwrap();
    let sets = join(nal_units(&first).filter(|nal| is_set(nal)));
    drop(first);
    let units = whole.iter().enumerate().map(|(index, unit)| {
        let mut bare = unit.copy();
        let bytes = join(nal_units(&unit.map_readable().unwrap()).filter(|nal| index == 0 || !is_set(nal)));
        bare.make_mut().remove_all_memory();
        bare.make_mut().append_memory(gst::Memory::from_slice(bytes));
        bare
    });
    Film { codec, caps, units: units.collect(), sets }
}

fn join<'a>(nals: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    nals.flat_map(|nal| START_CODE.iter().chain(nal)).copied().collect()
}

fn sink(stage: &Stage, film: &Film, caps: &gst::Caps) -> (Harness, gst::Element) {
    let path = stage.socket("sink").display().to_string();
    let sink = gst::ElementFactory::make("vslsink").property("sync", false).property("path", path).build().unwrap();
    assert!(!film.sets.is_empty());
    (push_into(&sink, caps), sink)
}

/// Has two readers come, before access unit number `from`, and read the rest of the film from its next keyframe on.
fn who_comes_late_begins(stage: &Stage, film: &Film, sink: &gst::Element, harness: &mut Harness, from: usize) {
    let socket = stage.socket("sink");
    let keyframe = from.next_multiple_of(GROUP);
    let mut client = Client::connect(socket.to_str().unwrap()).unwrap();
    let decoder = match film.codec {
        Codec::H264 => "h264parse ! avdec_h264",
        Codec::H265 => "h265parse ! avdec_h265",
    };
    let reader = Pipeline::play(&format!(
        "vslsrc name=r path={} num-frames={} ! {decoder} ! fakesink name=f sync=false",
        socket.display(),
        film.units.len() - keyframe
    ));
    eventually("the readers", || sink.property::<u32>("clients") == 2);
    for (index, unit) in film.units.iter().enumerate().skip(from) {
        harness.push(unit.clone()).unwrap();
        if index < keyframe {
            continue;
        }
        let frame = client.next_frame(PATIENCE).unwrap().unwrap();
        assert_eq!(frame.format().parameter_sets[..], film.sets);
        // One after the other: what a reader has no room for is skipped.
        let stats = || reader.element("r").property::<gst::Structure>("stats");
        eventually("it to be read", || stats().get::<u64>("sent") == Ok((index - keyframe + 1) as u64));
    }
    reader.finish();
    let decoded = reader.element("f").property::<gst::Structure>("stats").get::<u64>("rendered");
    assert_eq!(decoded, Ok((film.units.len() - keyframe) as u64));
}

#[test]
fn sets_that_come_with_the_first_access_unit_only() {
    for codec in [Codec::H264, Codec::H265] {
        let stage = Stage::new();
        let film = film(codec);
        let (mut harness, element) = sink(&stage, &film, &film.caps);
        for unit in &film.units[..GROUP + 2] {
            harness.push(unit.clone()).unwrap();
        }
        who_comes_late_begins(&stage, &film, &element, &mut harness, GROUP + 2);
    }
}

#[test]
fn sets_that_only_the_caps_carry() {
    let stage = Stage::new();
    let film = film(Codec::H264);
    let mut caps = film.caps.clone();
    caps.make_mut().set("codec_data", gst::Buffer::from_slice(film.sets.clone()));
    let (mut harness, element) = sink(&stage, &film, &caps);
    for unit in &film.units[GROUP..GROUP + 2] {
        harness.push(unit.clone()).unwrap();
    }
    who_comes_late_begins(&stage, &film, &element, &mut harness, GROUP + 2);
}

#[test]
fn sets_that_change() {
    let stage = Stage::new();
    let film = film(Codec::H264);
    let (mut harness, _) = sink(&stage, &film, &film.caps);
    let mut client = Client::connect(stage.socket("sink").to_str().unwrap()).unwrap();
    let mut last = |harness: &mut Harness, unit: &gst::Buffer| {
        harness.push(unit.clone()).unwrap();
        client.next_frame(PATIENCE).unwrap().unwrap().format().parameter_sets.clone()
    };
    assert_eq!(last(&mut harness, &film.units[0])[..], film.sets);
    let mut other = film.units[0].map_readable().unwrap().to_vec();
    // Another level, which stands in the fourth byte of the sequence parameter set's NAL unit.
    let at = other.windows(5).position(|bytes| bytes[..4] == START_CODE && bytes[4] & 0x1f == 7).unwrap() + 7;
    other[at] ^= 1;
    let changed = last(&mut harness, &gst::Buffer::from_mut_slice(other));
    assert!(changed.len() == film.sets.len() && changed[..] != film.sets);
    assert_eq!(last(&mut harness, &film.units[1]), changed);
}
