//! What the suites share. Tests state behaviour from outside: they run the real command on real stores.
//!
//! | module | what lives there |
//! | --- | --- |
//! | [`audit`] | was every event handled exactly once and in order? |
//! | [`binary`] | runs the `kennel` command |
//! | [`components`] | the example guests, and components that are wrong on purpose |
//! | [`events`] | events as lines of JSON |

pub mod audit;
pub mod binary;
pub mod components;
pub mod events;
