// SPDX-License-Identifier: Apache-2.0
//! The file that is recorded into. It is opened here, with the rights of whoever types the
//! command: the daemon opens nothing that a client names.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Why there is no file to record into.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{} exists already: choose another name, or overwrite it with --force", .0.display())]
    Exists(PathBuf),
    #[error("cannot create {}: there is no directory {}", path.display(), directory.display())]
    NoDirectory { path: PathBuf, directory: PathBuf },
    #[error("cannot record into {}: it is not a regular file, and an MP4 is finished by writing in its middle", .0.display())]
    NotRegular(PathBuf),
    #[error("cannot open {} for writing: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// A file that is empty, and open for reading and writing.
#[derive(Debug)]
pub struct OutputFile {
    pub file: File,
    path: PathBuf,
    created: bool,
}

impl OutputFile {
    /// Creates the file; with `force`, one that exists is emptied.
    pub fn open(path: &Path, force: bool) -> Result<Self, OpenError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let (file, created) = match options.clone().create_new(true).open(path) {
            Ok(file) => (file, true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && force => {
                (options.open(path).map_err(|error| explain(path, error))?, false)
            }
            Err(error) => return Err(explain(path, error)),
        };
        let opened = Self { file, path: path.to_owned(), created };
        let io = |source| OpenError::Io { path: path.to_owned(), source };
        if !opened.file.metadata().map_err(io)?.is_file() {
            return Err(OpenError::NotRegular(path.to_owned()));
        }
        opened.file.set_len(0).map_err(io)?;
        Ok(opened)
    }

    /// Takes the file away again if it was created here and nothing has been written.
    pub fn discard(self) {
        let empty = self.file.metadata().is_ok_and(|metadata| metadata.len() == 0);
        if self.created && empty {
            // What cannot be removed does no harm.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn explain(path: &Path, source: io::Error) -> OpenError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::AlreadyExists => OpenError::Exists(path),
        io::ErrorKind::NotFound => {
            let directory = path.parent().unwrap_or(Path::new("/")).to_owned();
            OpenError::NoDirectory { path, directory }
        }
        _ => OpenError::Io { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exists_is_kept_unless_forced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.mp4");
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(OutputFile::open(&path, false), Err(OpenError::Exists(_))));
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        OutputFile::open(&path, true).unwrap().discard();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn an_empty_file_of_ours_goes_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.mp4");
        OutputFile::open(&path, true).unwrap().discard();
        assert!(!path.exists());
    }

    #[test]
    fn errors_name_the_file_and_the_reason() {
        let error = OutputFile::open(Path::new("/nonexistent/out.mp4"), false).unwrap_err().to_string();
        assert_eq!(error, "cannot create /nonexistent/out.mp4: there is no directory /nonexistent");
        let error = OutputFile::open(Path::new("/dev/null"), true).unwrap_err().to_string();
        assert!(error.contains("not a regular file"), "{error}");
        let error = OutputFile::open(Path::new("/tmp"), true).unwrap_err().to_string();
        assert!(error.contains("directory"), "{error}");
    }
}
