//! The network between a device and the hub, which can be cut.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A port of this machine from where everything goes to another one, unless the cable is cut.
///
/// Cut, it carries nothing in either direction, and nobody is told: connections stay open on both sides, as if a router had
/// been switched off. Mended, it carries new connections; those from before have ended.
#[derive(Debug)]
pub struct Cable {
    /// Its port on 127.0.0.1.
    pub port: u16,
    state: Arc<watch::Sender<State>>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    /// Where its other end is.
    target: u16,
    /// How often it was mended.
    age: u32,
    cut: bool,
}

impl Cable {
    /// A cable to this port.
    ///
    /// # Panics
    ///
    /// If there is no port to be had.
    pub async fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let state = Arc::new(watch::Sender::new(State { target, age: 0, cut: false }));
        let states = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((device, _)) = listener.accept().await {
                let mut states = states.subscribe();
                tokio::spawn(async move {
                    // A connection that begins while the cable is cut gets nowhere.
                    let State { target, age, .. } = *states.borrow_and_update();
                    if states.wait_for(|state| !state.cut).await.is_ok_and(|state| state.age == age) {
                        let _ = carry(device, target, states, age).await;
                    }
                });
            }
        });
        Self { port, state, task }
    }

    /// Carries nothing any more, and ends nothing.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cut = true);
    }

    /// Ends the connections from before the cut, and carries new ones.
    pub fn mend(&self) {
        self.state.send_modify(|state| *state = State { age: state.age + 1, cut: false, ..*state });
    }

    /// Leads new connections to another port from now on.
    pub fn plug_into(&self, target: u16) {
        self.state.send_modify(|state| state.target = target);
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Carries one connection until one of its sides ends it, or the cable that carried it is no more.
async fn carry(device: TcpStream, target: u16, states: watch::Receiver<State>, age: u32) -> io::Result<()> {
    let hub = TcpStream::connect(("127.0.0.1", target)).await?;
    device.set_nodelay(true)?;
    hub.set_nodelay(true)?;
    let (from_device, to_device) = device.into_split();
    let (from_hub, to_hub) = hub.into_split();
    let mut end = states.clone();
    tokio::select! {
        carried = pump(from_device, to_hub, states.clone()) => carried,
        carried = pump(from_hub, to_device, states) => carried,
        _ = end.wait_for(|state| state.age != age) => Ok(()),
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut states: watch::Receiver<State>) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        // What was on its way when the cable was cut waits here for the connection's end.
        if states.wait_for(|state| !state.cut).await.is_err() {
            return Ok(());
        }
        to.write_all(&buffer[..length]).await?;
    }
}
