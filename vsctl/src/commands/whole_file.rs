// SPDX-License-Identifier: Apache-2.0
//! A file that has its name only when it is whole: until then it lies beside it, under a name of its own.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{} exists already: choose another name, or overwrite it with --force", .0.display())]
    Exists(PathBuf),
    #[error("{} is not a regular file: write `-` in its place and redirect the output", .0.display())]
    NotRegular(PathBuf),
    #[error("cannot create {}: there is no directory {}; create it, or choose another place", path.display(), directory.display())]
    NoDirectory { path: PathBuf, directory: PathBuf },
    #[error("cannot write {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// See the module. Dropped before it is [kept](Self::keep), it goes.
#[derive(Debug)]
pub struct WholeFile {
    pub file: File,
    /// Where it lies now.
    beside: PathBuf,
    /// Where it belongs.
    path: PathBuf,
    force: bool,
    kept: bool,
}

impl WholeFile {
    /// An empty file, open for writing. Only with `force` it may take the place of another one.
    pub fn create(path: &Path, force: bool) -> Result<Self, FileError> {
        // Through links: what they point to is replaced, not they.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        match path.metadata() {
            Ok(found) if !found.is_file() => return Err(FileError::NotRegular(path)),
            Ok(_) if !force => return Err(FileError::Exists(path)),
            _ => {}
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let beside = path.with_file_name(format!(".{name}.{}", std::process::id()));
        let file = OpenOptions::new().write(true).create_new(true).open(&beside);
        let file = file.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => {
                let directory = path.parent().unwrap_or(Path::new("/")).to_owned();
                FileError::NoDirectory { path: path.clone(), directory }
            }
            _ => FileError::Io { path: path.clone(), source },
        })?;
        Ok(Self { file, beside, path, force, kept: false })
    }

    /// All is in it: it gets its name, once it is safe on the storage.
    pub fn keep(mut self) -> Result<(), FileError> {
        let io = |source| FileError::Io { path: self.path.clone(), source };
        self.file.sync_all().map_err(io)?;
        let renamed =
            if self.force { std::fs::rename(&self.beside, &self.path) } else { rename_new(&self.beside, &self.path) };
        renamed.map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => FileError::Exists(self.path.clone()),
            _ => io(source),
        })?;
        self.kept = true;
        Ok(())
    }
}

/// Renames a file, unless the name has been taken meanwhile.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can do that (renameat2(2)).
        Err(Errno::INVAL | Errno::NOSYS) if !to.exists() => std::fs::rename(from, to),
        Err(Errno::INVAL | Errno::NOSYS) => Err(io::ErrorKind::AlreadyExists.into()),
        renamed => Ok(renamed?),
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed does no harm.
            let _ = std::fs::remove_file(&self.beside);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn it_has_its_name_when_it_is_kept_and_not_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.jpg");
        drop(WholeFile::create(&path, false).unwrap());
        assert!(names(directory.path()).is_empty());
        let mut whole = WholeFile::create(&path, false).unwrap();
        whole.file.write_all(b"new").unwrap();
        assert!(!path.exists());
        // Another one is faster.
        std::fs::write(&path, b"other").unwrap();
        assert!(matches!(whole.keep(), Err(FileError::Exists(_))));
        assert!(matches!(WholeFile::create(&path, false), Err(FileError::Exists(_))));
        let mut whole = WholeFile::create(&path, true).unwrap();
        whole.file.write_all(b"newer").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"other");
        whole.keep().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"newer");
        assert_eq!(names(directory.path()), ["out.jpg"]);
    }

    #[test]
    fn what_is_no_file_is_refused() {
        assert!(matches!(WholeFile::create(Path::new("/dev/null"), true), Err(FileError::NotRegular(_))));
        let nowhere = WholeFile::create(Path::new("/nonexistent/out.jpg"), false).unwrap_err();
        assert!(nowhere.to_string().contains("no directory /nonexistent"), "{nowhere}");
    }
}
