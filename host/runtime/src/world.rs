//! The published versions of the contract with guests. Each has one adapter that converts to core's
//! types at the edge; nothing behind it knows which version a component was built for.

pub(crate) mod v0_1;
