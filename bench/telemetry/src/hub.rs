//! The hub, as a process of its own.

use std::fs;
use std::future::pending;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tautline_hub::{Encryption, Ingest, Keyless};
use tautline_store::{Settings, Store};
use tokio::net::{TcpListener, UdpSocket};

/// Serves readings on a free port, which it prints, until the process is killed.
pub(crate) fn serve(folder: &Path) -> io::Result<()> {
    let store = Store::open(folder, Settings::new()).map_err(io::Error::other)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let tcp = TcpListener::bind("127.0.0.1:0").await?;
        let address = tcp.local_addr()?;
        let ingest = Ingest {
            udp: vec![UdpSocket::bind(address).await?],
            tcp: vec![tcp],
            keyless: Keyless::Loopback,
            tls: Encryption::Off,
        };
        println!("{}", address.port());
        tautline_hub::Hub::new().store(store).ingest(ingest).run(listener, pending::<()>()).await
    })
}

/// A running one. It is killed when this is dropped.
pub(crate) struct Hub {
    pub(crate) port: u16,
    process: Child,
    database: Connection,
    /// Removed last.
    _folder: Folder,
}

impl Hub {
    pub(crate) fn start(folder: Folder) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut process = command.arg("hub").arg(folder.path()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let port = line.trim().parse().map_err(|_| io::Error::other("the hub did not start"))?;
        let database = open(&folder.path().join("tautline.db"), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok(Self { port, process, database, _folder: folder })
    }

    /// How many readings are in its database: none is ever deleted here.
    pub(crate) fn stored(&self) -> io::Result<f64> {
        let sql = "SELECT coalesce(max(id), 0) FROM readings";
        self.database.query_row(sql, [], |row| row.get(0)).map_err(io::Error::other)
    }

    /// What it has used so far, in all threads.
    pub(crate) fn processor_time(&self) -> io::Result<Duration> {
        let mut nanos = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
            nanos += text.split_whitespace().next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(Duration::from_nanos(nanos))
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // It may have ended by itself, which the run has noticed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A database with these rights.
pub(crate) fn open(file: &Path, flags: OpenFlags) -> io::Result<Connection> {
    Connection::open_with_flags(file, flags).map_err(io::Error::other)
}

/// A folder that is removed when this is dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(disk: &Path) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = disk.join(format!("telemetry-{}-{number}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
