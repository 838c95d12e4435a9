//! The log goes back: with the checkpoints, by a restore or a failover of the whole database, or without them.
//!
//! In the first case hosts go on by themselves from what the database says. In the second they halt, say what they
//! see, and go on when an operator has decided.

mod alone;
mod failover;
