// SPDX-License-Identifier: Apache-2.0
//! Writes the seeds of every target to `fuzz/corpus/`.

use std::path::Path;

use fuzz_bodies::{TARGETS, seeds};

fn main() -> std::io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (target, _) in TARGETS {
        let dir = corpus.join(target);
        std::fs::create_dir_all(&dir)?;
        for (name, bytes) in seeds::of(target) {
            std::fs::write(dir.join(name), bytes)?;
        }
    }
    Ok(())
}
