//! The published versions of the contract with guests. Each has one adapter that converts to core's types at the
//! edge; nothing outside this module names a version or learns which one a component was built for.
//!
//! A new version is a file beside `v0_1`, with the same items, and a line in the list below.

mod v0_1;

use kennel_core::event::Event;
use kennel_core::failure::FailureKind;
use kennel_core::projection::Descriptor;
use wasmtime::Store;
use wasmtime::component::{InstancePre, Linker};
use wit_parser::{Resolve, WorldId};

use crate::sandbox::Sandbox;

/// The package of the contract, without its version.
pub(crate) const PACKAGE: &str = "kennel:projection";

/// Declares the versions that this host offers, the oldest first: a name, and the module of its adapter.
macro_rules! worlds {
    ($($name:ident: $adapter:ident),+ $(,)?) => {
        /// A version of the contract that this host offers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum World {
            $($name),+
        }

        /// All of them, the newest last.
        pub(crate) const WORLDS: &[World] = &[$(World::$name),+];

        impl World {
            /// Its version, such as `0.1.0`.
            pub(crate) const fn version(self) -> &'static str {
                match self { $(Self::$name => $adapter::VERSION),+ }
            }

            /// Its text, as it is published.
            pub(crate) const fn wit(self) -> &'static str {
                match self { $(Self::$name => $adapter::WIT),+ }
            }

            fn link(self, linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
                match self { $(Self::$name => $adapter::link(linker)),+ }
            }

            /// Finds the exports of a component whose imports are linked.
            pub(crate) fn bind(self, pre: InstancePre<Sandbox>) -> wasmtime::Result<Bound> {
                match self { $(Self::$name => Ok(Bound::$name($adapter::ProjectionPre::new(pre)?))),+ }
            }
        }

        /// A component with its imports and exports, ready to be instantiated.
        pub(crate) enum Bound {
            $($name($adapter::ProjectionPre<Sandbox>)),+
        }

        impl Bound {
            pub(crate) async fn instantiate(&self, store: &mut Store<Sandbox>) -> wasmtime::Result<Exports> {
                match self { $(Self::$name(pre) => Ok(Exports::$name(pre.instantiate_async(store).await?))),+ }
            }
        }

        /// What can be called in an instance. The outer error of a call is its trap.
        pub(crate) enum Exports {
            $($name($adapter::Projection)),+
        }

        impl Exports {
            /// Asks the component what it is.
            pub(crate) async fn describe(&self, store: &mut Store<Sandbox>) -> wasmtime::Result<Descriptor> {
                match self { $(Self::$name(exports) => $adapter::describe(exports, store).await),+ }
            }

            /// Has an event handled. The inner error is the guest's answer: what follows, and its reason.
            pub(crate) async fn handle(
                &self,
                store: &mut Store<Sandbox>,
                event: &Event,
            ) -> wasmtime::Result<Result<(), (FailureKind, String)>> {
                match self { $(Self::$name(exports) => $adapter::handle(exports, store, event).await),+ }
            }
        }
    };
}

worlds! {
    V0_1: v0_1,
}

impl World {
    /// Its text, parsed, and where in it the world of projections is.
    pub(crate) fn parsed(self) -> (Resolve, WorldId) {
        let mut resolve = Resolve::default();
        let package = resolve.push_source("world.wit", self.wit()).expect("the contract is valid WIT");
        let world = resolve.packages[package].worlds["projection"];
        (resolve, world)
    }

    /// The one to build for.
    pub(crate) const NEWEST: Self = WORLDS[WORLDS.len() - 1];

    /// The world of a component with these imports and exports: the one that they name, the newest if they name none.
    /// The error is a version that this host does not offer.
    pub(crate) fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut named = None;
        for version in names.into_iter().filter_map(version_in) {
            let offered = WORLDS.iter().find(|world| world.version() == version);
            named = named.or(Some(*offered.ok_or(version)?));
        }
        Ok(named.unwrap_or(Self::NEWEST))
    }
}

/// The version of the contract in the name of an import or export: `0.1.0` in `kennel:projection/types@0.1.0`.
pub(crate) fn version_in(name: &str) -> Option<&str> {
    interface_in(name).map(|(_, version)| version)
}

/// The interface of the contract that an import or export names, and its version.
pub(crate) fn interface_in(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(PACKAGE)?.strip_prefix('/')?.split_once('@')
}

/// The problem of a component that was made for a version of the contract which this host does not offer.
pub(crate) fn foreign(version: &str) -> String {
    let offered: Vec<&str> = WORLDS.iter().map(|world| world.version()).collect();
    let (offered, newest) = (offered.join(", "), World::NEWEST.version());
    let or = if is_newer(version, newest) { ", or run it on a newer host" } else { "" };
    format!(
        "it was made for {PACKAGE}@{version}; this host offers {offered}: build it again with the SDK or the WIT \
         files of version {newest}{or}"
    )
}

/// Whether a version comes after another, number by number.
fn is_newer(version: &str, than: &str) -> bool {
    let numbers = |version: &str| -> Vec<u64> {
        version.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect()
    };
    numbers(version) > numbers(than)
}

/// Adds what guests of all worlds may import.
pub(crate) fn link(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    WORLDS.iter().try_for_each(|world| world.link(linker))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_s_imports_name_its_world() {
        let newest = World::NEWEST.version();
        let import = |interface: &str, version: &str| format!("{PACKAGE}/{interface}@{version}");
        let (types, log) = (import("types", newest), import("log", "9.0.0"));
        assert_eq!(World::of([]), Ok(World::NEWEST));
        assert_eq!(World::of(["wasi:cli/stdout@0.2.3", "handle"]), Ok(World::NEWEST));
        assert_eq!(World::of(["wasi:cli/stdout@0.2.3", &types]), Ok(World::NEWEST));
        assert_eq!(World::of([types.as_str(), &log]), Err("9.0.0"));
        assert_eq!(version_in("kennel:projections/types@0.1.0"), None);
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(is_newer("0.2.0", "0.1.0") && is_newer("0.10.0", "0.9.9") && is_newer("1.0.0-rc1", "0.1.0"));
        assert!(!is_newer("0.1.0", "0.1.0") && !is_newer("0.0.9", "0.1.0") && !is_newer("x", "0.1.0"));
    }
}
