//! What a guest can do, one slice a capability: the interfaces that it serves, its link, its state for one instance
//! and its tests are in one file. A new one is a file here and a line in the list below.
//!
//! An interface of Kennel's world is linked by the adapter of its version (`world`), which calls the slice; one of
//! WASI is linked by the slice itself. Nothing here knows the store's data but as the [`Holder`] of this state.

mod clock;
mod config;
mod log;
mod random;
mod read_model;
mod wasi;

use std::collections::BTreeSet;
use std::sync::Arc;

use kennel_core::event::Event;
use kennel_core::grant::NeededGrant;
use kennel_core::limits::GUEST_HANDLES_MAX;
use kennel_core::port::GuestEnv;
use wasmtime::component::{Linker, ResourceTable};

/// A capability: the state that it has for one instance.
trait Capability: Sized {
    /// The interfaces that it serves, without a version.
    const INTERFACES: &'static [&'static str];

    /// The grant that it takes, by which the settings of a deployment name it; without one every guest has it.
    const GRANT: Option<&'static str> = None;

    /// For a new instance. There is no `env` while a component describes itself.
    fn new(env: Option<&Arc<dyn GuestEnv>>) -> Self;

    /// A call begins that is about an event. `seed` is the same whenever this deployment handles this event.
    fn begin(&mut self, event: &Event, seed: u64) {
        let _ = (event, seed);
    }

    /// Any call begins.
    fn begin_call(&mut self) {}

    /// A call has ended.
    fn end(&mut self) {}

    /// Adds its interfaces of WASI.
    fn link<T: Holder>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        let _ = linker;
        Ok(())
    }
}

/// The data of a store that holds the state of the capabilities.
pub(crate) trait Holder: Send + 'static {
    fn capabilities(&mut self) -> &mut Capabilities;
}

/// What a capability says of itself.
struct Declared {
    interfaces: &'static [&'static str],
    grant: Option<&'static str>,
}

impl Declared {
    const fn of<C: Capability>() -> Self {
        Self { interfaces: C::INTERFACES, grant: C::GRANT }
    }

    fn serves(&self, interface: &str) -> bool {
        self.interfaces.contains(&interface)
    }
}

/// Declares the capabilities: the module of each, and its state.
macro_rules! capabilities {
    ($($module:ident: $State:ident),+ $(,)?) => {
        /// The state of all capabilities for one instance.
        pub(crate) struct Capabilities {
            /// What the guest has handles of, whichever capability made it.
            table: ResourceTable,
            $(pub(crate) $module: $module::$State),+
        }

        /// What there is.
        const DECLARED: &[Declared] = &[$(Declared::of::<$module::$State>()),+];

        impl Capabilities {
            /// For a new instance. There is no `env` while a component describes itself.
            pub(crate) fn new(env: Option<&Arc<dyn GuestEnv>>) -> Self {
                let mut table = ResourceTable::new();
                table.set_max_capacity(GUEST_HANDLES_MAX);
                Self { table, $($module: Capability::new(env)),+ }
            }

            /// A call begins that is about an event.
            pub(crate) fn begin(&mut self, event: &Event, seed: u64) {
                $(self.$module.begin(event, seed);)+
            }

            /// Any call begins.
            pub(crate) fn begin_call(&mut self) {
                $(self.$module.begin_call();)+
            }

            /// A call has ended.
            pub(crate) fn end(&mut self) {
                $(self.$module.end();)+
            }
        }

        /// Adds the interfaces of WASI.
        pub(crate) fn link<T: Holder>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
            $(<$module::$State as Capability>::link(linker)?;)+
            Ok(())
        }
    };
}

capabilities! {
    read_model: ReadModel,
    log: Log,
    config: Config,
    clock: Clock,
    random: Random,
    wasi: Rooms,
}

/// Whether a capability serves an interface, which is named without its version.
pub(crate) fn serves(interface: &str) -> bool {
    DECLARED.iter().any(|declared| declared.serves(interface))
}

/// Whether a capability serves an import of WASI, such as `wasi:cli/stdout@0.2.3`: in any version 0.2.x.
pub(crate) fn serves_wasi(import: &str) -> bool {
    let offered = |(interface, version): (&str, &str)| version.starts_with("0.2.") && serves(interface);
    import.starts_with("wasi:") && import.split_once('@').is_some_and(offered)
}

/// The packages of WASI of which there are interfaces, such as `cli`.
pub(crate) fn wasi_packages() -> BTreeSet<&'static str> {
    let interfaces = DECLARED.iter().flat_map(|declared| declared.interfaces);
    interfaces.filter_map(|interface| Some(interface.strip_prefix("wasi:")?.split_once('/')?.0)).collect()
}

/// The names of the grants that there are.
pub(crate) fn grants() -> BTreeSet<&'static str> {
    DECLARED.iter().filter_map(|declared| declared.grant).collect()
}

/// Those of these imports that take a grant.
pub(crate) fn needed_grants<'a>(imports: impl Iterator<Item = &'a str>) -> Vec<NeededGrant> {
    needed_of(DECLARED, imports)
}

fn needed_of<'a>(declared: &[Declared], imports: impl Iterator<Item = &'a str>) -> Vec<NeededGrant> {
    let needed = imports.filter_map(|import| {
        let interface = import.split_once('@').map_or(import, |(interface, _)| interface);
        let grant = declared.iter().find(|declared| declared.serves(interface))?.grant?;
        Some(NeededGrant { import: import.to_owned(), grant: grant.to_owned() })
    });
    needed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_of_a_capability_that_takes_a_grant_names_it() {
        let declared = [
            Declared { interfaces: &["kennel:projection/log"], grant: None },
            Declared { interfaces: &["wasi:http/types", "wasi:http/outgoing-handler"], grant: Some("http") },
        ];
        let imports = ["kennel:projection/log@0.1.0", "wasi:http/types@0.2.0", "wasi:sockets/tcp@0.2.0"];
        let needed = needed_of(&declared, imports.into_iter());
        assert_eq!(
            needed,
            [NeededGrant { import: "wasi:http/types@0.2.0".to_owned(), grant: "http".to_owned() }]
        );
    }

    #[test]
    fn no_interface_is_served_twice() {
        let all: Vec<&str> = DECLARED.iter().flat_map(|declared| declared.interfaces).copied().collect();
        let distinct: BTreeSet<&str> = all.iter().copied().collect();
        assert_eq!(all.len(), distinct.len());
    }

    #[test]
    fn wasi_is_served_in_versions_0_2() {
        for (import, expected) in [
            ("wasi:cli/stdout@0.2.0", true),
            ("wasi:random/random@0.2.99", true),
            ("wasi:cli/stdout@0.3.0", false),
            ("wasi:cli/stdout", false),
            ("wasi:http/outgoing-handler@0.2.0", false),
            ("kennel:projection/log@0.2.0", false),
        ] {
            assert_eq!(serves_wasi(import), expected, "{import}");
        }
    }
}
