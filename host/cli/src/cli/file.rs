//! Files that commands write: at once or not at all.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use tempfile::NamedTempFile;

/// A file with this content and without its final name yet, in the folder where it will be. Others may read it as far
/// as the user's mask lets them.
pub(super) fn unfinished(file: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // So that the error of a folder that is not there is its own.
    fs::metadata(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".kennel-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut whole = builder.tempfile_in(folder).map_err(unnamed)?;
    whole.write_all(bytes)?;
    whole.as_file().sync_all()?;
    Ok(whole)
}

/// The error without the name of the unfinished file, which no user knows, where its kind says all.
fn unnamed(error: io::Error) -> io::Error {
    match error.kind() {
        kind @ (io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => kind.into(),
        _ => error,
    }
}

/// Writes a file, in place of one that is there. One with this content stays as it is. Where a device or a pipe is, it
/// gets the bytes.
pub(super) fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::metadata(file) {
        Ok(present) if present.is_file() => {
            if fs::read(file)? == bytes {
                return Ok(());
            }
        }
        Ok(_) => return fs::write(file, bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // The file that a link leads to is replaced, not the link.
    let target = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    unfinished(&target, bytes)?.persist(&target).map_err(|failed| failed.error)?;
    Ok(())
}
