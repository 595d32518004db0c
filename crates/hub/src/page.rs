//! The page and what belongs to it, as parts of the program.

/// A file of the page.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) content: &'static str,
}

const FILES: [File; 3] = [
    File { path: "/", content_type: "text/html; charset=utf-8", content: include_str!("../../../web/index.html") },
    File { path: "/hub.css", content_type: "text/css; charset=utf-8", content: include_str!("../../../web/hub.css") },
    File {
        path: "/hub.js",
        content_type: "text/javascript; charset=utf-8",
        content: include_str!("../../../web/hub.js"),
    },
];

/// What the page may load and connect to: this server only. (`'self'` does not cover WebSockets in every browser.)
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// The file at a path.
pub(crate) fn find(path: &str) -> Option<&'static File> {
    const { &FILES }.iter().find(|file| file.path == path)
}
