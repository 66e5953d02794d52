// SPDX-License-Identifier: Apache-2.0
//! A file that somebody wants to have repaired.

use std::io::{self, Cursor, IoSlice, Read, Seek, SeekFrom};

use vs_mux::mp4::Sink;
use vs_mux::read::Movie;
use vs_mux::repair::{State, finish, inspect};

/// Any bytes are left alone, or become a file that is whole and lists what was said.
pub(crate) fn run(data: &[u8]) {
    let said = inspect(&mut Cursor::new(data));
    let mut file = Memory(Cursor::new(data.to_vec()));
    let report = match finish(&mut file) {
        Ok(report) => report,
        Err(error) => {
            assert!(!error.to_string().is_empty() && said.is_err());
            return assert!(file.0.into_inner() == data);
        }
    };
    assert_eq!(said.expect("it was repaired"), report);
    let bytes = file.0.into_inner();
    if report.state == State::Whole {
        return assert!(bytes == data);
    }
    assert!(report.frames > 0 && report.bytes == bytes.len() as u64 && report.cut_bytes < data.len() as u64);
    assert!(report.lost.bytes >= report.lost.unknown_bytes && report.duration_ns >= 0);
    let again = finish(&mut Memory(Cursor::new(bytes.clone())));
    // A description that no reader takes does not keep the frames from being kept.
    if let Ok(mut movie) = Movie::open(Cursor::new(&bytes)) {
        assert_eq!(movie.track().frames, Some(report.frames));
        let again = again.expect("it is whole");
        assert!(again.state == State::Whole && again.frames == report.frames);
        for _ in 0..report.frames {
            match movie.next_unit() {
                Ok(unit) => assert!(unit.is_some()),
                Err(error) => assert!(error.is_passing(), "{error}"),
            }
        }
        assert!(matches!(movie.next_unit(), Ok(None)));
    }
}

/// A file in memory.
struct Memory(Cursor<Vec<u8>>);

impl Read for Memory {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

impl Seek for Memory {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

impl Sink for Memory {
    fn write_at(&mut self, offset: u64, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        let bytes = parts.iter().flat_map(|part| part.to_vec()).collect::<Vec<u8>>();
        let (file, at) = (self.0.get_mut(), offset as usize);
        file.resize(file.len().max(at + bytes.len()), 0);
        file[at..at + bytes.len()].copy_from_slice(&bytes);
        Ok(())
    }

    fn rewritable(&self) -> bool {
        true
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.0.get_mut().resize(length as usize, 0);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}
