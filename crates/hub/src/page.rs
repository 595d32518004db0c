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

/// What the page may load: parts of this server only. (`'self'` does not cover WebSockets in every browser, so they may go
/// anywhere.)
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// The file at a path.
pub(crate) fn find(path: &str) -> Option<&'static File> {
    const { &FILES }.iter().find(|file| file.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::TAKEN;
    use crate::name::AppName;

    #[test]
    fn the_page_knows_which_paths_are_not_the_relay() {
        let script = find("/hub.js").unwrap().content;
        let list = script.lines().find(|line| line.starts_with("const NO_IDS = ")).unwrap();
        let apps = AppName::ALL.into_iter().filter(|app| app.is_websocket() && *app != AppName::Relay);
        let paths = apps.map(AppName::path).chain(FILES.iter().map(|file| file.path)).chain(TAKEN);
        for name in paths.map(|path| &path[1..]).filter(|name| !name.is_empty()) {
            assert!(list.contains(&format!("\"{name}\"")), "{name}");
        }
    }
}
