// SPDX-License-Identifier: Apache-2.0
//! The pipelines of `docs/gstreamer.md`: all parse whose elements are installed.

use gstreamer as gst;

use crate::stage::Stage;

const PAGE: &str = include_str!("../../../docs/gstreamer.md");

/// What follows `gst-launch-1.0` and its options in the page's code, as the shell would hand it over.
fn pipelines() -> Vec<String> {
    let mut code = false;
    let lines = PAGE.lines().filter(|line| {
        let fence = line.starts_with("```");
        code ^= fence;
        code && !fence
    });
    let commands = lines.filter_map(|line| line.split_once("gst-launch-1.0 ").map(|(_, command)| command));
    let words = |command: &str| {
        let words = command.trim_end_matches(" &").split(' ').skip_while(|word| word.starts_with('-'));
        words.map(|word| word.trim_matches('\'')).collect::<Vec<_>>().join(" ")
    };
    commands.map(|command| words(command.split("  #").next().unwrap_or(command))).collect()
}

#[test]
fn every_pipeline_of_the_page_parses() {
    let _stage = Stage::new();
    let all = pipelines();
    assert!(all.len() > 10, "{all:?}");
    let mut parsed = 0;
    for pipeline in &all {
        let mut context = gst::ParseContext::new();
        match gst::parse::launch_full(pipeline, Some(&mut context), gst::ParseFlags::FATAL_ERRORS) {
            Ok(_) => parsed += 1,
            Err(error) => {
                let missing = context.missing_elements();
                assert!(!missing.is_empty(), "{pipeline}: {error}");
                assert!(!missing.iter().any(|name| name.starts_with("vsl")), "{pipeline}: {error}");
                eprintln!("left out, without {}: {pipeline}", missing.join(", "));
            }
        }
    }
    assert!(parsed > all.len() / 2, "only {parsed} of {} pipelines could be parsed", all.len());
}
