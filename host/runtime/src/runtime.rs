//! The `Runtime` port: bytes in, a component that is ready to run out. It decides where the code comes from:
//! from this process, from the cache or from a compiler.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use kennel_core::digest::Digest;
use kennel_core::port::{CodeSource, Component, ComponentError, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::Component as Code;

use crate::cache::Cache;
use crate::capability;
use crate::compiler::{self, Failed};
use crate::compiler_service::{CompileError, CompilerService, Finished, fail, unsupported};
use crate::component::WasmComponent;
use crate::entry;
use crate::inspect::check_size;
use crate::options::{RuntimeError, RuntimeOptions};

/// Runs components with wasmtime. Needs a tokio runtime around its calls, with all its drivers.
pub struct WasmRuntime {
    compiler_service: Arc<CompilerService>,
    cache: Option<Arc<Cache>>,
    /// One look for code at a time, so that all callers that ask for the same component share it.
    looking: Arc<Semaphore>,
    /// One compilation at a time: each already uses every core, and a lot of memory. A caller that finds
    /// the code elsewhere need not wait for it.
    compiling: Arc<Semaphore>,
    /// The components in use, so that partitions of one projection share the code.
    prepared: Mutex<HashMap<Digest, Weak<WasmComponent>>>,
}

/// Code that was just compiled, and the same as an entry for the cache, if it came as one.
struct Compiled {
    code: Code,
    entry: Option<Vec<u8>>,
}

impl fmt::Debug for WasmRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WasmRuntime").field("options", self.options()).finish_non_exhaustive()
    }
}

impl WasmRuntime {
    /// Sets up the engine. It reserves a large range of addresses and starts one thread, which ends when
    /// the runtime and everything made by it are gone.
    ///
    /// # Errors
    ///
    /// If this machine cannot run WebAssembly. A cache that cannot be used is a warning in the log, not an
    /// error.
    pub fn new(options: RuntimeOptions) -> Result<Self, RuntimeError> {
        let compiler_service = CompilerService::new(options)?;
        let options = &compiler_service.shared.options;
        let cache = options.cache_dir.as_deref().and_then(|dir| {
            Cache::open(dir, options.cache_bytes_max, &compiler_service.shared.engine)
                .inspect_err(
                    |error| tracing::warn!(dir = %dir.display(), %error, "compiled code is not cached"),
                )
                .ok()
        });
        Ok(Self {
            compiler_service: Arc::new(compiler_service),
            cache: cache.map(Arc::new),
            looking: Arc::new(Semaphore::new(1)),
            compiling: Arc::new(Semaphore::new(1)),
            prepared: Mutex::default(),
        })
    }

    fn options(&self) -> &RuntimeOptions {
        &self.compiler_service.shared.options
    }

    /// The component, if it need not be compiled.
    async fn known_or_cached(&self, digest: Digest) -> Result<Option<Arc<WasmComponent>>, ComponentError> {
        let _permit = acquire(&self.looking).await?;
        if let Some(component) = self.known(digest) {
            return Ok(Some(component));
        }
        let Some(cache) = self.cache.clone() else { return Ok(None) };
        let engine = self.compiler_service.shared.engine.clone();
        let cached = aside(move || cache.load(&engine, digest)).await?;
        match cached {
            Some(code) => Ok(Some(self.finish(digest, &code, CodeSource::Cached).await?)),
            None => Ok(None),
        }
    }

    /// Compiles, in a process of its own if there is a compiler for it. One that cannot be used is never done
    /// without: an attacker who makes this host run short of processes or files would turn off its bounds.
    async fn compile(
        &self,
        bytes: Arc<[u8]>,
        permit: Arc<OwnedSemaphorePermit>,
    ) -> Result<Compiled, ComponentError> {
        if let Some(compiler) = &self.options().compiler {
            check_size(&bytes).map_err(unsupported)?;
            return match compiler::compile(compiler, &self.compiler_service, &bytes).await {
                Ok(entry) => self.receive(entry).await,
                Err(Failed::Unsupported(error)) => Err(error),
                Err(Failed::Unusable(error)) => {
                    let program = compiler.program.display();
                    tracing::warn!(%program, error, "the compiler cannot be used: nothing is compiled");
                    Err(fail(format!(
                        "this host could not start its compiler, {program}: {error}. That is the host's trouble \
                         and says nothing of the component: try again; if that does not help, see that the program \
                         is there and of this host's release, and that the host has processes, open files and \
                         memory to spare"
                    )))
                }
            };
        }
        match self.compiler_service.compile_aside(bytes, permit).await {
            Ok(code) => Ok(Compiled { code, entry: None }),
            Err(CompileError::Unsupported(error)) => Err(error),
            Err(CompileError::OutOfMemory) => Err(fail(
                "this machine has no memory left to compile it: free some, or build it in release mode, stripped",
            )),
        }
    }

    /// Takes over what the compiler has made.
    async fn receive(&self, entry: Vec<u8>) -> Result<Compiled, ComponentError> {
        let engine = self.compiler_service.shared.engine.clone();
        let loaded = aside(move || entry::load(&engine, &entry).map(|code| (code, entry))).await?;
        let (code, entry) = loaded.map_err(|error| {
            fail(format!("what the compiler made of it cannot be used ({error}): try again, and report this"))
        })?;
        Ok(Compiled { code, entry: Some(entry) })
    }

    /// Keeps code for the next start.
    async fn keep(&self, digest: Digest, compiled: Compiled) -> Result<(), ComponentError> {
        let Some(cache) = self.cache.clone() else { return Ok(()) };
        let pack_and_store = move || {
            let entry = compiled.entry.map_or_else(|| entry::pack(&compiled.code), Ok);
            match entry {
                Ok(entry) => cache.store(digest, &entry),
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(%digest, error, "compiled code cannot be kept");
                }
            }
        };
        aside(pack_and_store).await
    }

    /// Makes code a component and remembers it.
    async fn finish(
        &self,
        digest: Digest,
        code: &Code,
        origin: CodeSource,
    ) -> Result<Arc<WasmComponent>, ComponentError> {
        let Finished { bound, descriptor, grants } = self.compiler_service.finish(code).await?;
        let shared = Arc::clone(&self.compiler_service.shared);
        let component = Arc::new(WasmComponent { digest, descriptor, grants, origin, bound, shared });
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        prepared.retain(|_, known| known.strong_count() > 0);
        prepared.insert(digest, Arc::downgrade(&component));
        Ok(component)
    }

    fn known(&self, digest: Digest) -> Option<Arc<WasmComponent>> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner).get(&digest)?.upgrade()
    }
}

#[async_trait]
impl Runtime for WasmRuntime {
    async fn prepare(&self, bytes: Arc<[u8]>) -> Result<Arc<dyn Component>, ComponentError> {
        let digest = Digest::of(&bytes);
        if let Some(component) = self.known_or_cached(digest).await? {
            return Ok(component);
        }
        let permit = Arc::new(acquire(&self.compiling).await?);
        // The previous holder of the permit may have compiled the same.
        if let Some(component) = self.known_or_cached(digest).await? {
            return Ok(component);
        }
        let compiled = self.compile(bytes, Arc::clone(&permit)).await?;
        let component = self.finish(digest, &compiled.code, CodeSource::Compiled).await?;
        self.keep(digest, compiled).await?;
        Ok(component)
    }

    async fn find(&self, digest: Digest) -> Option<Arc<dyn Component>> {
        // Why one cannot be used shows when it is prepared.
        let found = self.known_or_cached(digest).await.ok().flatten();
        found.map(|component| component as Arc<dyn Component>)
    }

    fn grants(&self) -> Vec<&'static str> {
        capability::grants().into_iter().collect()
    }
}

async fn acquire(semaphore: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, ComponentError> {
    Arc::clone(semaphore).acquire_owned().await.map_err(|_| fail("the runtime is shutting down"))
}

/// Does work that would hold up other tasks on a thread where it may take its time.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ComponentError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| unsupported(crate::compiler_service::CRASHED))
}
