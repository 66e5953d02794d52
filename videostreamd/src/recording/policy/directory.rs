// SPDX-License-Identifier: Apache-2.0
//! The directory of a recording: everything that is done to it is done here, and nothing outside of it can be reached.
//!
//! Names are walked component by component from the directory's descriptor, and no symbolic link is followed on the
//! way: whoever can write into the directory cannot make the daemon write or delete elsewhere. What must survive a
//! power cut is synced, the names included.

use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, RenameFlags, Stat, Timespec, Timestamps, UTIME_OMIT,
};
use rustix::io::Errno;

use super::naming::{Kind, Pattern};

/// Files: the group may read them, as it may connect to streams.
const FILE_MODE: u32 = 0o640;

/// Directories: the group may look into them.
const DIRECTORY_MODE: u32 = 0o750;

/// See the module.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

/// Why the directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The administrator's directory is not there.
    #[error("there is no directory {0}: make it, let the daemon's user write into it, or mount its disk")]
    Missing(PathBuf),
    /// Somebody else records into it.
    #[error("another daemon records into {0}: each needs a directory of its own")]
    Taken(PathBuf),
    /// The system refuses.
    #[error("cannot {what} {path}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
}

/// A file of the recording, as it lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Relative to the directory.
    pub path: Box<str>,
    /// What it is.
    pub kind: Kind,
    /// Its size.
    pub bytes: u64,
    /// When it was written last, in ns since 1970.
    pub modified_ns: i64,
}

/// What a file system has, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What the daemon may still fill.
    pub free: u64,
    /// Its size.
    pub total: u64,
}

impl Directory {
    /// Opens the directory; `make` it if it is the daemon's own. Nobody else can open it until this is dropped.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub fn open(path: &Path, make: bool) -> Result<Self, DirectoryError> {
        let failed = |what| move |source: io::Error| DirectoryError::System { what, path: path.to_owned(), source };
        if make {
            DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path).map_err(failed("make"))?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
            Errno::NOENT => DirectoryError::Missing(path.to_owned()),
            error => failed("open")(error.into()),
        })?;
        // File systems that cannot lock directories can be used all the same.
        if rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
            return Err(DirectoryError::Taken(path.to_owned()));
        }
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Whether its path still leads to it: a disk may have been taken out and put in again.
    pub fn is_current(&self) -> bool {
        let identity = |stat: &Stat| (stat.st_dev, stat.st_ino);
        let there = rustix::fs::stat(&self.path);
        let open = rustix::fs::fstat(&self.fd);
        matches!((there, open), (Ok(there), Ok(open)) if identity(&there) == identity(&open))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes an empty file and the directories above it; the name is there for good when this returns.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if the name is taken; whatever else the system says.
    pub fn create(&self, path: &str) -> io::Result<File> {
        let (parent, name) = self.parent(path, true)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(FILE_MODE))?);
        // Whatever the process's umask is.
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
        rustix::fs::fsync(&parent)?;
        Ok(file)
    }

    /// Opens a file that is there, for reading and writing.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn open_file(&self, path: &str) -> io::Result<File> {
        let (parent, name) = self.parent(path, false)?;
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(parent, name, flags, Mode::empty())?))
    }

    /// Size and time of a regular file; `None` if there is none.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn look(&self, path: &str) -> io::Result<Option<(u64, i64)>> {
        let stat = self.parent(path, false).and_then(|(parent, name)| {
            rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(io::Error::from)
        });
        match stat {
            Ok(stat) => Ok(is_file(&stat).then(|| (size(&stat), modified_ns(&stat)))),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What a regular file has of the disk beyond its length: room reserved for what is written next.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn reserved(&self, path: &str) -> io::Result<u64> {
        let (parent, name) = self.parent(path, false)?;
        let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(if is_file(&stat) { occupied(&stat).saturating_sub(size(&stat)) } else { 0 })
    }

    /// Whether nothing at all has this name.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn is_free(&self, path: &str) -> io::Result<bool> {
        let found = self.parent(path, false).and_then(|(parent, name)| {
            rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(io::Error::from)
        });
        match found {
            Ok(_) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Gives a file another name in the same directory, for good.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if that is taken; whatever else the system says.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (parent, old) = self.parent(from, false)?;
        let new = to.rsplit('/').next().unwrap_or(to);
        match rustix::fs::renameat_with(&parent, old, &parent, new, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS) if self.is_free(to)? => rustix::fs::renameat(&parent, old, &parent, new)?,
            Err(Errno::INVAL | Errno::NOSYS) => return Err(io::ErrorKind::AlreadyExists.into()),
            renamed => renamed?,
        }
        Ok(rustix::fs::fsync(&parent)?)
    }

    /// Removes a file, and the directories above it that are empty then. One that is not there has been removed.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn remove(&self, path: &str) -> io::Result<()> {
        let removed = self
            .parent(path, false)
            .and_then(|(parent, name)| rustix::fs::unlinkat(parent, name, AtFlags::empty()).map_err(io::Error::from));
        match removed {
            Err(error) if !is_missing(&error) => return Err(error),
            _ => {}
        }
        let mut rest = path;
        while let Some((directory, _)) = rest.rsplit_once('/') {
            let gone = self.parent(directory, false).and_then(|(parent, name)| {
                rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR).map_err(io::Error::from)
            });
            // It is not empty, or somebody's own arrangement.
            if gone.is_err() {
                break;
            }
            rest = directory;
        }
        Ok(())
    }

    /// Sets when a file was written last.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn set_modified(&self, path: &str, ns: i64) -> io::Result<()> {
        let (parent, name) = self.parent(path, false)?;
        let omit = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        let modified = Timespec { tv_sec: ns.div_euclid(1_000_000_000), tv_nsec: ns.rem_euclid(1_000_000_000) as _ };
        let times = Timestamps { last_access: omit, last_modification: modified };
        Ok(rustix::fs::utimensat(parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// What the file system has.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn space(&self) -> io::Result<Space> {
        let stat = rustix::fs::fstatvfs(&self.fd)?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok(Space { free: bytes(stat.f_bavail), total: bytes(stat.f_blocks) })
    }

    /// Every file of the recording. What is not its own, is no regular file or cannot be read is not looked at.
    ///
    /// # Errors
    /// If the directory itself cannot be read.
    pub fn list(&self, pattern: &Pattern) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        list(self.fd.as_fd(), "", pattern, pattern.depth(), &mut found)?;
        Ok(found)
    }

    /// The directory in which the last component of a path is, and that component.
    fn parent<'a>(&self, path: &'a str, make: bool) -> io::Result<(OwnedFd, &'a str)> {
        let mut parts = path.split('/');
        let name = parts.next_back().filter(|name| is_plain(name)).ok_or(io::ErrorKind::InvalidInput)?;
        let mut parent = self.fd.try_clone()?;
        for part in parts {
            if !is_plain(part) {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            parent = match (open_directory(parent.as_fd(), part), make) {
                (Err(Errno::NOENT), true) => make_directory(parent.as_fd(), part)?,
                (opened, _) => opened?,
            };
        }
        Ok((parent, name))
    }
}

fn is_plain(component: &str) -> bool {
    !matches!(component, "" | "." | "..") && !component.contains('\0')
}

fn open_directory(parent: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

/// Makes a directory whose name is there for good.
fn make_directory(parent: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    let mode = Mode::from_raw_mode(DIRECTORY_MODE);
    match rustix::fs::mkdirat(parent, name, mode) {
        Err(error) if error != Errno::EXIST => return Err(error),
        _ => {}
    }
    let made = open_directory(parent, name)?;
    rustix::fs::fchmod(&made, mode)?;
    rustix::fs::fsync(parent)?;
    Ok(made)
}

fn list(
    directory: BorrowedFd<'_>,
    prefix: &str,
    pattern: &Pattern,
    depth: usize,
    found: &mut Vec<Found>,
) -> io::Result<()> {
    let mut entries = Dir::read_from(directory)?;
    while let Some(entry) = entries.read() {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        if !is_plain(name) {
            continue;
        }
        let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        if depth > 0 {
            if pattern.is_directory(&path)
                && let Ok(inner) = open_directory(directory, name)
            {
                // One that cannot be read, or goes meanwhile, does not hide the others.
                let _ = list(inner.as_fd(), &path, pattern, depth - 1, found);
            }
            continue;
        }
        let Some(kind) = pattern.kind(&path) else { continue };
        match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if is_file(&stat) => {
                let (bytes, modified_ns) = (size(&stat), modified_ns(&stat));
                found.push(Found { path: path.into(), kind, bytes, modified_ns });
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

fn occupied(stat: &Stat) -> u64 {
    // Always in 512 bytes, whatever the blocks of the file system are: inode(7).
    u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512)
}

fn modified_ns(stat: &Stat) -> i64 {
    i64::try_from(stat.st_mtime_nsec).map_or(0, |ns| stat.st_mtime.saturating_mul(1_000_000_000).saturating_add(ns))
}

/// Whether there is no file of that name: what should be a directory above it may be something else by now.
fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw_os_error),
        Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ISDIR)
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn pattern() -> Pattern {
        "%Y-%m-%d/garage-%H%M%S".parse().unwrap()
    }

    #[test]
    fn files_come_and_go_with_their_directories() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::open(&place.path().join("a/b"), true).unwrap();
        let path = "2026-11-22/garage-140509.mp4";
        let file = directory.create(&format!("{path}.part")).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, FILE_MODE);
        assert_eq!(directory.create(&format!("{path}.part")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        directory.rename(&format!("{path}.part"), path).unwrap();
        directory.set_modified(path, 1_500_000_001_000_000_002).unwrap();
        let expected =
            Found { path: path.into(), kind: Kind::Finished, bytes: 0, modified_ns: 1_500_000_001_000_000_002 };
        assert_eq!(directory.list(&pattern()).unwrap(), [expected]);
        directory.remove(path).unwrap();
        directory.remove(path).unwrap();
        assert_eq!(std::fs::read_dir(place.path().join("a/b")).unwrap().count(), 0);
        assert!(directory.space().unwrap().total > 0);
    }

    #[test]
    fn nothing_is_overwritten() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::open(place.path(), false).unwrap();
        std::fs::write(place.path().join("a.mp4"), "precious").unwrap();
        directory.create("a.mp4.part").unwrap();
        assert_eq!(directory.rename("a.mp4.part", "a.mp4").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(place.path().join("a.mp4")).unwrap(), b"precious");
        assert!(!directory.is_free("a.mp4").unwrap() && directory.is_free("b/c.mp4").unwrap());
    }

    #[test]
    fn links_lead_nowhere() {
        let (place, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let directory = Directory::open(place.path(), false).unwrap();
        let precious = elsewhere.path().join("garage-140509.mp4");
        std::fs::write(&precious, "precious").unwrap();
        symlink(elsewhere.path(), place.path().join("2026-11-22")).unwrap();
        std::fs::create_dir(place.path().join("2026-11-23")).unwrap();
        symlink(&precious, place.path().join("2026-11-23/garage-140509.mp4")).unwrap();
        assert_eq!(directory.list(&pattern()).unwrap(), []);
        directory.remove("2026-11-22/garage-140509.mp4").unwrap();
        directory.remove("2026-11-23/garage-140509.mp4").unwrap();
        assert!(directory.create("2026-11-22/garage-140510.mp4").is_err());
        assert!(directory.open_file("2026-11-22/garage-140509.mp4").is_err());
        assert!(directory.create("../x").is_err() && directory.create("/x").is_err() && directory.create("").is_err());
        assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 1);
        assert_eq!(std::fs::read(&precious).unwrap(), b"precious");
    }

    #[test]
    fn it_is_nobody_elses() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("garage");
        assert!(matches!(Directory::open(&path, false), Err(DirectoryError::Missing(_))));
        let directory = Directory::open(&path, true).unwrap();
        assert!(matches!(Directory::open(&path, true), Err(DirectoryError::Taken(_))));
        assert!(directory.is_current());
        std::fs::rename(&path, place.path().join("moved")).unwrap();
        assert!(!directory.is_current());
        drop(directory);
        assert!(Directory::open(&place.path().join("moved"), false).is_ok());
    }
}
