//! C, and C++ and Zig with the SDK for C: its script calls clang, so that the flags are in one place.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::{Build, Profile};
use crate::exit::ExitKind;
use crate::project::find::CPP;
use crate::project::process;
use crate::project::tools::{Need, Tool, pin};
use crate::project::version::Version;

/// The first clang whose WebAssembly exceptions are those of the standard.
const CLANG_MIN: Version = Version(20, 0, 0);
/// The one that the SDK is tried with goes first.
const CLANGS: &[&str] = &["clang-22", "clang", "clang-24", "clang-23", "clang-21", "clang-20"];

const NEED: Need = Need {
    title: "clang 20 or later with its linker and its builtins for wasm32, and wasi-libc",
    remedies: &[
        "Debian: apt-get install clang-22 lld-22 libclang-rt-22-dev-wasm32 wasi-libc (of apt.llvm.org where Debian is older)",
        "https://github.com/WebAssembly/wasi-sdk, then: CLANG=…/bin/clang SYSROOT=…/share/wasi-sysroot kennel build",
    ],
};

const NEED_ZIG: Need =
    Need { title: "Zig 0.17", remedies: &["https://ziglang.org/download", "pip install ziglang==0.17.1"] };

pub(super) async fn build(build: &Build<'_>) -> anyhow::Result<String> {
    let sdk = sdk(build)?;
    let clang = clang(build).await?;
    let tool = build.begin(shown(&clang));
    let sources = build.project.sources(&["c"]);
    script(build, &sdk, &clang, &sources).await?;
    Ok(tool)
}

/// Each source becomes an object, without exceptions, for the script.
pub(super) async fn build_cpp(build: &Build<'_>) -> anyhow::Result<String> {
    let sdk = sdk(build)?;
    let clang = clang(build).await?;
    let tool = build.begin(shown(&clang));
    let mut objects = build.project.sources(&["c"]);
    for (number, source) in build.project.sources(CPP).iter().enumerate() {
        let object = build.scratch.join(format!("{number}.o"));
        let mut command = process::command(&clang.program, &build.project.folder);
        command.args(["--driver-mode=g++", "--target=wasm32-wasi", "-std=c++20", "-O2", "-Wall", "-Wextra"]);
        command.args(["-Wno-deprecated", "-Wno-missing-field-initializers", "-fno-exceptions"]);
        command.args(["-fsanitize=undefined", "-fno-sanitize=function,vptr", "-I"]).arg(sdk.join("include"));
        if let Some(sysroot) = std::env::var_os("SYSROOT").filter(|sysroot| !sysroot.is_empty()) {
            command.arg("--sysroot").arg(sysroot);
        }
        command.arg("-c").arg(source).arg("-o").arg(&object);
        process::run(&mut command).await?;
        objects.push(object);
    }
    objects.push("-lc++".into());
    objects.push("-lc++abi".into());
    script(build, &sdk, &clang, &objects).await?;
    Ok(tool)
}

/// The header becomes a module of Zig, the sources an object for the script.
pub(super) async fn build_zig(build: &Build<'_>) -> anyhow::Result<String> {
    let sdk = sdk(build)?;
    let entry = build.project.entry(&build.project.sources(&["zig"]))?;
    let clang = clang(build).await?;
    let is_fit = |found: Version| (found.0, found.1) == (0, 17);
    let (zig, version) = match build.tools.installed(&["zig"], "version", is_fit).await {
        Ok(zig) => (zig.program, zig.version.to_string()),
        Err(unfit) => {
            let package = build.tools.pinned(&pin::ZIG, &NEED_ZIG, unfit).await?;
            let version = pin::ZIG.specification().rsplit('=').next().unwrap_or_default();
            (package.join("ziglang/zig"), version.to_owned())
        }
    };
    let tool = build.begin(format!("zig {version}, {}", shown(&clang)));
    let (module, object) = (build.scratch.join("kennel.zig"), build.scratch.join("projection.o"));
    let mut translate = process::command(&zig, &build.project.folder);
    translate.args(["translate-c", "-target", "wasm32-wasi", "-lc", "-I"]).arg(sdk.join("include"));
    let translated = process::output(translate.arg(sdk.join("include/kennel.h"))).await?;
    std::fs::write(&module, translated)?;
    let mut compile = process::command(&zig, &build.project.folder);
    compile.args(["build-obj", "-target", "wasm32-wasi", "-lc", "-fno-stack-check", "-fno-stack-protector"]);
    compile.args(["-O", if build.profile == Profile::Debug { "Debug" } else { "ReleaseSafe" }]);
    compile.args(["--dep", "kennel"]).arg(labelled("-Mroot=", &entry)).arg(labelled("-Mkennel=", &module));
    process::run(compile.arg(labelled("-femit-bin=", &object))).await?;
    script(build, &sdk, &clang, &[object]).await?;
    Ok(tool)
}

fn labelled(option: &str, path: &Path) -> std::ffi::OsString {
    let mut argument = std::ffi::OsString::from(option);
    argument.push(path);
    argument
}

fn sdk(build: &Build<'_>) -> anyhow::Result<PathBuf> {
    build.project.sdk(&["build.sh", "include/kennel.h"]).ok_or_else(|| {
        ExitKind::Missing.error(format!(
            "{} has no SDK: copy guest-sdk/c of Kennel's sources to its folder `sdk`, or begin with `kennel new`",
            build.project.folder.display()
        ))
    })
}

fn shown(clang: &Tool) -> String {
    format!("{} {}", clang.name.trim_end_matches(|c: char| c == '-' || c.is_ascii_digit()), clang.version)
}

async fn script(build: &Build<'_>, sdk: &Path, clang: &Tool, files: &[PathBuf]) -> anyhow::Result<()> {
    let mut command = process::command(sdk.join("build.sh"), &build.project.folder);
    command.arg(build.out).args(files).env("CLANG", &clang.program);
    if build.profile == Profile::Debug {
        let flags = std::env::var("CFLAGS").unwrap_or_default();
        command.env("CFLAGS", format!("{flags} -g"));
    }
    process::run(&mut command).await
}

/// The clang of CLANG or on PATH that has all that it takes.
async fn clang(build: &Build<'_>) -> anyhow::Result<Tool> {
    let named = std::env::var_os("CLANG").filter(|named| !named.is_empty()).map(PathBuf::from);
    if let Some(program) = named {
        let asked = process::answer(process::command(&program, &build.project.folder).arg("--version")).await;
        let version = asked.as_deref().and_then(Version::find);
        let version = version.ok_or_else(|| {
            ExitKind::Config.error(format!("CLANG names {}, which is no clang", program.display()))
        })?;
        return complete(build, Tool { name: "clang", version, program }).await;
    }
    match build.tools.installed(CLANGS, "--version", |found| found >= CLANG_MIN).await {
        Ok(clang) => complete(build, clang).await,
        Err(unfit) => Err(NEED.missing(unfit, None)),
    }
}

/// Sees to it that clang finds linker, C library and builtins for WebAssembly.
async fn complete(build: &Build<'_>, clang: Tool) -> anyhow::Result<Tool> {
    let mut missing = Vec::new();
    for (name, debian, question) in [
        ("the linker wasm-ld", "lld-", "-print-prog-name=wasm-ld"),
        ("the C library wasi-libc", "wasi-libc", "-print-file-name=libc.a"),
        ("the builtins for wasm32", "libclang-rt-", "-print-libgcc-file-name"),
    ] {
        let mut asked = for_wasm(&clang, &build.project.folder);
        let answer = process::answer(asked.arg(question)).await.unwrap_or_default();
        if !Path::new(&answer).is_absolute() || !Path::new(&answer).exists() {
            let major = clang.version.0;
            missing.push(match debian {
                "lld-" => format!("{name} (Debian: apt-get install lld-{major})"),
                "libclang-rt-" => format!("{name} (Debian: apt-get install libclang-rt-{major}-dev-wasm32)"),
                package => format!("{name} (Debian: apt-get install {package})"),
            });
        }
    }
    if missing.is_empty() {
        return Ok(clang);
    }
    let found = format!("{} {}", clang.program.display(), clang.version);
    Err(ExitKind::Missing.error(format!("{found} lacks for WebAssembly:\n  - {}", missing.join("\n  - "))))
}

fn for_wasm(clang: &Tool, folder: &Path) -> Command {
    let mut command = process::command(&clang.program, folder);
    command.arg("--target=wasm32-wasi");
    if let Some(sysroot) = std::env::var_os("SYSROOT").filter(|sysroot| !sysroot.is_empty()) {
        command.arg("--sysroot").arg(sysroot);
    }
    command
}
