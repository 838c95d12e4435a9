//! What the three programs have in common: a store and a component, named on the command line, and Ctrl-C.

use anyhow::{Context as _, anyhow};

/// The store's URL and the component's file.
pub fn arguments() -> anyhow::Result<(String, String)> {
    let mut arguments = std::env::args().skip(1);
    let store = arguments.next().ok_or_else(|| anyhow!("usage: PROGRAM STORE COMPONENT.wasm"))?;
    let component = arguments.next().context("the component is missing: give its file after the store")?;
    Ok((store, component))
}

/// Resolves when the program is asked to end, by Ctrl-C.
pub async fn end_requested() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Without a signal handler the program ends at once anyway.
        std::future::pending::<()>().await;
    }
}

/// Says where something is served, for people and for programs that start this one.
#[expect(clippy::print_stdout, reason = "what a program has to say")]
pub fn announce(what: &str) {
    println!("{what}");
}
