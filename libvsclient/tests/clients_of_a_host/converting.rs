// SPDX-License-Identifier: Apache-2.0
//! Pictures in the form that the application wants.

use std::sync::Arc;

use vs_frame::{CpuMemory, CpuPool, Format, FourCc, Rate};
use vsclient::convert::{ConvertError, Converter};
use vsclient::{Ended, MapError};

use crate::stage::{Stage, TIMEOUT, publish};

#[test]
fn pictures_are_made_what_the_application_wants() {
    let stage = Stage::new();
    let mut client = stage.client().connect().unwrap();
    let mut converter = Converter::new(FourCc::RGB24).size(32, 24);
    stage.publish(200);
    let picture = converter.convert(&client.next_frame(TIMEOUT).unwrap().unwrap()).unwrap();
    assert_eq!((picture.format.fourcc, picture.format.width, picture.format.height), (FourCc::RGB24, 32, 24));
    assert_eq!(picture.data.len(), 32 * 24 * 3);
    let bright = picture.data[0];
    assert!(bright > 150 && picture.data.iter().all(|value| *value == bright), "{:?}", &picture.data[..6]);

    // The stream changes in the middle, and then back.
    stage.run(|host, _| {
        let format = Format::packed(FourCc::YUYV, 64, 64, Rate::fps(30)).unwrap();
        let other = CpuPool::new(Arc::new(format), CpuMemory::Memfd, 1, 1).unwrap();
        publish(host, &other, 128)
    });
    stage.publish(200);
    for expected in [FourCc::YUYV, FourCc::GREY] {
        let frame = client.next_frame(TIMEOUT).unwrap().unwrap();
        assert_eq!(frame.format().fourcc, expected);
        let mut data = vec![1; 5];
        let format = converter.convert_into(&frame, &mut data).unwrap();
        assert_eq!((format.fourcc, data.len()), (FourCc::RGB24, 32 * 24 * 3));
        assert_eq!(expected == FourCc::GREY, data == picture.data);
    }
}

#[test]
fn what_cannot_be_made_is_refused() {
    let stage = Stage::new();
    let mut client = stage.client().connect().unwrap();
    stage.publish(1);
    let frame = client.next_frame(TIMEOUT).unwrap().unwrap();
    let refused = Converter::new(FourCc::H264).convert(&frame).unwrap_err();
    assert!(refused.to_string().contains("no H264 can be made of GREY"), "{refused}");
    drop(client);
    let ended = Converter::new(FourCc::RGB24).convert(&frame).unwrap_err();
    assert!(matches!(ended, ConvertError::Map(MapError::Ended(Ended::Disconnected))), "{ended}");
}

#[cfg(feature = "image")]
#[test]
fn pictures_are_images() {
    let stage = Stage::new();
    let mut client = stage.client().connect().unwrap();
    stage.publish(200);
    let frame = client.next_frame(TIMEOUT).unwrap().unwrap();
    for (fourcc, is) in [(FourCc::RGB24, true), (FourCc::RGBA32, true), (FourCc::GREY, true), (FourCc::NV12, false)] {
        let image = Converter::new(fourcc).size(10, 20).convert(&frame).unwrap().into_image();
        assert_eq!(image.map(|image| (image.width(), image.height())), is.then_some((10, 20)), "{fourcc}");
    }
}
