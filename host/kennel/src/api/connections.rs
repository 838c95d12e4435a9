//! The connections that requests come by: how many there may be, and how long one may stay silent. Whatever is asked is
//! none of its business.
//!
//! Anybody who can reach the port can open connections, and each takes one of the files that the process may have open.
//! So their number is bounded, and where all are taken, the one that has been silent the longest makes room.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use kennel_engine::Shutdown;
use rustix::process::{Resource, getrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};

/// How long the head of a request may take to arrive, and with that how long a connection may be idle.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Most connections at once.
const CONNECTIONS_MAX: usize = 512;
/// The pause after a connection could not be accepted, for want of files that may be open, say.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Connections on which nothing has been asked yet, the oldest first, each with the way to end it.
#[derive(Clone, Debug, Default)]
struct Silent(Arc<Mutex<BTreeMap<u64, oneshot::Sender<()>>>>);

impl Silent {
    fn all(&self) -> MutexGuard<'_, BTreeMap<u64, oneshot::Sender<()>>> {
        // Each change is a single one: nobody can have left it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves to `Ok` when the connection is to make room.
    fn add(&self, number: u64) -> oneshot::Receiver<()> {
        let (end, ended) = oneshot::channel();
        self.all().insert(number, end);
        ended
    }

    fn remove(&self, number: u64) {
        self.all().remove(&number);
    }

    fn end_oldest(&self) {
        if let Some((_, end)) = self.all().pop_first() {
            // An error means that it is ending already.
            let _ = end.send(());
        }
    }
}

/// Serves until a stop is asked for and the requests under way have ended.
pub(super) async fn serve(listener: TcpListener, app: Router, mut stop: Shutdown) {
    let most = connections_max();
    let places = Arc::new(Semaphore::new(most));
    let silent = Silent::default();
    for number in 0.. {
        let stream = tokio::select! {
            biased;
            () = stop.requested() => break,
            stream = accept(&listener) => stream,
        };
        if places.available_permits() == 0 {
            silent.end_oldest();
        }
        let place = tokio::select! {
            biased;
            () = stop.requested() => break,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let ended = silent.add(number);
        let (app, stop, silent) = (app.clone(), stop.clone(), silent.clone());
        tokio::spawn(async move {
            let _place = place;
            let asked = silent.clone();
            answer(stream, app, stop, ended, move || asked.remove(number)).await;
            silent.remove(number);
        });
    }
    drop(listener);
    // All places are free once all connections have ended; an error is impossible, since nobody closes the semaphore.
    let _ = places.acquire_many(u32::try_from(most).unwrap_or(u32::MAX)).await;
}

/// Half of the files that the process may have open are left to its work: databases, compilers and components.
fn connections_max() -> usize {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(files / 2).unwrap_or(usize::MAX).clamp(1, CONNECTIONS_MAX)
}

/// The next connection, however long that takes.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_of_one(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "a connection to the API could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether an error says nothing of other connections.
fn is_of_one(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}

/// Answers what is asked on a connection until it ends, or has to make room while nothing has been `asked`.
async fn answer(
    stream: TcpStream,
    app: Router,
    mut stop: Shutdown,
    ended: oneshot::Receiver<()>,
    asked: impl Fn(),
) {
    let app = TowerToHyperService::new(app);
    let service = service_fn(move |request: Request<Incoming>| {
        asked();
        app.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SILENCE_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // How a connection ends is the client's business.
        _ = connection.as_mut() => return,
        Ok(()) = ended => return,
        () = stop.requested() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
