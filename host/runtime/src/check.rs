//! Whether a component fits the world, as a list of sentences that name the missing, extra or
//! wrong parts. wasmtime's linker would reject the same components, with messages for people who know wasmtime.
//!
//! It looks at types alone: nothing is compiled and no guest code runs.

mod difference;
mod outline;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use kennel_core::text::mebibytes;
use wasmparser::component_types::{ComponentEntityType, ComponentFuncTypeId, ComponentInstanceTypeId};
use wasmparser::types::TypesRef;
use wit_parser::{Function, Interface, Resolve, World, WorldItem};

use self::difference::Comparison;
pub(crate) use self::outline::Outline;
use crate::capability::wasi;
use crate::world::v0_1;

/// The package of the contract, without its version.
const PACKAGE: &str = "kennel:projection/";
/// The version of the contract that components are compared with.
const VERSION: &str = "0.1.0";

/// The contract, parsed once. It is compiled in and a test parses it.
static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let mut resolve = Resolve::default();
    let package = resolve.push_source("world.wit", v0_1::WIT).expect("the contract is valid WIT");
    let world = resolve.packages[package].worlds["projection"];
    Contract { world: resolve.worlds[world].clone(), resolve }
});

struct Contract {
    resolve: Resolve,
    world: World,
}

impl Contract {
    fn interface(&self, name: &str) -> Option<&Interface> {
        self.resolve
            .interfaces
            .iter()
            .map(|(_, interface)| interface)
            .find(|found| found.name.as_deref() == Some(name))
    }

    fn exports(&self) -> impl Iterator<Item = &Function> {
        self.world.exports.values().filter_map(|item| match item {
            WorldItem::Function(function) => Some(function),
            _ => None,
        })
    }
}

/// Everything that keeps a component from running here, one sentence each; none if it fits.
pub(crate) fn problems(outline: &Outline, types: TypesRef<'_>, memory_bytes_max: usize) -> Vec<String> {
    if let Some(version) = foreign_version(outline) {
        // What differs between two versions follows from that: naming it would be noise.
        return vec![format!(
            "it was made for kennel:projection@{version}; this host offers {VERSION}: build it again with the SDK or \
             the WIT files of version {VERSION}"
        )];
    }
    let mut problems = export_problems(outline, types);
    problems.extend(outline.imports.iter().flat_map(|import| import_problems(import, types)));
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

/// Joins problems to the message of an error.
pub(crate) fn error(problems: &[String]) -> String {
    let intro = format!("the component does not fit the world kennel:projection@{VERSION}");
    match problems {
        [problem] => format!("{intro}: {problem}"),
        _ => format!("{intro}:\n- {}", problems.join("\n- ")),
    }
}

/// The version of the contract that a component names, if it is not this host's.
fn foreign_version(outline: &Outline) -> Option<&str> {
    let names = outline.imports.iter().chain(&outline.exports);
    let versions = names.filter_map(|name| name.strip_prefix(PACKAGE)?.split_once('@'));
    versions.map(|(_, version)| version).find(|version| *version != VERSION)
}

fn export_problems(outline: &Outline, types: TypesRef<'_>) -> Vec<String> {
    let mut missing = Vec::new();
    let mut wrong = Vec::new();
    for function in CONTRACT.exports() {
        match types.component_item_for_export(&function.name).map(|item| item.ty) {
            Some(ComponentEntityType::Func(id)) => {
                wrong.extend(difference(function, &function.name, types, id));
            }
            Some(_) => wrong.push(format!("its export `{}` is not a function", function.name)),
            None => missing
                .push(format!("it does not export `{}`", difference::signature(&CONTRACT.resolve, function))),
        }
    }
    if let Some(last) = missing.last_mut() {
        last.push_str(&match &outline.exports[..] {
            [] => "; it exports nothing at all".to_owned(),
            exports => format!("; what it exports: {}", quoted(exports)),
        });
    }
    missing.extend(wrong);
    missing
}

fn import_problems(import: &str, types: TypesRef<'_>) -> Vec<String> {
    let Some(item) = types.component_item_for_import(import) else {
        return Vec::new();
    };
    let known = import.strip_prefix(PACKAGE).and_then(|rest| rest.split_once('@'));
    match (known.and_then(|(name, _)| CONTRACT.interface(name)), item.ty) {
        (Some(interface), ComponentEntityType::Instance(id)) => {
            interface_problems(import, interface, types, id)
        }
        (_, ComponentEntityType::Instance(_)) if wasi::offers(import) => Vec::new(),
        (_, ComponentEntityType::Type { .. }) => Vec::new(),
        _ if import.starts_with("wasi:http/") => vec![format!(
            "it imports `{import}`, which this host does not offer: a projection reaches the network only where a \
             grant allows it, and there is none for HTTP"
        )],
        _ if import.starts_with("wasi:") => vec![format!(
            "it imports `{import}`, which this host does not offer: of WASI there are cli, clocks, filesystem, io, \
             random and sockets in version 0.2"
        )],
        (_, entity) => vec![format!(
            "it imports {} `{import}`, which this host does not offer: a projection may import read-model, log and \
             config of kennel:projection@{VERSION}, and WASI 0.2",
            kind_of(&entity)
        )],
    }
}

fn interface_problems(
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
                problems.extend(difference(function, &path, types, id));
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
fn difference(function: &Function, path: &str, types: TypesRef<'_>, id: ComponentFuncTypeId) -> Vec<String> {
    Comparison::new(&CONTRACT.resolve, types).function(function, path, &types[id])
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_has_the_two_exports() {
        let exports: Vec<String> =
            CONTRACT.exports().map(|function| difference::signature(&CONTRACT.resolve, function)).collect();
        assert_eq!(
            exports,
            ["describe: func() -> descriptor", "handle: func(event: event) -> result<_, failure>"]
        );
        assert!(CONTRACT.interface("read-model").is_some());
    }
}
