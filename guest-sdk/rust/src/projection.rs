//! The trait that a developer implements, and the macro that hands it to the host.

use crate::{Descriptor, Event, Failure, ReadModel};

/// A handler that turns events into a read model.
///
/// `self` is shared and made once, by `Default`: the host may throw an instance away after any call and
/// may run many side by side, so what must last belongs in the read model.
pub trait Projection: Default + Send + Sync + 'static {
    /// What this projection is called and which events it handles. It must always give the same answer.
    fn descriptor(&self) -> Descriptor;

    /// Handles one event.
    ///
    /// # Errors
    ///
    /// A failure, like a panic, undoes what this call has changed, and only that. The operator's
    /// policy then decides what becomes of the event.
    fn handle(&self, event: &Event, model: &mut dyn ReadModel) -> Result<(), Failure>;
}

/// Makes a type the projection of this crate. Use it once, at the top level.
///
/// On wasm it exports the two functions of the world `kennel:projection/projection`. On other targets
/// it only checks the type, so that the same crate can be tested natively.
#[macro_export]
macro_rules! export_projection {
    ($projection:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            static PROJECTION: ::std::sync::LazyLock<$projection> = ::std::sync::LazyLock::new(|| {
                $crate::sys::carry_panics_to_the_log();
                ::core::default::Default::default()
            });

            struct Export;

            impl $crate::sys::bindings::Guest for Export {
                fn describe() -> $crate::sys::bindings::Descriptor {
                    $crate::sys::describe(&*PROJECTION)
                }

                fn handle(
                    event: $crate::sys::bindings::Event,
                ) -> ::core::result::Result<(), $crate::sys::bindings::Failure> {
                    $crate::sys::handle(&*PROJECTION, event)
                }
            }

    $crate::sys::bindings::export!(Export with_types_in $crate::sys::bindings);
        };

        #[cfg(not(target_family = "wasm"))]
        const _: fn() = || {
            fn is_a_projection<P: $crate::Projection>() {}
            is_a_projection::<$projection>();
        };
    };
}
