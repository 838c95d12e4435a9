//! The empty rooms of WASI 0.2: interfaces that toolchains drag into every component, satisfied by wasmtime's own with
//! nothing in them. No files, arguments or environment, and sockets that cannot be opened.
//!
//! `wasi:http` is not here: nothing may reach the network unasked. Clocks, random bytes and standard streams are
//! capabilities of their own.

use std::sync::Arc;

use kennel_core::port::GuestEnv;
use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliCtxView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::{cli, filesystem, io, sockets};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsCtxView};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder};

use super::{Capabilities, Capability, Holder};

/// The rooms of one instance.
pub(crate) struct Rooms {
    ctx: WasiCtx,
}

impl Capability for Rooms {
    const INTERFACES: &'static [&'static str] = &[
        "wasi:cli/environment",
        "wasi:cli/exit",
        "wasi:filesystem/preopens",
        "wasi:filesystem/types",
        "wasi:io/error",
        "wasi:io/poll",
        "wasi:io/streams",
        "wasi:sockets/instance-network",
        "wasi:sockets/ip-name-lookup",
        "wasi:sockets/network",
        "wasi:sockets/tcp",
        "wasi:sockets/tcp-create-socket",
        "wasi:sockets/udp",
        "wasi:sockets/udp-create-socket",
    ];

    fn new(_: Option<&Arc<dyn GuestEnv>>) -> Self {
        let mut builder = WasiCtxBuilder::new();
        builder.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
        Self { ctx: builder.build() }
    }

    fn link<T: Holder>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        cli::environment::add_to_linker::<T, WasiCli>(linker, program)?;
        cli::exit::add_to_linker::<T, WasiCli>(linker, program)?;
        filesystem::preopens::add_to_linker::<T, WasiFilesystem>(linker, files)?;
        filesystem::types::add_to_linker::<T, WasiFilesystem>(linker, files)?;
        io::error::add_to_linker::<T, Handles>(linker, handles)?;
        io::poll::add_to_linker::<T, Handles>(linker, handles)?;
        io::streams::add_to_linker::<T, Handles>(linker, handles)?;
        sockets::instance_network::add_to_linker::<T, WasiSockets>(linker, network)?;
        sockets::ip_name_lookup::add_to_linker::<T, WasiSockets>(linker, network)?;
        let options = sockets::network::LinkOptions::default();
        sockets::network::add_to_linker::<T, WasiSockets>(linker, &options, network)?;
        sockets::tcp::add_to_linker::<T, WasiSockets>(linker, network)?;
        sockets::tcp_create_socket::add_to_linker::<T, WasiSockets>(linker, network)?;
        sockets::udp::add_to_linker::<T, WasiSockets>(linker, network)?;
        sockets::udp_create_socket::add_to_linker::<T, WasiSockets>(linker, network)
    }
}

/// What streams and pollables need, which other capabilities make.
struct Handles;

impl HasData for Handles {
    type Data<'a> = &'a mut ResourceTable;
}

fn handles<T: Holder>(data: &mut T) -> &mut ResourceTable {
    &mut data.capabilities().table
}

fn program<T: Holder>(data: &mut T) -> WasiCliCtxView<'_> {
    let Capabilities { wasi, table, .. } = data.capabilities();
    WasiCliCtxView { ctx: wasi.ctx.cli(), table }
}

fn files<T: Holder>(data: &mut T) -> WasiFilesystemCtxView<'_> {
    let Capabilities { wasi, table, .. } = data.capabilities();
    WasiFilesystemCtxView { ctx: wasi.ctx.filesystem(), table }
}

fn network<T: Holder>(data: &mut T) -> WasiSocketsCtxView<'_> {
    let Capabilities { wasi, table, .. } = data.capabilities();
    WasiSocketsCtxView { ctx: wasi.ctx.sockets(), table }
}
