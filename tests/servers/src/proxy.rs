//! A proxy between a client and a server of the tests, which does to their
//! connections what networks do: cuts them, lets them fall silent, slows them,
//! refuses new ones.
//!
//! It knows no protocol. Two threads serve a connection, one for each
//! direction; both look at the orders between two readings, and a reading
//! lasts at most [`LOOK_AGAIN`].

use crate::StartError;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How soon an order is followed.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// How long a server may take to accept.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
    /// Both ways.
    Both,
}

/// A proxy on a loopback port. Dropped, it cuts everything.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Where the server is.
    server: Mutex<SocketAddr>,
    refusing: AtomicBool,
    swallowing: AtomicBool,
    over: AtomicBool,
    delay_us: AtomicU64,
    connections: Mutex<Vec<Arc<Passing>>>,
}

/// One connection that passes.
#[derive(Debug)]
struct Passing {
    client: TcpStream,
    server: TcpStream,
    /// Nothing passes to the server, to the client.
    stalled: [AtomicBool; 2],
    over: AtomicBool,
}

impl Proxy {
    /// Passes on to a server on a loopback port.
    ///
    /// # Errors
    /// If there is no free port.
    pub fn to(server: u16) -> Result<Self, StartError> {
        Self::to_address((Ipv4Addr::LOCALHOST, server).into())
    }

    /// Passes on to a server on any loopback address.
    ///
    /// # Errors
    /// If there is no free port.
    pub fn to_address(server: SocketAddr) -> Result<Self, StartError> {
        let failed = |e: std::io::Error| StartError(format!("failed to start a proxy: {e}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let shared = Arc::new(Shared {
            server: Mutex::new(server),
            refusing: AtomicBool::default(),
            swallowing: AtomicBool::default(),
            over: AtomicBool::default(),
            delay_us: AtomicU64::default(),
            connections: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.over.load(SeqCst) {
                    return;
                }
                if let Ok(client) = client {
                    accepting.accept(client);
                }
            }
        });
        Ok(Self { port, shared })
    }

    /// The port on which it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends every connection now. New ones pass.
    pub fn cut(&self) {
        for passing in self.shared.take() {
            passing.end();
        }
    }

    /// Lets nothing more through on the connections that there are, and tells
    /// nobody: the half-open connection. New ones pass.
    pub fn stall(&self, direction: Direction) {
        for passing in self.shared.connections().iter() {
            let [to_server, to_client] = &passing.stalled;
            if direction != Direction::ToClient {
                to_server.store(true, SeqCst);
            }
            if direction != Direction::ToServer {
                to_client.store(true, SeqCst);
            }
        }
    }

    /// From now on lets nothing through at all, on new connections neither, and tells
    /// nobody: the network that drops everything. It takes connections: that a server
    /// is reached says nothing about whether it is heard.
    pub fn swallow(&self) {
        self.shared.swallowing.store(true, SeqCst);
        self.stall(Direction::Both);
    }

    /// New connections pass again, and those that there are stay silent: who was
    /// connected through what was dropped is forgotten on the way.
    pub fn pass_new(&self) {
        self.shared.swallowing.store(false, SeqCst);
    }

    /// New connections go to the server on this loopback port.
    pub fn lead_to(&self, server: u16) {
        *self.shared.server.lock().unwrap_or_else(PoisonError::into_inner) = (Ipv4Addr::LOCALHOST, server).into();
    }

    /// Holds back each piece that passes for so long, on all connections.
    pub fn delay(&self, each: Duration) {
        let us = u64::try_from(each.as_micros()).unwrap_or(u64::MAX);
        self.shared.delay_us.store(us, SeqCst);
    }

    /// Ends every connection and takes no new one.
    pub fn block(&self) {
        self.shared.refusing.store(true, SeqCst);
        self.cut();
    }

    /// As if nothing had been: what was stalled passes, nothing is delayed,
    /// new connections are taken.
    pub fn restore(&self) {
        self.shared.refusing.store(false, SeqCst);
        self.shared.swallowing.store(false, SeqCst);
        self.delay(Duration::ZERO);
        for passing in self.shared.connections().iter() {
            for stalled in &passing.stalled {
                stalled.store(false, SeqCst);
            }
        }
    }

    /// How many connections there are.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections().len()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.over.store(true, SeqCst);
        self.cut();
        // The accepting thread waits for one more, and then sees that it is over.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

impl Shared {
    fn connections(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Passing>>> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.retain(|c| !c.over.load(SeqCst));
        connections
    }

    fn take(&self) -> Vec<Arc<Passing>> {
        std::mem::take(&mut *self.connections())
    }

    fn accept(self: &Arc<Self>, client: TcpStream) {
        if self.refusing.load(SeqCst) {
            return;
        }
        // A server that is not there: the client finds its connection closed.
        let server = *self.server.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(server) = TcpStream::connect_timeout(&server, CONNECT_WITHIN) else {
            return;
        };
        for stream in [&client, &server] {
            if stream.set_nodelay(true).is_err() || stream.set_read_timeout(Some(LOOK_AGAIN)).is_err() {
                return;
            }
        }
        let passing = Arc::new(Passing {
            client,
            server,
            stalled: [(); 2].map(|()| AtomicBool::new(self.swallowing.load(SeqCst))),
            over: AtomicBool::new(false),
        });
        self.connections().push(Arc::clone(&passing));
        if self.swallowing.load(SeqCst) {
            // It may have begun while this one was made.
            for stalled in &passing.stalled {
                stalled.store(true, SeqCst);
            }
        }
        if self.refusing.load(SeqCst) {
            passing.end();
        }
        for direction in [0, 1] {
            let (shared, passing) = (Arc::clone(self), Arc::clone(&passing));
            std::thread::spawn(move || {
                shared.pass(&passing, direction);
                passing.end();
            });
        }
    }

    /// Passes on in one direction until the connection is over.
    fn pass(&self, passing: &Passing, direction: usize) {
        let (mut from, mut to) = match direction {
            0 => (&passing.client, &passing.server),
            _ => (&passing.server, &passing.client),
        };
        let mut buffer = vec![0; 64 * 1024];
        while !passing.over.load(SeqCst) {
            if passing.stalled[direction].load(SeqCst) {
                std::thread::sleep(LOOK_AGAIN);
                continue;
            }
            let read = match from.read(&mut buffer) {
                Ok(0) => return,
                Ok(read) => read,
                Err(e)
                    if matches!(
                        e.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) =>
                {
                    continue;
                }
                Err(_) => return,
            };
            let delay = Duration::from_micros(self.delay_us.load(SeqCst));
            if !delay.is_zero() {
                std::thread::sleep(delay);
            }
            // An order that came while it was read holds for it too.
            while passing.stalled[direction].load(SeqCst) && !passing.over.load(SeqCst) {
                std::thread::sleep(LOOK_AGAIN);
            }
            if passing.over.load(SeqCst) || to.write_all(&buffer[..read]).is_err() {
                return;
            }
        }
    }
}

impl Passing {
    fn end(&self) {
        self.over.store(true, SeqCst);
        for stream in [&self.client, &self.server] {
            // One that is closed already needs no closing.
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// A server that says everything back, and a client of it through a proxy.
    fn echo() -> (Proxy, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let proxy = Proxy::to(listener.local_addr().unwrap().port()).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let mut back = stream.try_clone().unwrap();
                    drop(std::io::copy(&mut stream, &mut back));
                });
            }
        });
        let client = connect(&proxy);
        (proxy, client)
    }

    fn connect(proxy: &Proxy) -> TcpStream {
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        client
    }

    fn ask(client: &mut TcpStream, what: &[u8]) -> std::io::Result<Vec<u8>> {
        client.write_all(what)?;
        let mut answer = vec![0; what.len()];
        client.read_exact(&mut answer)?;
        Ok(answer)
    }

    #[test]
    fn what_goes_in_comes_out() {
        let (proxy, mut client) = echo();
        let much: Vec<u8> = (0..=255).cycle().take(1_000).collect();
        assert_eq!(ask(&mut client, &much).unwrap(), much);
        assert_eq!(proxy.connections(), 1);
    }

    #[test]
    fn a_cut_ends_the_connection_and_lets_new_ones_in() {
        let (proxy, mut client) = echo();
        ask(&mut client, b"before").unwrap();
        proxy.cut();
        assert!(ask(&mut client, b"after").is_err());
        assert_eq!(ask(&mut connect(&proxy), b"again").unwrap(), b"again");
    }

    #[test]
    fn a_stalled_connection_is_silent_until_it_is_restored() {
        let (proxy, mut client) = echo();
        ask(&mut client, b"before").unwrap();
        proxy.stall(Direction::ToClient);
        client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let silent = ask(&mut client, b"hello").unwrap_err();
        assert!(matches!(silent.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
        assert_eq!(ask(&mut connect(&proxy), b"new").unwrap(), b"new");
        proxy.restore();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut answer = [0; 5];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"hello");
    }

    #[test]
    fn a_blocked_one_takes_nobody_until_it_is_restored() {
        let (proxy, mut client) = echo();
        proxy.block();
        assert!(ask(&mut client, b"old").is_err());
        assert!(ask(&mut connect(&proxy), b"new").is_err());
        proxy.restore();
        assert_eq!(ask(&mut connect(&proxy), b"again").unwrap(), b"again");
    }

    #[test]
    fn what_is_swallowed_is_silent_also_on_new_connections() {
        let (proxy, mut client) = echo();
        ask(&mut client, b"before").unwrap();
        proxy.swallow();
        let mut new = connect(&proxy);
        for silent in [&mut client, &mut new] {
            silent.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            let heard = ask(silent, b"hello").unwrap_err().kind();
            assert!(matches!(heard, ErrorKind::WouldBlock | ErrorKind::TimedOut));
        }
        proxy.pass_new();
        assert!(ask(&mut new, b"still silent").is_err());
        assert_eq!(ask(&mut connect(&proxy), b"heard").unwrap(), b"heard");
    }

    #[test]
    fn new_connections_go_where_they_are_led() {
        let (proxy, mut client) = echo();
        ask(&mut client, b"before").unwrap();
        let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        proxy.lead_to(other.local_addr().unwrap().port());
        assert_eq!(ask(&mut client, b"stays").unwrap(), b"stays");
        let mut led = connect(&proxy);
        let (mut there, _) = other.accept().unwrap();
        there.write_all(b"other").unwrap();
        let mut heard = [0; 5];
        led.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"other");
    }

    #[test]
    fn a_delay_holds_back_what_passes() {
        let (proxy, mut client) = echo();
        proxy.delay(Duration::from_millis(50));
        let began = Instant::now();
        ask(&mut client, b"slow").unwrap();
        assert!(began.elapsed() >= Duration::from_millis(100), "once each way");
    }
}
