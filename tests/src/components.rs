//! The example guests, and components that are wrong on purpose.

use std::path::PathBuf;

use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

use crate::binary::repository;

/// An example guest, as `make guests` builds it.
#[must_use]
pub fn guest(name: &str) -> PathBuf {
    let path = repository().join("target/guests").join(format!("{name}.wasm"));
    assert!(path.exists(), "{} is missing: `make guests` builds it", path.display());
    path
}

/// The contract's text.
#[must_use]
pub fn contract() -> String {
    std::fs::read_to_string(repository().join("wit/world.wit")).expect("the contract is in the repository")
}

/// A core module for the world `projection` of `wit`, as wit-bindgen would leave it: every function is
/// there and traps.
#[must_use]
pub fn module(wit: &str, world: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("world.wit", wit).expect("the contract parses");
    let world = resolve.select_world(&[package], Some(world)).expect("the world exists");
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .expect("the module takes metadata");
    module
}

/// The component of [`module`].
#[must_use]
pub fn component(wit: &str, world: &str) -> Vec<u8> {
    let encoder = ComponentEncoder::default().module(&module(wit, world)).expect("the module is well formed");
    encoder.validate(true).encode().expect("the module becomes a component")
}
