//! What clients, guests and events do at the edges of a host: it neither keeps what nobody takes, nor shows text that does
//! anything but show.

#[path = "edges/memory.rs"]
mod memory;
#[path = "edges/text.rs"]
mod text;
