//! What clients, guests and events do at the edges of a host: it neither keeps answers that no client takes, nor shows
//! text that does anything but show, nor minds that the reader of its log is gone.

mod memory;
mod output;
mod text;
