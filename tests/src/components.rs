//! The example guests, and components that are wrong on purpose.

use std::fmt::Write as _;
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
    wrapped(&module(wit, world))
}

/// The component that a core module becomes.
#[must_use]
pub fn wrapped(module: &[u8]) -> Vec<u8> {
    let encoder = ComponentEncoder::default().module(module).expect("the module is well formed");
    encoder.validate(true).encode().expect("the module becomes a component")
}

/// A component of the real world. `describe` runs before the descriptor at 512 is returned: name, version, three
/// lists of strings as pairs of address and number, partitioning, and at 556 a list of collections. It calls itself
/// `audit-log`, as the example does: its name lies at 1024 and its version at 1033.
#[must_use]
pub fn describing(describe: &str) -> Vec<u8> {
    let wat = format!(
        r#"(module
            (memory (export "memory") 1)
            (data (i32.const 1024) "audit-log1.0OrderPlaced")
            (data (i32.const 512) "\00\04\00\00\09\00\00\00\09\04\00\00\03\00\00\00")
            ;; One string: the address and the length of "OrderPlaced".
            (data (i32.const 800) "\0c\04\00\00\0b\00\00\00")
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8192))
            (func (export "describe") (result i32) {describe} (i32.const 512))
            (func (export "handle") (param i32) (result i32) unreachable))"#
    );
    let mut resolve = Resolve::default();
    let package = resolve.push_str("world.wit", &contract()).expect("the contract parses");
    let world = resolve.select_world(&[package], Some("projection")).expect("the world exists");
    let mut module = wat::parse_str(wat).expect("the module is well formed");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("it takes metadata");
    wrapped(&module)
}

/// Stores a number in the descriptor.
#[must_use]
pub fn store(at: usize, value: usize) -> String {
    format!("(i32.store (i32.const {at}) (i32.const {value}))")
}

/// A component of some ten thousand bytes that takes a compiler gigabytes within seconds: jumps that may go to each
/// of many nested blocks and bring a thousand values along.
#[must_use]
pub fn memory_bomb() -> Vec<u8> {
    let (values, blocks, jumps) = (1000, 100, 200);
    let targets = (1..=blocks).fold(String::new(), |mut targets, block| {
        write!(targets, "{block} ").expect("a string can be written to");
        targets
    });
    let results = " i32".repeat(values);
    with_module(&format!(
        "(module (func $many (result{results}) {}) (func (param i32) {} {} call $many {} {}))",
        "i32.const 1 ".repeat(values),
        format!("block (result{results}) ").repeat(blocks),
        format!("local.get 0 if call $many local.get 0 br_table {targets} end ").repeat(jumps),
        "end ".repeat(blocks),
        "drop ".repeat(values),
    ))
}

/// A component of some ten thousand bytes that takes a compiler minutes, and little memory: nested loops.
#[must_use]
pub fn time_bomb() -> Vec<u8> {
    let loops = 6000;
    with_module(&format!(
        "(module (func (param i32) (local i32) {} local.get 1 local.set 0 {}))",
        "loop ".repeat(loops),
        "i32.const 1 br_if 0 end ".repeat(loops),
    ))
}

/// The component, made as large as this by a section that no program reads, and another one for each number.
#[must_use]
pub fn padded(mut component: Vec<u8>, number: u8, bytes: usize) -> Vec<u8> {
    // A custom section: 0, its length, and a name of one byte.
    component.push(0);
    let mut length = bytes;
    while length >= 0x80 {
        component.push(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
        length >>= 7;
    }
    component.push(u8::try_from(length).unwrap_or_default());
    component.extend([1, b'a']);
    component.resize(component.len() + bytes - 2, number);
    component
}

/// A component that fits the contract and has one core module more, which it never uses.
fn with_module(module: &str) -> Vec<u8> {
    let module = wat::parse_str(module).expect("the module is well formed");
    let mut bytes = component(&contract(), "projection");
    // Sections may follow in any order; 1 is a core module. Their length is in groups of seven bits.
    bytes.push(1);
    let mut length = module.len();
    while length >= 0x80 {
        bytes.push(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap_or_default());
    bytes.extend(module);
    bytes
}
