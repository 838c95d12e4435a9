//! Core modules become components: one that imports WASI preview 1 gets the adapter for it, and one that names no world
//! gets the newest, if its exports are those of a projection. Nothing else is added to what a toolchain has linked.

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as PREVIEW1, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as ADAPTER,
};
use wasmparser::types::{EntityType, Types};
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use super::{one_line, validate};
use crate::world::World;

/// Custom sections in which wit-bindgen leaves the world that a core module was made for.
const WORLD_SECTION: &str = "component-type";

/// The component that a core module becomes.
pub(super) fn wrap(module: &[u8]) -> Result<Vec<u8>, String> {
    let types = validate(module)?;
    let imports: Vec<_> = types.as_ref().core_imports().into_iter().flatten().collect();
    let old =
        imports.iter().map(|(from, ..)| *from).find(|from| from.starts_with("wasi_") && *from != PREVIEW1);
    if let Some(old) = old {
        return Err(format!(
            "a core module that imports `{old}`, which is older than WASI preview 1: build it for wasm32-wasip1 or \
             later"
        ));
    }
    // Where C and Rust look for functions that they declare and no module defines.
    if let Some((from, name, _)) = imports.iter().find(|(from, ..)| *from == "env") {
        return Err(format!(
            "a core module that imports `{name}` from `{from}`, which nothing provides: link it without undefined \
             functions"
        ));
    }
    let is_adapted = imports.iter().any(|(from, ..)| *from == PREVIEW1);
    if has_world(module) {
        encode(module, is_adapted)
    } else {
        encode(&with_world(module, &types)?, is_adapted)
    }
}

/// The module with the newest world in it.
fn with_world(module: &[u8], types: &Types) -> Result<Vec<u8>, String> {
    let exports: Vec<&str> = types
        .as_ref()
        .core_exports()
        .into_iter()
        .flatten()
        .filter(|(_, of)| matches!(of, EntityType::Func(_)))
        .map(|(name, _)| name)
        .collect();
    let (resolve, world) = World::NEWEST.parsed();
    let wanted = resolve.worlds[world].exports.keys().map(|key| resolve.name_world_key(key));
    let missing: Vec<String> = wanted.filter(|name| !exports.contains(&name.as_str())).collect();
    if !missing.is_empty() {
        let program =
            if exports.contains(&"_start") { ", and it is a program for the command line" } else { "" };
        return Err(format!(
            "a core module that was not made for the world kennel:projection/projection: it does not export `{}`\
             {program}; build it with a Kennel SDK or with wit-bindgen",
            missing.join("` and `")
        ));
    }
    let mut module = module.to_vec();
    let embedded = embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8);
    embedded.map_err(|error| impossible(&one_line(&format!("{error:#}"))))?;
    Ok(module)
}

/// Makes a component of a core module with a world. The library asserts where it should return an error: a world
/// section with a flipped bit can make it panic, which must not end more than this attempt.
fn encode(module: &[u8], is_adapted: bool) -> Result<Vec<u8>, String> {
    let encode = || {
        let mut encoder = ComponentEncoder::default().validate(true).module(module)?;
        if is_adapted {
            encoder = encoder.adapter(PREVIEW1, ADAPTER)?;
        }
        encoder.encode()
    };
    let reason = match std::panic::catch_unwind(encode) {
        Ok(Ok(component)) => return Ok(component),
        Ok(Err(error)) => one_line(&format!("{error:#}")),
        Err(_) => format!("its `{WORLD_SECTION}` section is damaged; build or copy it again"),
    };
    Err(impossible(&reason))
}

fn impossible(reason: &str) -> String {
    format!("a core module that cannot be made a component: {reason}")
}

fn has_world(module: &[u8]) -> bool {
    Parser::new(0).parse_all(module).flatten().any(|payload| match payload {
        Payload::CustomSection(section) => section.name().starts_with(WORLD_SECTION),
        _ => false,
    })
}
