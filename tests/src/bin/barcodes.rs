// SPDX-License-Identifier: Apache-2.0
//! What the test pattern in a file says of itself, picture by picture.
//!
//! `barcodes FILE`
//!
//! Of each picture it writes `picture SERIAL MS`: the frame that it shows, and when that was taken.
//! It fails if others' decoder has anything to say about the file, or a picture cannot be read.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(file) = std::env::args_os().nth(1) else {
        eprintln!("usage: barcodes FILE");
        return ExitCode::from(2);
    };
    for stamp in system_tests::video::stamps(Path::new(&file)) {
        println!("picture {} {}", stamp.serial, stamp.time_ms);
    }
    ExitCode::SUCCESS
}
