//! The connections of a running server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tautline_proto::{CloseCode, Role};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::shared::{Info, Settings, Shared};
use crate::stream::Stream;

use super::Request;

/// A connection whose handshake has been answered.
pub(super) fn open(stream: Stream, settings: Arc<Settings>, leftover: &[u8], request: &Request) -> Arc<Shared> {
    let info = Info { subprotocol: request.subprotocol().map(str::to_owned), peer: Some(request.peer()) };
    Shared::new(stream, Role::Server, settings, leftover, info)
}

/// What has to end before the server has.
#[derive(Debug, Default)]
pub(super) struct Connections {
    lists: Mutex<Lists>,
    /// Told when the last task ends.
    idle: Notify,
}

#[derive(Debug, Default)]
struct Lists {
    next: u64,
    tasks: HashMap<u64, Option<AbortHandle>>,
    open: HashMap<usize, Weak<Shared>>,
}

impl Connections {
    fn lists(&self) -> std::sync::MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a task that belongs to the server.
    pub(super) fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let id = {
            let mut lists = self.lists();
            lists.next += 1;
            let id = lists.next;
            lists.tasks.insert(id, None);
            id
        };
        let listed = ListedTask { connections: self.clone(), id };
        let handle = tokio::spawn(async move {
            let _listed = listed;
            task.await;
        });
        // It may have ended already, and is not listed any more then.
        if let Some(slot) = self.lists().tasks.get_mut(&id) {
            *slot = Some(handle.abort_handle());
        }
    }

    /// Lists an open connection until the answer is dropped.
    pub(super) fn add(self: &Arc<Self>, shared: &Arc<Shared>) -> ListedConnection {
        let key = Arc::as_ptr(shared).addr();
        self.lists().open.insert(key, Arc::downgrade(shared));
        ListedConnection { connections: self.clone(), key }
    }

    /// Closes every connection and waits for all tasks, at most `timeout`; what is left then is aborted.
    pub(super) async fn drain(&self, code: CloseCode, timeout: Duration) {
        let open: Vec<_> = self.lists().open.values().filter_map(Weak::upgrade).collect();
        for shared in open {
            shared.begin_close(code, "");
        }
        if tokio::time::timeout(timeout, self.wait_idle()).await.is_ok() {
            return;
        }
        let left: Vec<_> = self.lists().tasks.values().flatten().cloned().collect();
        tracing::warn!(connections = left.len(), "did not end in time: dropped");
        for task in left {
            task.abort();
        }
        self.wait_idle().await;
    }

    async fn wait_idle(&self) {
        loop {
            let idle = self.idle.notified();
            if self.lists().tasks.is_empty() {
                return;
            }
            idle.await;
        }
    }
}

struct ListedTask {
    connections: Arc<Connections>,
    id: u64,
}

impl Drop for ListedTask {
    fn drop(&mut self) {
        let mut lists = self.connections.lists();
        lists.tasks.remove(&self.id);
        if lists.tasks.is_empty() {
            self.connections.idle.notify_waiters();
        }
    }
}

/// Keeps a connection listed.
pub(super) struct ListedConnection {
    connections: Arc<Connections>,
    key: usize,
}

impl Drop for ListedConnection {
    fn drop(&mut self) {
        self.connections.lists().open.remove(&self.key);
    }
}
