//! The page and what belongs to it, as parts of the program.

/// A file of the page.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) content: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file of the folder `web`.
macro_rules! file {
    ($path:literal, $content_type:ident) => {
        File {
            path: concat!("/", $path),
            content_type: $content_type,
            content: include_str!(concat!("../../../web/", $path)),
        }
    };
}

const FILES: &[File] = &[
    File { path: "/", content_type: HTML, content: include_str!("../../../web/index.html") },
    file!("hub.css", CSS),
    file!("hub.js", SCRIPT),
    file!("dashboard/api.js", SCRIPT),
    file!("dashboard/chart.js", SCRIPT),
    file!("dashboard/commands.js", SCRIPT),
    file!("dashboard/counter.js", SCRIPT),
    file!("dashboard/device.js", SCRIPT),
    file!("dashboard/devices.js", SCRIPT),
    file!("dashboard/documents.js", SCRIPT),
    file!("dashboard/dom.js", SCRIPT),
    file!("dashboard/editor.js", SCRIPT),
    file!("dashboard/eventlog.js", SCRIPT),
    file!("dashboard/frames.js", SCRIPT),
    file!("dashboard/handshake.js", SCRIPT),
    file!("dashboard/inspector.css", CSS),
    file!("dashboard/inspector.js", SCRIPT),
    file!("dashboard/line.js", SCRIPT),
    file!("dashboard/log.js", SCRIPT),
    file!("dashboard/messages.js", SCRIPT),
    file!("dashboard/panels.css", CSS),
    file!("dashboard/readings.js", SCRIPT),
    file!("dashboard/relay.js", SCRIPT),
    file!("dashboard/rooms.js", SCRIPT),
    file!("dashboard/scale.js", SCRIPT),
    file!("dashboard/sensors.css", CSS),
    file!("dashboard/sensors.js", SCRIPT),
    file!("dashboard/series.js", SCRIPT),
    file!("dashboard/text.js", SCRIPT),
    file!("dashboard/token.js", SCRIPT),
    file!("dashboard/twin.js", SCRIPT),
];

/// What the page may load: parts of this server only. (`'self'` does not cover WebSockets in every browser, so they may go
/// anywhere.)
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// The file at a path.
pub(crate) fn find(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    /// The folder with the files.
    fn web() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web")
    }

    fn files_in(folder: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { files_in(&path) } else { vec![path] }).collect()
    }

    #[test]
    fn every_file_of_the_page_is_served() {
        for file in files_in(&web()) {
            let path = file.strip_prefix(web()).unwrap().to_str().unwrap().replace('\\', "/");
            let served = find(if path == "index.html" { "/" } else { "" }).or_else(|| find(&format!("/{path}")));
            assert!(served.is_some(), "{path}");
        }
    }

    #[test]
    fn every_part_that_a_script_asks_for_is_there() {
        for file in FILES.iter().filter(|file| file.content_type == SCRIPT) {
            let folder = &file.path[..=file.path.rfind('/').unwrap()];
            let imports = file.content.lines().filter_map(|line| line.strip_suffix("\";")?.split_once("from \"./"));
            for (_, import) in imports {
                assert!(find(&format!("{folder}{import}")).is_some(), "{} imports {import}", file.path);
            }
        }
    }

    #[test]
    fn nothing_that_comes_from_elsewhere_can_become_markup() {
        for file in FILES.iter().filter(|file| file.content_type == SCRIPT) {
            for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "DOMParser"] {
                assert!(!file.content.contains(way), "{} has {way}", file.path);
            }
        }
    }
}
