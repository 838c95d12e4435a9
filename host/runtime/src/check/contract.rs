//! The contract that a component is compared with: the text of its world, parsed once.

use std::sync::LazyLock;

use wit_parser::{Function, Interface, Resolve, WorldItem};

use crate::world::{WORLDS, World};

/// Those of all worlds. They are compiled in and a test parses them.
static CONTRACTS: LazyLock<Vec<(World, Contract)>> =
    LazyLock::new(|| WORLDS.iter().map(|world| (*world, Contract::parse(*world))).collect());

pub(super) struct Contract {
    pub(super) resolve: Resolve,
    world: wit_parser::World,
}

impl Contract {
    pub(super) fn of(world: World) -> &'static Self {
        let found = CONTRACTS.iter().find(|(found, _)| *found == world);
        &found.expect("every world has a contract").1
    }

    fn parse(world: World) -> Self {
        let (resolve, world) = world.parsed();
        Self { world: resolve.worlds[world].clone(), resolve }
    }

    pub(super) fn interface(&self, name: &str) -> Option<&Interface> {
        let mut interfaces = self.resolve.interfaces.iter().map(|(_, interface)| interface);
        interfaces.find(|found| found.name.as_deref() == Some(name))
    }

    /// The interfaces with functions that a projection may import, in the order of the text.
    pub(super) fn imports(&self) -> impl Iterator<Item = &str> {
        let interfaces = self.world.imports.values().filter_map(|item| match item {
            WorldItem::Interface { id, .. } => Some(&self.resolve.interfaces[*id]),
            _ => None,
        });
        interfaces.filter(|found| !found.functions.is_empty()).filter_map(|found| found.name.as_deref())
    }

    pub(super) fn exports(&self) -> impl Iterator<Item = &Function> {
        self.world.exports.values().filter_map(|item| match item {
            WorldItem::Function(function) => Some(function),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::difference::signature;
    use super::*;

    #[test]
    fn every_world_is_parsed_and_has_its_two_exports() {
        for world in WORLDS {
            let contract = Contract::of(*world);
            let exports = contract.exports().map(|function| signature(&contract.resolve, function));
            assert_eq!(
                exports.collect::<Vec<_>>(),
                ["describe: func() -> descriptor", "handle: func(event: event) -> result<_, failure>"]
            );
            assert!(contract.imports().any(|name| name == "read-model"));
            assert!(contract.interface("types").is_some());
        }
    }
}
