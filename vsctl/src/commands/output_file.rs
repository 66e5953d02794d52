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
    /// Where it lies now.
    path: PathBuf,
    /// The file whose place it takes when it is kept.
    replaces: Option<PathBuf>,
}

impl OutputFile {
    /// Creates the file. With `force`, one that exists is replaced, but only when the new one
    /// is [kept](Self::keep): until then the new one lies beside it.
    pub fn open(path: &Path, force: bool) -> Result<Self, OpenError> {
        let create = |path: &Path| OpenOptions::new().read(true).write(true).create_new(true).open(path);
        match create(path) {
            Ok(file) => Ok(Self { file, path: path.to_owned(), replaces: None }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && force => {
                let old = writable(path)?;
                let beside = beside(&old);
                let file = create(&beside).map_err(|error| explain(&beside, error))?;
                Ok(Self { file, path: beside, replaces: Some(old) })
            }
            Err(error) => Err(explain(path, error)),
        }
    }

    /// There is something in it: it takes its place.
    pub fn keep(self) -> Result<(), OpenError> {
        let Some(old) = self.replaces else { return Ok(()) };
        std::fs::rename(&self.path, &old).map_err(|source| OpenError::Io { path: old, source })
    }

    /// Takes the file away again; one that it should replace stays as it was.
    pub fn discard(self) {
        // What cannot be removed does no harm.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The regular file at `path`, through links, if it may be written to.
fn writable(path: &Path) -> Result<PathBuf, OpenError> {
    let file = OpenOptions::new().write(true).open(path).map_err(|error| explain(path, error))?;
    let io = |source| OpenError::Io { path: path.to_owned(), source };
    if !file.metadata().map_err(io)?.is_file() {
        return Err(OpenError::NotRegular(path.to_owned()));
    }
    path.canonicalize().map_err(io)
}

/// A name in the same directory that nobody has.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}", std::process::id()))
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
        assert_eq!(std::fs::read(&path).unwrap(), b"precious", "nothing was recorded");
        OutputFile::open(&path, true).unwrap().keep().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
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
