//! Every key there is. The files, the variables, the options, the help, the annotated file and the reference are all made
//! from this.

use std::path::PathBuf;
use std::time::Duration;

use tautline::Origins;
use tautline::deflate::Backend;
use tautline_hub::{AppName, Keyless};
use tautline_identity::ClientAuth;
use tautline_rooms::{Compression, Duplicates, SlowConsumer};

use super::define::{Key, Section, section};
use super::reader::Reader;
use super::setting::{Bytes, Setting};
use super::types::{Encrypted, LogFormat, Names, Place, Secret};
use crate::logging::Level;

/// All sections, in the order in which they are shown.
pub(crate) static SECTIONS: [Section; 9] = [
    Listen::SECTION,
    Tls::SECTION,
    Access::SECTION,
    Telemetry::SECTION,
    WebSocket::SECTION,
    Storage::SECTION,
    Rooms::SECTION,
    Room::SECTION,
    Log::SECTION,
];

/// A year in milliseconds: the longest time that can be set.
const YEAR: u64 = 365 * 24 * 3600 * 1000;

section! {
    /// Where clients connect.
    ["listen"] Listen {
        /// Address or name to listen on; 0.0.0.0 is every IPv4 address of this machine, :: every address.
        host: String = Key::new(r#""127.0.0.1""#, "TAUTLINE_HOST").option("host", "HOST");

        /// Port to listen on; 0 is any free one.
        port: u16 = Key::new("8000", "TAUTLINE_PORT").bounds(0, 65535).option("port", "PORT");

        /// Serve only this app, on every path.
        app: Option<AppName> = Key::unset("all of them", r#""counter""#, "TAUTLINE_APP").option("app", "NAME");
    }
}

section! {
    /// Certificates. As soon as one of these keys is not at its default, the hub speaks TLS: on `port`, beside the plain
    /// one, or without it on its only port. `tautline cert` makes what is needed.
    ["tls"] Tls {
        /// Port for wss and https, beside the plain one; 0 is any free one.
        port: Option<u16> =
            Key::unset("one port only", "8443", "TAUTLINE_TLS_PORT").bounds(0, 65535).option("tls-port", "PORT");

        /// The server's certificate, with what follows it in its chain (PEM).
        certificate: Option<PathBuf> = Key::unset(
            "tls/HOST/HOST.crt, or tls/server.crt if there is only that",
            r#""tls/192.168.1.20/192.168.1.20.crt""#,
            "TAUTLINE_TLS_CERTIFICATE",
        )
        .option("ssl-certfile", "FILE");

        /// Its private key (PEM).
        key: Option<PathBuf> = Key::unset(
            "the certificate's file with .key at its end, or the certificate's file itself",
            r#""tls/192.168.1.20/192.168.1.20.key""#,
            "TAUTLINE_TLS_KEY",
        )
        .option("ssl-keyfile", "FILE");

        /// The password of an encrypted key. Other users of the machine can see what stands in a command line: the
        /// variable or the file is the better place.
        key_password: Option<Secret> = Key::unset("the key is not encrypted", r#""secret""#, "TAUTLINE_TLS_KEY_PASSWORD")
            .option_with_aliases("ssl-keyfile-password", "PASSWORD", &["ssl-password"])
            .secret();

        /// Whether clients are asked for certificates: optional lets in those without one, required does not.
        client_auth: ClientAuth = Key::new(r#""none""#, "TAUTLINE_TLS_CLIENT_AUTH").option_with_aliases(
            "ssl-cert-reqs",
            "WHICH",
            &["ssl-certs-reqs"],
        );

        /// The CA whose clients are trusted (PEM).
        client_ca: Option<PathBuf> =
            Key::unset("tls/client-ca/ca.crt, or tls/ca/ca.crt", r#""tls/ca/ca.crt""#, "TAUTLINE_TLS_CLIENT_CA")
                .option_with_aliases("ssl-ca-certs", "FILE", &["ssl-ca-cert"]);

        /// Of the clients that show a certificate only those with these names in it may connect.
        allowed_clients: Option<Names> =
            Key::unset("all that are trusted", r#"["ESP Client 1", "plant 7"]"#, "TAUTLINE_TLS_ALLOWED_CLIENTS");

        /// The list of clients that are revoked (PEM). Their sessions end when it is read again.
        crl: Option<PathBuf> = Key::unset(
            "the CA's file with .crl at its end, if there is one",
            r#""tls/ca/ca.crl""#,
            "TAUTLINE_TLS_CRL",
        );

        /// The largest TLS record that is sent, for devices with little memory.
        max_fragment_size: Option<Bytes> =
            Key::unset("16389", "1024", "TAUTLINE_TLS_MAX_FRAGMENT_SIZE").bounds(64, 16389);
    }
}

section! {
    /// Sensor data over UDP and TCP, for which `tautline device` makes keys. It needs a store.
    ["telemetry"] Telemetry {
        /// Whether it is taken.
        enabled: bool = Key::new("true", "TAUTLINE_TELEMETRY");

        /// Port of both, on the host of [listen]; 0 is any free one.
        port: Option<u16> =
            Key::unset("65433, unless it is taken", "65433", "TAUTLINE_TELEMETRY_PORT").bounds(0, 65535).option("telemetry-port", "PORT");

        /// Which devices may do without a key: those on this machine, those everywhere (whoever reaches the port can speak for
        /// any device then), or those nowhere. One that shows a client certificate over TCP needs none.
        keyless: Keyless = Key::new(r#""loopback""#, "TAUTLINE_TELEMETRY_KEYLESS");

        /// Whether TLS is spoken over TCP, with the certificates of [tls]: off, optional (if there are any; the first byte of a
        /// connection tells) or required. Over UDP nothing is encrypted.
        tls: Encrypted = Key::new(r#""optional""#, "TAUTLINE_TELEMETRY_TLS");
    }
}

section! {
    /// Who may use the API and the dashboard. By itself that is this machine only, and whoever has an access token that says
    /// so: `tautline token` makes them.
    ["access"] Access {
        /// Whether everybody has to prove who they are, also on this machine: by an access token, or for WebSockets by a client
        /// certificate. Others get 401.
        require_authentication: bool = Key::new("false", "TAUTLINE_REQUIRE_AUTHENTICATION");

        /// Whether everybody who reaches the hub may see everything, publish, and give commands to devices.
        insecure: bool = Key::new("false", "TAUTLINE_INSECURE");

        /// The names under which the hub is reached, besides localhost, addresses and names below .local, .home.arpa and .internal.
        /// Requests to the API that name another host are refused, since a foreign web page can give the hub's address a name of
        /// its own.
        hosts: Option<Names> = Key::unset("none", r#"["hub.example"]"#, "TAUTLINE_HOSTS");
    }
}

section! {
    /// How connections behave.
    ["websocket"] WebSocket {
        /// How often a silent client is pinged; 0 is never.
        ping_interval: Duration = Key::new("20", "TAUTLINE_WS_PING_INTERVAL")
            .bounds(1, YEAR)
            .or_zero()
            .option("ws-ping-interval", "SECONDS");

        /// How long a pinged client may stay silent before its connection is given up.
        ping_timeout: Duration =
            Key::new("20", "TAUTLINE_WS_PING_TIMEOUT").bounds(1, YEAR).option("ws-ping-timeout", "SECONDS");

        /// The largest message that a client may send; a larger one ends its connection with 1009. As much can be held
        /// in memory for each connection.
        max_message: Bytes = Key::new(r#""16 MiB""#, "TAUTLINE_MAX_MESSAGE").bounds(1, u64::MAX).option_with_aliases(
            "max-message",
            "BYTES",
            &["ws-max-size"],
        );

        /// Which web pages may connect: any, same-host (and loopback and files), or a list of origins with commas.
        origins: Origins =
            Key::new(r#""same-host""#, "TAUTLINE_ORIGIN").option_with_aliases("origin", "WHICH", &["origins"]);

        /// How much may wait to be sent to a client before it counts as too slow. A connection holds this and one message
        /// at the most.
        send_queue: Bytes = Key::new(r#""1 MiB""#, "TAUTLINE_SEND_QUEUE");

        /// Whether messages to and from clients that offer it are compressed (permessage-deflate): off; each by itself
        /// (no-context-takeover), which costs no memory between them; or with reference to earlier ones (context-takeover), which
        /// makes short ones shorter.
        compression: Compression =
            Key::new(r#""off""#, "TAUTLINE_COMPRESSION").option("compression", "WHICH");

        /// How far back a message may refer, as the power of two: 8 is 256 bytes, 15 is 32 KiB. With context-takeover a connection
        /// that is used holds a window for what it receives, and two to four times as much for what it sends.
        compression_window: u8 =
            Key::new("12", "TAUTLINE_COMPRESSION_WINDOW").bounds(8, 15).option("compression-window", "BITS");

        /// What compresses messages of 4 KiB and more: small, the hub's own; or zlib-rs, which makes them some percent shorter and
        /// takes up to 360 KiB more for each event loop. Shorter messages are always compressed by the hub's own.
        compression_backend: Backend =
            Key::new(r#""small""#, "TAUTLINE_COMPRESSION_BACKEND").option("compression-backend", "WHICH");

        /// How many connections there can be at once, HTTP included; more are answered with 503.
        max_connections: usize = Key::new("100000", "TAUTLINE_MAX_CONNECTIONS").bounds(1, 10_000_000);

        /// How many of them one address can have (IPv4, or the first 64 bits of IPv6; this machine excepted); 0 is no limit. More are
        /// answered with 429, or closed where they speak TLS.
        max_connections_per_address: u32 =
            Key::new("1000", "TAUTLINE_MAX_CONNECTIONS_PER_ADDRESS").bounds(0, 10_000_000);

        /// How many connections one address may open in a second in the long run, five times as many at once; 0 is no limit. More
        /// are answered in the same way.
        connection_rate_per_address: u32 =
            Key::new("100", "TAUTLINE_CONNECTION_RATE_PER_ADDRESS").bounds(0, 1_000_000);

        /// How many requests one address may send to the API in a second that change something, five times as many at once; 0 is no
        /// limit. More are answered with 429.
        request_rate_per_address: u32 =
            Key::new("1000", "TAUTLINE_REQUEST_RATE_PER_ADDRESS").bounds(0, 1_000_000);

        /// How many event loops carry the connections, each in a thread.
        loops: Option<usize> =
            Key::unset("one for each processor", "4", "TAUTLINE_LOOPS").bounds(1, 256).option("loops", "NUMBER");
    }
}

section! {
    /// What survives a restart.
    ["store"] Storage {
        /// The directory of the database, which is made if it is not there; memory keeps nothing.
        path: Place = Key::new(r#""tautline-data""#, "TAUTLINE_DATA").option("data", "DIR");

        /// How much may wait for the disk; more is refused to those who publish.
        waiting_bytes: Bytes = Key::new(r#""64 MiB""#, "TAUTLINE_STORE_WAITING_BYTES");

        /// For how long it is remembered which connections there were and what became of commands.
        keep_log: Duration = Key::new("7776000", "TAUTLINE_STORE_KEEP_LOG").bounds(1, 100 * YEAR);

        /// For how long devices that do not come any more are remembered. Their twins stay.
        keep_devices: Duration = Key::new("31536000", "TAUTLINE_STORE_KEEP_DEVICES").bounds(1, 100 * YEAR);

        /// For how long readings of sensors are kept; the API sets it for a sensor.
        keep_readings: Duration = Key::new("31536000", "TAUTLINE_STORE_KEEP_READINGS").bounds(1, 100 * YEAR);

        /// How large the database may be: the oldest messages, commands, connections and readings give way.
        max_bytes: Option<Bytes> = Key::unset("as large as the disk", r#""10 GiB""#, "TAUTLINE_STORE_MAX_BYTES");
    }
}

section! {
    /// All rooms together.
    ["rooms"] Rooms {
        /// How many rooms there can be at once; the empty ones that are not durable give way to new ones.
        limit: usize = Key::new("4096", "TAUTLINE_ROOMS_LIMIT").bounds(1, u64::MAX);
    }
}

section! {
    /// How a room behaves. A room of its own settings has a section `[rooms.named."NAME"]`, with those keys of these that
    /// are to differ.
    ["rooms.default"] Room {
        /// Whether a message is delivered and acknowledged only once it is stored, and survives a restart.
        durable: bool = Key::new("false", "TAUTLINE_ROOM_DURABLE");

        /// How many messages are remembered for members that come back; 0 is none.
        history_messages: usize = Key::new("256", "TAUTLINE_ROOM_HISTORY_MESSAGES");

        /// How many bytes of them, each counted with about 96 more: 1 KiB at least, unless none is remembered. Each room
        /// takes as much memory.
        history_bytes: Bytes = Key::new(r#""64 KiB""#, "TAUTLINE_ROOM_HISTORY_BYTES");

        /// For how long. An empty room that is not durable is forgotten after this time.
        history_age: Duration = Key::new("300", "TAUTLINE_ROOM_HISTORY_AGE").bounds(0, YEAR);

        /// How many of the last message ids are remembered, to recognise a message that is published again; 0 is none.
        /// Each takes about 150 bytes.
        deduplication_messages: usize = Key::new("4096", "TAUTLINE_ROOM_DEDUPLICATION_MESSAGES");

        /// For how long they are remembered.
        deduplication_age: Duration = Key::new("600", "TAUTLINE_ROOM_DEDUPLICATION_AGE").bounds(0, YEAR);

        /// What happens when a client id connects that is connected and alive: the newcomer is refused, or takes over.
        duplicates: Duplicates = Key::new(r#""reject""#, "TAUTLINE_ROOM_DUPLICATES");

        /// How long the old connection has to show that it is alive.
        probe_timeout: Duration = Key::new("2", "TAUTLINE_ROOM_PROBE_TIMEOUT").bounds(100, 60_000);

        /// What happens to a member that is too slow: it is disconnected, loses its oldest waiting messages, all but the
        /// newest, or all but the newest of each client.
        slow: SlowConsumer = Key::new(r#""disconnect""#, "TAUTLINE_ROOM_SLOW");

        /// How much may wait to be sent to a member before it counts as too slow: 512 KiB at least.
        queue_bytes: Option<Bytes> =
            Key::unset("send_queue of [websocket]", r#""512 KiB""#, "TAUTLINE_ROOM_QUEUE_BYTES");

        /// Whether messages to and from members that offer it are compressed.
        compression: Option<Compression> = Key::unset(
            "compression of [websocket]",
            r#""no-context-takeover""#,
            "TAUTLINE_ROOM_COMPRESSION",
        );

        /// How many members there can be.
        members: usize = Key::new("100000", "TAUTLINE_ROOM_MEMBERS").bounds(1, u64::MAX);

        /// The least time between two announcements of who came and left.
        presence_interval: Duration = Key::new("1", "TAUTLINE_ROOM_PRESENCE_INTERVAL").bounds(1, YEAR);

        /// How many names an announcement lists, each of those who came and of those who left.
        presence_names: usize = Key::new("100", "TAUTLINE_ROOM_PRESENCE_NAMES");

        /// How many messages of a durable room may wait to be stored.
        pending: usize = Key::new("4096", "TAUTLINE_ROOM_PENDING").bounds(1, u64::MAX);
    }
}

section! {
    /// What goes to the standard error.
    ["log"] Log {
        /// How much: off, error, warn, info, debug or trace. RUST_LOG, where it is set, goes before the file.
        level: Level = Key::new(r#""info""#, "TAUTLINE_LOG_LEVEL").option("log-level", "LEVEL");

        /// For people (human) or for programs (json); auto is human on a terminal, JSON elsewhere.
        format: LogFormat = Key::new(r#""auto""#, "TAUTLINE_LOG_FORMAT");
    }
}
