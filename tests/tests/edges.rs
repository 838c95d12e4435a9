//! What clients, guests and events do at the edges of a host: it neither keeps what nobody takes, nor shows text that does
//! anything but show, nor minds a log that nobody reads.

#[path = "edges/memory.rs"]
mod memory;
#[path = "edges/output.rs"]
mod output;
#[path = "edges/text.rs"]
mod text;
