//! Documents as a database is asked for them, and as it finds them.

use std::sync::Arc;

use kennel_core::limits;
use kennel_core::position::Position;

/// Which documents of a collection to list: from the key `first` on and before `end`, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan<'a> {
    pub(crate) first: &'a str,
    pub(crate) end: &'a str,
    pub(crate) limit: usize,
    /// No more are listed once they have more bytes than this.
    pub(crate) bytes_max: usize,
}

/// Documents that a commit is about to check and to change.
#[derive(Debug, Default)]
pub(crate) struct LockSet<'a> {
    /// Whether documents that do not exist have been read, and so must not come into being meanwhile.
    pub(crate) absence_matters: bool,
    /// Documents that may come into being.
    pub(crate) may_create: bool,
    /// Changed, in key order.
    pub(crate) written: Vec<&'a str>,
    /// Changed on the ground of the stored document, in key order.
    pub(crate) summed: Vec<&'a str>,
    /// Only read, in key order.
    pub(crate) read: Vec<&'a str>,
}

/// A document as a commit finds it.
#[derive(Clone, Debug)]
pub(crate) struct Locked {
    pub(crate) revision: Position,
    pub(crate) text: LockedText,
}

/// Its text, if it was asked for.
#[derive(Clone, Debug)]
pub(crate) enum LockedText {
    NotWanted,
    Loaded(Arc<str>),
    /// It was not loaded, as those before it were as large as they may be at once. It has so many bytes.
    TooMuch(usize),
}

/// A document to write.
#[derive(Clone, Debug)]
pub(crate) struct Put<'a> {
    pub(crate) key: &'a str,
    pub(crate) document: Arc<str>,
    pub(crate) revision: Position,
    /// Whether it must not exist yet.
    pub(crate) new: bool,
}

impl LockedText {
    /// That of a document with this text, beside those before it, which have so many `bytes`.
    pub(crate) fn of(text: Option<&str>, bytes: &mut usize) -> Self {
        match text {
            None => Self::NotWanted,
            Some(text) if *bytes >= limits::COMMIT_BYTES_MAX => Self::TooMuch(text.len()),
            Some(text) => {
                *bytes += text.len();
                Self::Loaded(text.into())
            }
        }
    }
}
