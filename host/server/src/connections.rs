//! The connections that requests come by: how many there may be, and how long one may stay silent. Whatever is asked is
//! none of its business.
//!
//! Every client that reaches the port can open connections, and each takes one of the files that the process may have
//! open. So their number is bounded, and where all are taken, the one that has been silent the longest makes room:
//! nothing has been asked on it, or its last answer is the one that the longest time has passed since.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::pin::pin;
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
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::stream::Patient;

/// How long the head of a request may take to arrive, and with that how long a connection may be idle; and how long a
/// client may take nothing of its answer.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Most connections at once.
const CONNECTIONS_MAX: usize = 512;
/// The pause after a connection could not be accepted, for want of files that may be open, say.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Connections on which nothing is being asked, those that have been so the longest first, each with the way to end it.
/// One whose client does not take its answer is among them, too.
#[derive(Clone, Debug, Default)]
struct Silent {
    queue: Arc<Mutex<Queue>>,
    /// Notifies the connection that waits for room that one has fallen silent.
    fell: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    waiting: BTreeMap<u64, Arc<Notify>>,
}

/// A connection, as far as others may end it.
#[derive(Debug)]
struct Client {
    silent: Silent,
    /// Its place among those that are silent, if it is one of them.
    place: Mutex<Option<u64>>,
    ended: Arc<Notify>,
}

impl Silent {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }

    /// A new connection: nothing has been asked on it yet.
    fn welcome(&self) -> Client {
        let client = Client { silent: self.clone(), place: Mutex::default(), ended: Arc::default() };
        client.falls_silent();
        client
    }

    fn end_oldest(&self) {
        if let Some((_, ended)) = self.queue().waiting.pop_first() {
            ended.notify_one();
        }
    }
}

impl Client {
    /// Something is asked on it.
    fn asks(&self) {
        let place = lock(&self.place).take();
        if let Some(number) = place {
            self.silent.queue().waiting.remove(&number);
        }
    }

    /// The request has its answer, or none has come yet.
    fn falls_silent(&self) {
        self.asks();
        let number = {
            let mut queue = self.silent.queue();
            queue.next += 1;
            let number = queue.next;
            queue.waiting.insert(number, Arc::clone(&self.ended));
            number
        };
        *lock(&self.place) = Some(number);
        self.silent.fell.notify_one();
    }

    fn is_silent(&self) -> bool {
        lock(&self.place).is_some()
    }
}

/// Each change is a single one: no task can have left it half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves until a stop is asked for and the requests under way have ended.
pub(super) async fn serve(listener: TcpListener, app: Router, mut stop: Shutdown) {
    let most = connections_max();
    let permits = Arc::new(Semaphore::new(most));
    let silent = Silent::default();
    loop {
        let stream = tokio::select! {
            biased;
            () = stop.requested() => break,
            stream = accept(&listener) => stream,
        };
        let permit = tokio::select! {
            biased;
            () = stop.requested() => break,
            permit = room(&permits, &silent) => permit,
        };
        let client = silent.welcome();
        let (app, stop) = (app.clone(), stop.clone());
        tokio::spawn(async move {
            let _permit = permit;
            answer(stream, app, stop, &client).await;
            client.asks();
        });
    }
    drop(listener);
    // All permits are free once all connections have ended; an error is impossible: the semaphore is never closed.
    let _ = permits.acquire_many(u32::try_from(most).unwrap_or(u32::MAX)).await;
}

/// A permit for one more. Where all are taken, those that are silent make room, one after the other.
async fn room(permits: &Arc<Semaphore>, silent: &Silent) -> Option<OwnedSemaphorePermit> {
    let mut permit = pin!(Arc::clone(permits).acquire_owned());
    loop {
        if permits.available_permits() == 0 {
            silent.end_oldest();
        }
        tokio::select! {
            biased;
            permit = &mut permit => return permit.ok(),
            () = silent.fell.notified() => {}
        }
    }
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

/// Answers the requests of a connection until it ends, or has to make room while it is silent.
async fn answer(stream: TcpStream, app: Router, mut stop: Shutdown, client: &Client) {
    let app = TowerToHyperService::new(app);
    let service = service_fn(move |request: Request<Incoming>| {
        client.asks();
        let answer = app.call(request);
        async {
            let answer = answer.await;
            client.falls_silent();
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SILENCE_MAX)
        .serve_connection(TokioIo::new(Patient::new(stream, SILENCE_MAX)), service);
    tokio::pin!(connection);
    loop {
        tokio::select! {
            // How a connection ends is the client's business.
            _ = connection.as_mut() => return,
            // Unless something has been asked at the last moment.
            () = client.ended.notified() => if client.is_silent() { return },
            () = stop.requested() => break,
        }
    }
    connection.as_mut().graceful_shutdown();
    // Requests under way come to their end; a client that does not take its answer does not delay the end for long.
    loop {
        let was_silent = client.is_silent();
        tokio::select! {
            _ = connection.as_mut() => return,
            () = tokio::time::sleep(SILENCE_MAX) => {}
        }
        if was_silent && client.is_silent() {
            return;
        }
    }
}
