//! Whether a file or a folder is this user's own: a user who can write to compiled code decides what this
//! process does.
//!
//! Where users and modes are other than on Unix, it trusts the folder that it is given.

use std::fs::Metadata;

/// Why something is not trusted, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(not(any(unix, test)), expect(dead_code, reason = "there everything is trusted"))]
pub(super) enum Distrust {
    #[error(
        "it belongs to user {owner} while this process runs as user {user}, and compiled code in it is run: chown it to \
         user {user}, or use another folder"
    )]
    Owner { owner: u32, user: u32 },
    #[error(
        "others than its owner may write to it (mode {mode:03o}), and compiled code in it is run: chmod go-w it, or use \
         another folder"
    )]
    Mode { mode: u32 },
}

/// Whether only this process's user and root can have written what this is about.
#[cfg(unix)]
pub(super) fn check(metadata: &Metadata) -> Result<(), Distrust> {
    use std::os::unix::fs::MetadataExt as _;
    judge(metadata.uid(), metadata.mode(), rustix::process::geteuid().as_raw())
}

#[cfg(not(unix))]
pub(super) fn check(_: &Metadata) -> Result<(), Distrust> {
    Ok(())
}

/// The same of what this owner has, in this mode, for this user.
#[cfg(any(unix, test))]
fn judge(owner: u32, mode: u32, user: u32) -> Result<(), Distrust> {
    const ROOT: u32 = 0;
    const WRITABLE_FOR_OTHERS: u32 = 0o022;
    if owner != user && owner != ROOT {
        return Err(Distrust::Owner { owner, user });
    }
    if mode & WRITABLE_FOR_OTHERS != 0 {
        return Err(Distrust::Mode { mode: mode & 0o777 });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_no_other_user_can_write_are_trusted() {
        for (owner, mode, user, expected) in [
            (1000, 0o40_700, 1000, Ok(())),
            (1000, 0o100_644, 1000, Ok(())),
            (0, 0o40_755, 1000, Ok(())),
            (0, 0o40_755, 0, Ok(())),
            (1001, 0o40_700, 1000, Err(Distrust::Owner { owner: 1001, user: 1000 })),
            (1000, 0o100_644, 0, Err(Distrust::Owner { owner: 1000, user: 0 })),
            (1000, 0o40_775, 1000, Err(Distrust::Mode { mode: 0o775 })),
            (1000, 0o100_664, 1000, Err(Distrust::Mode { mode: 0o664 })),
            (1000, 0o100_602, 1000, Err(Distrust::Mode { mode: 0o602 })),
            // A file that every user may write to is not trusted, no matter which user has made it.
            (0, 0o41_777, 1000, Err(Distrust::Mode { mode: 0o777 })),
            (0, 0o40_770, 1000, Err(Distrust::Mode { mode: 0o770 })),
        ] {
            assert_eq!(judge(owner, mode, user), expected, "{owner} {mode:o} {user}");
        }
    }

    #[test]
    fn it_says_what_to_do() {
        let message = |owner, mode| judge(owner, mode, 1000).unwrap_err().to_string();
        assert!(
            message(1000, 0o40_775).contains("(mode 775)") && message(1000, 0o40_775).contains("chmod go-w")
        );
        assert!(
            message(7, 0o40_700).contains("belongs to user 7")
                && message(7, 0o40_700).contains("chown it to user 1000")
        );
    }
}
