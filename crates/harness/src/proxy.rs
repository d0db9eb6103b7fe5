//! One link between two nodes, which can be cut.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const POLL: Duration = Duration::from_millis(2);
const BUFFER: usize = 64 * 1024;

/// Forwards connections to an address.
///
/// A direction that is cut behaves as a broken network does to TCP: nothing arrives, nobody is told, and what
/// was sent meanwhile arrives late if the direction is healed while the connection still stands.
#[derive(Debug)]
pub struct Proxy {
    /// Where to connect to.
    pub address: SocketAddr,
    link: Arc<Link>,
}

#[derive(Debug)]
struct Link {
    target: SocketAddr,
    /// Nothing passes from those who connect to the target.
    forward_cut: AtomicBool,
    /// Nothing passes back.
    backward_cut: AtomicBool,
    closed: AtomicBool,
    delay_ms: AtomicU64,
    connections: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// Begins to forward.
    #[must_use]
    pub fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a proxy can listen");
        let address = listener.local_addr().expect("a listener has an address");
        let link = Arc::new(Link {
            target,
            forward_cut: AtomicBool::new(false),
            backward_cut: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            delay_ms: AtomicU64::new(0),
            connections: Mutex::default(),
        });
        let accepting = link.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                if accepting.closed.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(connection) = connection else { continue };
                let link = accepting.clone();
                std::thread::spawn(move || link.forward(connection));
            }
        });
        Self { address, link }
    }

    /// Cuts or heals the direction from those who connect to the target.
    pub fn cut_forward(&self, cut: bool) {
        self.link.forward_cut.store(cut, Ordering::SeqCst);
    }

    /// Cuts or heals the direction from the target back to those who connect.
    pub fn cut_backward(&self, cut: bool) {
        self.link.backward_cut.store(cut, Ordering::SeqCst);
    }

    /// Lets what passes wait so long, in both directions. (Each piece waits for itself: this also limits the
    /// rate.)
    pub fn delay(&self, delay: Duration) {
        self.link.delay_ms.store(delay.as_millis() as u64, Ordering::SeqCst);
    }

    /// Breaks all connections; new ones are taken. What was under way is lost, and both ends notice.
    pub fn reset(&self) {
        for connection in self.link.connections.lock().expect("nobody panics with this lock").drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.link.closed.store(true, Ordering::SeqCst);
        self.reset();
        // Wakes the thread that accepts, so that it ends.
        let _ = TcpStream::connect(self.address);
    }
}

impl Link {
    fn forward(self: Arc<Self>, near: TcpStream) {
        // The first packets of a connection need both directions.
        self.wait(&self.forward_cut);
        self.wait(&self.backward_cut);
        let Ok(far) = TcpStream::connect(self.target) else { return };
        let _ = (near.set_nodelay(true), far.set_nodelay(true));
        let (Ok(near_again), Ok(far_again)) = (near.try_clone(), far.try_clone()) else { return };
        if let (Ok(near), Ok(far)) = (near.try_clone(), far.try_clone()) {
            self.connections.lock().expect("nobody panics with this lock").extend([near, far]);
        }
        let back = self.clone();
        std::thread::spawn(move || back.pump(far_again, near_again, &back.backward_cut));
        self.pump(near, far, &self.forward_cut);
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream, cut: &AtomicBool) {
        let mut buffer = vec![0; BUFFER];
        loop {
            let count = from.read(&mut buffer).unwrap_or(0);
            let delay = self.delay_ms.load(Ordering::Relaxed);
            if delay > 0 {
                std::thread::sleep(Duration::from_millis(delay));
            }
            // The end of a connection is a packet as well.
            self.wait(cut);
            if count == 0 || to.write_all(&buffer[..count]).is_err() {
                let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
                return;
            }
        }
    }

    /// Waits until a direction is whole.
    fn wait(&self, cut: &AtomicBool) {
        while cut.load(Ordering::SeqCst) && !self.closed.load(Ordering::SeqCst) {
            std::thread::sleep(POLL);
        }
    }
}
