//! Whether a component fits the world, as a list of sentences that name the missing, extra or
//! wrong parts. wasmtime's linker would reject the same components, with messages for people who know wasmtime.
//!
//! It looks at types alone: nothing is compiled and no guest code runs.

mod contract;
mod difference;
mod other;
mod outline;

use std::collections::BTreeSet;

use kennel_core::grant::NeededGrant;
use kennel_core::text::mebibytes;
use wasmparser::component_types::{ComponentEntityType, ComponentFuncTypeId, ComponentInstanceTypeId};
use wasmparser::types::TypesRef;
use wit_parser::{Function, Interface};

use self::contract::Contract;
use self::difference::Comparison;
pub(crate) use self::outline::Outline;
use crate::capability;
use crate::world::{self, PACKAGE, World};

/// What a comparison found.
pub(crate) struct Findings {
    /// The world that the component was compared with.
    pub(crate) world: World,
    /// Everything that keeps it from running here, one sentence each; none if it fits.
    pub(crate) problems: Vec<String>,
    /// What it imports that a deployment has to grant.
    pub(crate) grants: Vec<NeededGrant>,
}

/// Compares a component with the world that it was made for.
pub(crate) fn compare(outline: &Outline, types: TypesRef<'_>, memory_bytes_max: usize) -> Findings {
    let names = outline.imports.iter().chain(&outline.exports).map(String::as_str);
    let (world, problems) = match World::of(names) {
        Ok(world) => (world, problems(world, outline, types, memory_bytes_max)),
        // What differs between two versions follows from that: naming it would be noise.
        Err(version) => (World::NEWEST, vec![world::foreign(version)]),
    };
    let grants = capability::needed_grants(outline.imports.iter().map(String::as_str));
    Findings { world, problems, grants }
}

/// Joins problems to the message of an error.
pub(crate) fn error(world: World, problems: &[String]) -> String {
    let intro = format!("the component does not fit the world {PACKAGE}@{}", world.version());
    match problems {
        [problem] => format!("{intro}: {problem}"),
        _ => format!("{intro}:\n- {}", problems.join("\n- ")),
    }
}

fn problems(world: World, outline: &Outline, types: TypesRef<'_>, memory_bytes_max: usize) -> Vec<String> {
    let contract = Contract::of(world);
    let mut problems = export_problems(contract, outline, types);
    let imports = outline.imports.iter();
    problems.extend(imports.flat_map(|import| import_problems(world, contract, import, types)));
    if outline.memory_bytes > memory_bytes_max as u64 {
        problems.push(format!(
            "it needs {} of memory before it has done anything; at most {} are allowed",
            mebibytes(outline.memory_bytes),
            mebibytes(memory_bytes_max as u64)
        ));
    }
    let mut seen = BTreeSet::new();
    problems.retain(|problem| seen.insert(problem.clone()));
    problems
}

fn export_problems(contract: &Contract, outline: &Outline, types: TypesRef<'_>) -> Vec<String> {
    let mut missing = Vec::new();
    let mut wrong = Vec::new();
    for function in contract.exports() {
        match types.component_item_for_export(&function.name).map(|item| item.ty) {
            Some(ComponentEntityType::Func(id)) => {
                wrong.extend(difference(contract, function, &function.name, types, id));
            }
            Some(_) => wrong.push(format!("its export `{}` is not a function", function.name)),
            None => missing
                .push(format!("it does not export `{}`", difference::signature(&contract.resolve, function))),
        }
    }
    if let Some(last) = missing.last_mut() {
        let found = match &outline.exports[..] {
            [] => "it exports nothing at all".to_owned(),
            exports => format!("what it exports: {}", quoted(exports)),
        };
        last.push_str(&format!("; {found}; {}", other::made_for(&outline.exports)));
    }
    missing.extend(wrong);
    missing
}

fn import_problems(world: World, contract: &Contract, import: &str, types: TypesRef<'_>) -> Vec<String> {
    let Some(item) = types.component_item_for_import(import) else {
        return Vec::new();
    };
    let known = world::interface_in(import).filter(|(_, version)| *version == world.version());
    match (known.and_then(|(name, _)| contract.interface(name)), item.ty) {
        (Some(interface), ComponentEntityType::Instance(id)) => {
            interface_problems(contract, import, interface, types, id)
        }
        (_, ComponentEntityType::Instance(_)) if capability::serves_wasi(import) => Vec::new(),
        (_, ComponentEntityType::Type { .. }) => Vec::new(),
        _ if import.starts_with("wasi:") => {
            let remedy = other::instead_of(import, &capability::wasi_packages());
            vec![format!("it imports `{import}`, which this host does not offer: {remedy}")]
        }
        (_, entity) => {
            let (kind, version) = (kind_of(&entity), world.version());
            let offered = listed(&contract.imports().collect::<Vec<_>>());
            vec![format!(
                "it imports {kind} `{import}`, which this host does not offer: a projection may import {offered} of \
                 {PACKAGE}@{version}, and WASI 0.2"
            )]
        }
    }
}

fn interface_problems(
    contract: &Contract,
    import: &str,
    interface: &Interface,
    types: TypesRef<'_>,
    id: ComponentInstanceTypeId,
) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, item) in &types[id].exports {
        match (interface.functions.get(name.as_str()), item.ty) {
            (Some(function), ComponentEntityType::Func(id)) => {
                let path = format!("{}.{name}", interface.name.as_deref().unwrap_or_default());
                problems.extend(difference(contract, function, &path, types, id));
            }
            (None, ComponentEntityType::Func(_)) => {
                let offered: Vec<&String> = interface.functions.keys().collect();
                problems.push(format!(
                    "it imports `{name}` of `{import}`, which has no such function; it has {}",
                    quoted(&offered)
                ));
            }
            // Types are compared where a function uses them.
            _ => {}
        }
    }
    problems
}

/// The problems of a function of the right name.
fn difference(
    contract: &Contract,
    function: &Function,
    path: &str,
    types: TypesRef<'_>,
    id: ComponentFuncTypeId,
) -> Vec<String> {
    Comparison::new(&contract.resolve, types).function(function, path, &types[id])
}

fn kind_of(entity: &ComponentEntityType) -> &'static str {
    match entity {
        ComponentEntityType::Module(_) => "the core module",
        ComponentEntityType::Func(_) => "the function",
        ComponentEntityType::Value(_) => "the value",
        ComponentEntityType::Type { .. } => "the type",
        ComponentEntityType::Instance(_) => "the interface",
        ComponentEntityType::Component(_) => "the component",
    }
}

fn quoted(names: &[impl AsRef<str>]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    names.join(", ")
}

/// Names as a sentence lists them: `a, b and c`.
fn listed(names: &[&str]) -> String {
    match names {
        [names @ .., last] if !names.is_empty() => format!("{} and {last}", names.join(", ")),
        _ => names.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::WORLDS;

    #[test]
    fn every_interface_of_every_world_is_a_capability() {
        for world in WORLDS {
            for name in Contract::of(*world).imports() {
                assert!(capability::serves(&format!("{PACKAGE}/{name}")), "{name}");
            }
        }
    }

    #[test]
    fn names_are_listed_as_in_a_sentence() {
        for (names, expected) in
            [(&[][..], ""), (&["a"], "a"), (&["a", "b"], "a and b"), (&["a", "b", "c"], "a, b and c")]
        {
            assert_eq!(listed(names), expected);
        }
    }
}
