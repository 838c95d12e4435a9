//! Core modules become components: one that imports WASI preview 1 gets the adapter for it, and one without a world gets
//! that which its imports name, the newest if they name none, if its exports are those of a projection. Nothing else is
//! added to what a toolchain has linked.

use kennel_core::limits;
use wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as PREVIEW1;
use wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as ADAPTER;
use wasmparser::types::{EntityType, Types};
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use super::{glue, one_line, validate};
use crate::world::{self, World};

/// Custom sections in which wit-bindgen leaves the world that a core module was made for.
const WORLD_SECTION: &str = "component-type";

/// Exports that a message names.
const EXPORTS_SHOWN: usize = 6;

/// How toolchains build a library, whose functions are called, instead of a program that runs once.
const LIBRARY: &str = "it is a program for the command line: build a library, with `kennel build`, or C with \
    `-mexec-model=reactor`, Go with `-buildmode=c-shared`, Rust with `crate-type = [\"cdylib\"]`, Zig with `-fno-entry`";

/// The component that a core module becomes.
pub(super) fn wrap(module: &[u8]) -> Result<Vec<u8>, String> {
    let types = validate(module)?;
    let imports = types.as_ref().core_imports().into_iter().flatten();
    let imports: Vec<(&str, &str)> = imports.map(|(from, name, _)| (from, name)).collect();
    if let Some(problem) = glue::problem(&imports) {
        return Err(problem);
    }
    let is_adapted = imports.iter().any(|(from, _)| *from == PREVIEW1);
    if has_world(module) {
        let component = encode(module, is_adapted);
        // It may be of another world, which the comparison with this one names.
        return component.map_err(|problem| missing_exports(&types, World::NEWEST).unwrap_or(problem));
    }
    let world = World::of(imports.iter().map(|(from, _)| *from)).map_err(world::foreign)?;
    if let Some(problem) = missing_exports(&types, world).or_else(|| stranger(&imports)) {
        return Err(problem);
    }
    encode(&with_world(module, world)?, is_adapted)
}

/// The problem of a module without a world whose import is no function of any that it could be of.
fn stranger(imports: &[(&str, &str)]) -> Option<String> {
    let is_known = |from: &str| from == PREVIEW1 || world::interface_in(from).is_some();
    let (from, name) = imports.iter().find(|(from, _)| !is_known(from))?;
    let (from, name) = (limits::excerpt(from), limits::excerpt(name));
    Some(format!(
        "a core module that imports `{name}` from `{from}`, which nothing provides: what it may import is WASI preview 1 \
         and the interfaces of kennel:projection; build it with a Kennel SDK (`kennel build`)"
    ))
}

/// The problem of a module that lacks an export of a world, or the one through which the host gets memory for arguments.
fn missing_exports(types: &Types, world: World) -> Option<String> {
    let exports = types.as_ref().core_exports().into_iter().flatten();
    let functions = exports.filter(|(_, of)| matches!(of, EntityType::Func(_)));
    let exports: Vec<&str> = functions.map(|(name, _)| name).collect();
    let (resolve, world) = world.parsed();
    let wanted = resolve.worlds[world].exports.keys().map(|key| resolve.name_world_key(key));
    let missing: Vec<String> = wanted.filter(|name| !exports.contains(&name.as_str())).collect();
    if missing.is_empty() {
        let problem = "a core module that does not export `cabi_realloc`, which gives the host memory for the event: \
                       export it (`-Wl,--export=cabi_realloc`), or build it with a Kennel SDK (`kennel build`)";
        return (!exports.contains(&"cabi_realloc")).then(|| problem.to_owned());
    }
    // A toolchain exports much of its own; the first few show what the module is.
    let shown = exports.iter().take(EXPORTS_SHOWN).map(|name| format!("`{}`", limits::excerpt(name)));
    let more = if exports.len() > EXPORTS_SHOWN { ", …" } else { "" };
    let shown = match &exports[..] {
        [] => "no function, and so not".to_owned(),
        _ => format!("{}{more}, but not", shown.collect::<Vec<_>>().join(", ")),
    };
    let remedy = match exports.contains(&"_start") {
        true => LIBRARY,
        false => "build it with a Kennel SDK (`kennel build`), or with wit-bindgen",
    };
    Some(format!(
        "a core module that was not made for the world kennel:projection/projection: it exports {shown} `{}`; {remedy}",
        missing.join("` and `")
    ))
}

/// The module with a world in it.
fn with_world(module: &[u8], world: World) -> Result<Vec<u8>, String> {
    let (resolve, world) = world.parsed();
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
