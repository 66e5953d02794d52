// SPDX-License-Identifier: Apache-2.0
//! Pipelines as people write them.

use std::path::Path;

use system_tests::{Rig, video};

use crate::stage::{Pipeline, Stage};

fn source(stage: &Stage) -> Pipeline {
    Pipeline::play(&format!(
        "videotestsrc is-live=true ! video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! vslsink name=s path={}",
        stage.socket("s").display()
    ))
}

#[test]
fn any_number_of_readers() {
    for readers in [1, 4, 16] {
        let stage = Stage::new();
        let _sink = source(&stage);
        let readers: Vec<_> = (0..readers)
            .map(|_| Pipeline::play(&format!("vslsrc path={} num-frames=30 ! fakesink", stage.socket("s").display())))
            .collect();
        readers.iter().for_each(Pipeline::finish);
    }
}

#[test]
fn what_is_read_can_be_encoded_and_plays() {
    let stage = Stage::new();
    let _sink = source(&stage);
    let out = stage.socket("out.mp4");
    let reader = Pipeline::play(&format!(
        "vslsrc path={} num-frames=60 ! x264enc tune=zerolatency ! mp4mux ! filesink location={}",
        stage.socket("s").display(),
        out.display()
    ));
    reader.finish();
    drop(reader);
    video::decodes(&out);
    assert_eq!(video::probe(&out).frames, 60);
}

#[test]
fn the_daemon_takes_it_for_a_camera() {
    let stage = Stage::new();
    let _sink = source(&stage);
    let rig = Rig::start(&format!("[stream.pipe]\nipc = \"{}\"\n", stage.socket("s").display()));
    let out = rig.path("out.mp4");
    let _ = rig.vsctl(&["record", "pipe", out.to_str().unwrap(), "--frames", "60"]).good();
    video::decodes(Path::new(&out));
    assert_eq!(video::probe(&out).frames, 60);

    // And what it publishes is read by a pipeline.
    let socket = rig.socket("pipe");
    let reader = Pipeline::play(&format!("vslsrc path={} num-frames=30 ! videoconvert ! fakesink", socket.display()));
    reader.finish();
}
