//! What stands in for the host's log and settings off wasm: kept per thread, because tests run
//! side by side.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::level::Level;

thread_local! {
    static LOG: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
    static SETTINGS: RefCell<BTreeMap<String, String>> = const { RefCell::new(BTreeMap::new()) };
}

pub(crate) fn log(level: Level, message: &str) {
    LOG.with_borrow_mut(|log| log.push((level, message.to_owned())));
}

/// The lines that this thread has logged since it was asked last.
pub(crate) fn take_log() -> Vec<(Level, String)> {
    LOG.take()
}

pub(crate) fn setting(key: &str) -> Option<String> {
    SETTINGS.with_borrow(|settings| settings.get(key).cloned())
}

pub(crate) fn set_settings(settings: BTreeMap<String, String>) {
    SETTINGS.set(settings);
}
