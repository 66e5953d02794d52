// SPDX-License-Identifier: Apache-2.0
//! A file that is recorded into. It is opened here, with the rights of whoever types the
//! command: the daemon opens nothing that a client names.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

/// Why there is no file to record into.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{} exists already: choose another name, or overwrite it with --force", .0.display())]
    Exists(PathBuf),
    #[error("{} is a directory: name a file in it", .0.display())]
    Directory(PathBuf),
    #[error("cannot create {}: there is no directory {}; create it, or choose another place", path.display(), directory.display())]
    NoDirectory { path: PathBuf, directory: PathBuf },
    #[error("cannot write {}: it is not a regular file, as an MP4 must be; a bare stream, or a picture, can go to standard output (`-`)", .0.display())]
    NotRegular(PathBuf),
    #[error("cannot open {} for writing: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// A file that is empty, and open for reading and writing.
#[derive(Debug)]
pub struct OutputFile {
    pub file: File,
    /// Where it lies when it is [kept](Self::keep).
    path: PathBuf,
    state: State,
    /// Takes the place of a file that is there.
    replaces: bool,
}

#[derive(Debug)]
enum State {
    /// It lies there.
    Named,
    /// It lies beside, under this name.
    Beside(PathBuf),
    /// It has no name, and is gone when nobody has it open (open(2), `O_TMPFILE`).
    Nameless,
}

impl OutputFile {
    /// Creates the file. With `force`, one that exists is replaced, but only when the new one
    /// is [kept](Self::keep): until then the new one lies beside it.
    pub fn open(path: &Path, force: bool) -> Result<Self, OpenError> {
        match create(path) {
            Ok(file) => Ok(Self { file, path: path.to_owned(), state: State::Named, replaces: false }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && force => Self::beside(writable(path)?, true),
            Err(error) => Err(explain(path, error)),
        }
    }

    /// Creates a file that may never be needed, and leaves nothing behind then, whatever becomes of this program:
    /// where the file system can do that, it has no name before it is [kept](Self::keep).
    pub fn spare(path: &Path, force: bool) -> Result<Self, OpenError> {
        let path = match path.try_exists() {
            Ok(true) if force => writable(path)?,
            Ok(true) => return Err(OpenError::Exists(path.to_owned())),
            _ => path.to_owned(),
        };
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o666);
        match rustix::fs::open(directory(&path), flags, mode) {
            Ok(file) => Ok(Self { file: file.into(), path, state: State::Nameless, replaces: force }),
            Err(_) => Self::beside(path, force),
        }
    }

    fn beside(path: PathBuf, replaces: bool) -> Result<Self, OpenError> {
        let beside = beside(&path);
        let file = create(&beside).map_err(|error| explain(&path, error))?;
        Ok(Self { file, path, state: State::Beside(beside), replaces })
    }

    /// Where it lies, or will lie.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes another place, if it has none yet.
    pub fn set_path(&mut self, path: PathBuf) {
        self.path = path;
    }

    /// There is something in it: it takes its place. After an error it can be tried again.
    pub fn keep(&mut self) -> Result<(), OpenError> {
        let kept = match &self.state {
            State::Named => return Ok(()),
            State::Beside(beside) => rename(beside, &self.path, self.replaces),
            State::Nameless => self.name(),
        };
        kept.map_err(|source| explain(&self.path, source))?;
        self.state = State::Named;
        // The name is to survive a power cut, too. A file system that cannot do that is none the worse for it.
        let _ = File::open(directory(&self.path)).and_then(|directory| directory.sync_all());
        Ok(())
    }

    /// Gives it its first name (linkat(2): this way it takes no privilege).
    fn name(&self) -> io::Result<()> {
        let link = format!("/proc/self/fd/{}", self.file.as_fd().as_raw_fd());
        let name = |path: &Path| Ok(rustix::fs::linkat(CWD, &link, CWD, path, AtFlags::SYMLINK_FOLLOW)?);
        if !self.replaces {
            return name(&self.path);
        }
        let beside = beside(&self.path);
        name(&beside)?;
        rename(&beside, &self.path, true)
    }

    /// Bytes that there is room for where it lies, as far as that is known.
    pub fn room(&self) -> Option<u64> {
        let disk = rustix::fs::fstatvfs(&self.file).ok()?;
        disk.f_bavail.checked_mul(disk.f_frsize)
    }

    /// Takes the file away again; one that it should replace stays as it was.
    pub fn discard(self) {
        // What cannot be removed does no harm.
        let _ = match &self.state {
            State::Named => std::fs::remove_file(&self.path),
            State::Beside(beside) => std::fs::remove_file(beside),
            State::Nameless => Ok(()),
        };
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).open(path)
}

fn rename(from: &Path, to: &Path, replace: bool) -> io::Result<()> {
    let flags = if replace { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
    Ok(rustix::fs::renameat_with(CWD, from, CWD, to, flags)?)
}

/// The regular file at `path`, through links, if it may be written to.
fn writable(path: &Path) -> Result<PathBuf, OpenError> {
    // To open a pipe would otherwise be to wait for a reader.
    let nonblock = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().write(true).custom_flags(nonblock).open(path).map_err(|error| {
        match error.raw_os_error() {
            Some(code) if code == Errno::NXIO.raw_os_error() => OpenError::NotRegular(path.to_owned()),
            _ => explain(path, error),
        }
    })?;
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

fn directory(path: &Path) -> &Path {
    let parent = path.parent().unwrap_or(Path::new(""));
    if parent.as_os_str().is_empty() { Path::new(".") } else { parent }
}
fn explain(path: &Path, source: io::Error) -> OpenError {
    let path = path.to_owned();
    match source.kind() {
        _ if path.is_dir() => OpenError::Directory(path),
        io::ErrorKind::AlreadyExists => OpenError::Exists(path),
        // What is there, and has nothing made in it, or is a link to nowhere, is another matter.
        io::ErrorKind::NotFound if !directory(&path).is_dir() => {
            let directory = directory(&path).to_owned();
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
    fn a_spare_is_seen_when_it_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.mp4");
        let ways: [fn(&Path) -> OutputFile; 2] = [
            |path| OutputFile::spare(path, false).unwrap(),
            // Where files must have a name.
            |path| OutputFile::beside(path.to_owned(), false).unwrap(),
        ];
        for spare in ways {
            spare(&path).discard();
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
            let mut kept = spare(&path);
            assert!(!path.exists());
            kept.keep().unwrap();
            assert!(path.exists());

            let mut late = spare(&dir.path().join("late.mp4"));
            late.set_path(path.clone());
            assert!(matches!(late.keep(), Err(OpenError::Exists(_))));
            late.set_path(dir.path().join("other.mp4"));
            late.keep().unwrap();
            std::fs::remove_file(dir.path().join("other.mp4")).unwrap();
            std::fs::remove_file(&path).unwrap();
        }
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(OutputFile::spare(&path, false), Err(OpenError::Exists(_))));
        OutputFile::spare(&path, true).unwrap().discard();
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        OutputFile::spare(&path, true).unwrap().keep().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn errors_name_the_file_and_the_reason() {
        let error = OutputFile::open(Path::new("/nonexistent/out.mp4"), false).unwrap_err().to_string();
        assert_eq!(
            error,
            "cannot create /nonexistent/out.mp4: there is no directory /nonexistent; create it, or choose another place"
        );
        let pipe = tempfile::tempdir().unwrap().keep().join("pipe");
        rustix::fs::mknodat(CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(matches!(OutputFile::open(&pipe, true), Err(OpenError::NotRegular(_))), "nobody reads it");
        std::fs::remove_dir_all(pipe.parent().unwrap()).unwrap();
        let error = OutputFile::open(Path::new("/dev/null"), true).unwrap_err().to_string();
        assert!(error.contains("not a regular file"), "{error}");
        let error = OutputFile::open(Path::new("/tmp"), true).unwrap_err().to_string();
        assert!(error.contains("directory"), "{error}");
    }
}
