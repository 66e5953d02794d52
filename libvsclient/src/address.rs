// SPDX-License-Identifier: Apache-2.0
//! From the name of a stream to the path of its socket.

use std::path::{Path, PathBuf};

/// Where the daemon's sockets are unless something else is said.
pub const DEFAULT_SOCKET_DIR: &str = "/run/videostream";

/// Environment variable that names another directory, for daemons that run elsewhere.
pub const SOCKET_DIR_ENV: &str = "VIDEOSTREAM_DIR";

/// Why a text names no stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' names no stream: write its name, such as cam0, or the path of its socket with a '/' in it")]
pub struct NameError(pub(crate) String);

/// The socket of `stream`: a text with a slash is a path, anything else a name in `dir`, or
/// in the directory of the environment, or in the usual one.
pub(crate) fn socket_path(stream: &str, dir: Option<&Path>, env: Option<PathBuf>) -> Result<PathBuf, NameError> {
    if stream.contains('/') {
        return Ok(PathBuf::from(stream));
    }
    if matches!(stream, "" | "." | "..") || stream.contains('\0') {
        return Err(NameError(stream.to_owned()));
    }
    let env = env.filter(|dir| !dir.as_os_str().is_empty());
    let dir = dir.map(Path::to_owned).or(env).unwrap_or_else(|| PathBuf::from(DEFAULT_SOCKET_DIR));
    Ok(dir.join(stream))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths() {
        let path = |stream| socket_path(stream, None, None).unwrap();
        assert_eq!(path("cam0"), Path::new("/run/videostream/cam0"));
        assert_eq!(path("./cam0"), Path::new("./cam0"));
        assert_eq!(path("/tmp/x"), Path::new("/tmp/x"));
        assert!(socket_path("", None, None).is_err() && socket_path("..", None, None).is_err());
    }

    #[test]
    fn what_the_program_says_counts_more_than_the_environment() {
        let env = Some(PathBuf::from("/env"));
        assert_eq!(socket_path("cam0", None, env.clone()).unwrap(), Path::new("/env/cam0"));
        assert_eq!(socket_path("cam0", Some(Path::new("/dir")), env).unwrap(), Path::new("/dir/cam0"));
        assert_eq!(socket_path("cam0", None, Some(PathBuf::new())).unwrap(), Path::new("/run/videostream/cam0"));
    }
}
