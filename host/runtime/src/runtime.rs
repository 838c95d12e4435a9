//! The `Runtime` port: bytes in, a component that is ready to run out.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use kennel_core::digest::Digest;
use kennel_core::port::{CallFailure, Component, Refusal, Runtime};
use kennel_core::projection::Descriptor;
use tokio::sync::Semaphore;
use wasmtime::component::Linker;

use crate::binary::one_line;
use crate::cache::Cache;
use crate::capability::wasi;
use crate::check;
use crate::component::{Shared, WasmComponent};
use crate::engine;
use crate::inspect::examine;
use crate::instance::WasmInstance;
use crate::options::{RuntimeError, RuntimeOptions};
use crate::sandbox::Sandbox;
use crate::world::v0_1;

/// Longest name and version that a component may give itself, and longest word in its scope.
const DESCRIPTOR_WORD_BYTES_MAX: usize = 200;
/// Most words in one list of a scope.
const SCOPE_WORDS_MAX: usize = 1000;

/// Runs components with wasmtime. Needs a tokio runtime around its calls.
pub struct WasmRuntime {
    workshop: Arc<Workshop>,
    /// One compilation at a time: each already uses every core, and a lot of memory.
    compiling: Arc<Semaphore>,
    /// What is in use already, so that partitions of one projection share the code.
    prepared: Mutex<HashMap<Digest, Weak<WasmComponent>>>,
}

/// What compiling takes.
struct Workshop {
    shared: Arc<Shared>,
    linker: Linker<Sandbox>,
    cache: Option<Cache>,
}

impl fmt::Debug for WasmRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WasmRuntime").field("options", &self.workshop.shared.options).finish_non_exhaustive()
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
        let engine = engine::start(&options)?;
        let mut linker = Linker::new(&engine);
        let link = v0_1::link(&mut linker).and_then(|()| wasi::link(&mut linker));
        link.map_err(|error| RuntimeError::Engine(error.into()))?;
        let cache = options.cache_dir.as_deref().and_then(|dir| {
            Cache::open(dir, &engine)
                .inspect_err(
                    |error| tracing::warn!(dir = %dir.display(), %error, "compiled code is not cached"),
                )
                .ok()
        });
        let places = Arc::new(Semaphore::new(options.instances_max as usize));
        let shared = Arc::new(Shared { engine, options, places });
        Ok(Self {
            workshop: Arc::new(Workshop { shared, linker, cache }),
            compiling: Arc::new(Semaphore::new(1)),
            prepared: Mutex::default(),
        })
    }

    fn known(&self, digest: Digest) -> Option<Arc<WasmComponent>> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner).get(&digest)?.upgrade()
    }

    fn remember(&self, component: &Arc<WasmComponent>) {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        prepared.retain(|_, known| known.strong_count() > 0);
        prepared.insert(component.digest, Arc::downgrade(component));
    }
}

#[async_trait]
impl Runtime for WasmRuntime {
    async fn prepare(&self, bytes: Arc<[u8]>) -> Result<Arc<dyn Component>, Refusal> {
        let turn = Arc::clone(&self.compiling).acquire_owned().await;
        let turn = turn.map_err(|_| refuse("the runtime is shutting down"))?;
        let digest = Digest::of(&bytes);
        if let Some(component) = self.known(digest) {
            return Ok(component);
        }
        let workshop = Arc::clone(&self.workshop);
        let compiled = tokio::task::spawn_blocking(move || {
            let compiled = workshop.compile(&bytes, digest);
            drop(turn);
            compiled
        });
        let pre = compiled.await.map_err(|_| {
            refuse("the compiler crashed on it: please report this, with the file, as a bug of this host")
        })??;
        let shared = Arc::clone(&self.workshop.shared);
        let descriptor = describe(&shared, &pre).await?;
        let component = Arc::new(WasmComponent { digest, descriptor, pre, shared });
        self.remember(&component);
        Ok(component)
    }
}

impl Workshop {
    /// Checks and compiles, or takes from the cache what has been checked and compiled before.
    fn compile(&self, bytes: &[u8], digest: Digest) -> Result<v0_1::ProjectionPre<Sandbox>, Refusal> {
        let engine = &self.shared.engine;
        let cached = self.cache.as_ref().and_then(|cache| cache.load(engine, digest));
        let component = match cached {
            Some(component) => component,
            None => {
                let examined = examine(bytes, self.shared.options.memory_bytes_max).map_err(refuse)?;
                if !examined.problems.is_empty() {
                    return Err(refuse(check::refusal(&examined.problems)));
                }
                let component = wasmtime::component::Component::from_binary(engine, &examined.component)
                    .map_err(|error| {
                        refuse(format!("it cannot be compiled: {}", one_line(&format!("{error:#}"))))
                    })?;
                if let Some(cache) = &self.cache {
                    cache.store(digest, &component);
                }
                component
            }
        };
        let pre = self.linker.instantiate_pre(&component).and_then(v0_1::ProjectionPre::new);
        pre.map_err(|error| refuse(check::refusal(&[one_line(&format!("{error:#}"))])))
    }
}

/// Asks a fresh instance what it is.
async fn describe(shared: &Shared, pre: &v0_1::ProjectionPre<Sandbox>) -> Result<Descriptor, Refusal> {
    let deadline = shared.options.describe_deadline;
    let mut instance = WasmInstance::new(shared, pre, None, deadline)
        .await
        .map_err(|failure| refuse(format!("it cannot be started: it {}", words(failure))))?;
    let described = instance.describe().await;
    let descriptor =
        described.map_err(|failure| refuse(format!("its `describe` failed: it {}", words(failure))))?;
    validate(&descriptor).map_err(|problem| refuse(format!("its `describe` is not valid: {problem}")))?;
    Ok(descriptor)
}

fn validate(descriptor: &Descriptor) -> Result<(), String> {
    let word = |what: &str, word: &str| {
        let (bytes, max) = (word.len(), DESCRIPTOR_WORD_BYTES_MAX);
        if bytes == 0 {
            Err(format!("the {what} is empty"))
        } else if bytes > max {
            Err(format!("the {what} has {bytes} bytes; at most {max} are allowed"))
        } else if word.contains(char::is_control) {
            Err(format!("the {what} `{}` has a control character", kennel_core::limits::excerpt(word)))
        } else {
            Ok(())
        }
    };
    word("name", &descriptor.name)?;
    word("version", &descriptor.version)?;
    let scope = &descriptor.scope;
    for (what, words) in [
        ("bounded context", &scope.bounded_contexts),
        ("aggregate type", &scope.aggregate_types),
        ("event type", &scope.event_types),
    ] {
        if words.len() > SCOPE_WORDS_MAX {
            let given = words.len();
            return Err(format!("its scope has {given} {what}s; at most {SCOPE_WORDS_MAX} are allowed"));
        }
        words.iter().try_for_each(|entry| word(&format!("{what} in its scope"), entry))?;
    }
    Ok(())
}

fn words(failure: CallFailure) -> String {
    match failure {
        CallFailure::Guest { message, .. } => message,
        CallFailure::Host(error) => error.to_string(),
    }
}

fn refuse(message: impl Into<String>) -> Refusal {
    Refusal { message: message.into() }
}
