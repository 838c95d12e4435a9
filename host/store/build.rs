//! Declares to cargo that the embedded migrations are part of the source: `sqlx::migrate!` reads the
//! folder when the crate is compiled, and a new file alone would not cause that.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
