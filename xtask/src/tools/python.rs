//! Python interpreters and environments: today's peers, the labs' originals, and Autobahn's Python 2.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Site, all_on_path, debian, stamp::stamped};
use crate::{outcome::Stop, process};

const PEERS: &str = "tests/peers/python/requirements.txt";
const SEEDS: &str = "tests/peers/python/requirements-seeds.txt";
/// For the labs' servers where there is no Python 3.10: the last version that they work with on 3.11.
const SEEDS_ON_3_11: &str = "websockets==10.4\n";
/// The device client of the labs, as its authors publish it.
const MICROPYTHON_CLIENT: (&str, &str) = ("micropython-async-websocket-client", "0.3.4");
const ESPTOOL: &str = "firmware/requirements.txt";
const AUTOBAHN: &str = "conformance/autobahn/requirements.txt";
const AUTOBAHN_VIRTUALENV: &str = "conformance/autobahn/requirements-virtualenv.txt";

/// An environment with today's websockets, FastAPI and uvicorn.
pub(super) fn peers(site: &mut Site<'_>) -> Result<Vec<PathBuf>, Stop> {
    let python = python3(site)?;
    let requirements = site.workspace.read(PEERS)?;
    venv(site, "python", &python, &requirements, "cargo xtask test --only python").map(|python| vec![python])
}

/// An environment in which the labs' original servers run: they need a Python that still has what 3.11 removed.
pub(super) fn seeds(site: &mut Site<'_>) -> Result<Vec<PathBuf>, Stop> {
    let requirements = site.workspace.read(SEEDS)?;
    let is = |minor| move |python: &Interpreter| python.version.0 == 3 && python.version.1 == minor && python.has_venv;
    let (python, requirements) = if let Some(python) = find(&["python3.10", "python3"], is(10)) {
        (python, requirements)
    } else if let Some(python) = find(&["python3.11", "python3"], is(11)) {
        (python, SEEDS_ON_3_11.to_owned())
    } else {
        return Err(Stop::not_run("neither Python 3.10 nor 3.11 is here", "pyenv install 3.10"));
    };
    venv(site, "python-seeds", &python, &requirements, "cargo xtask test --only seeds").map(|python| vec![python])
}

/// An environment with Espressif's program that makes images.
pub(super) fn esptool(site: &mut Site<'_>) -> Result<Vec<PathBuf>, Stop> {
    let python = python3(site)?;
    let requirements = site.workspace.read(ESPTOOL)?;
    venv(site, "esptool", &python, &requirements, "cargo xtask firmware --only sizes").map(|python| vec![python])
}

/// The unpacked source distribution of the labs' MicroPython client. pip asks the package for its metadata, which runs
/// the build back end (setuptools, no code of the package), but nothing is built or installed.
pub(super) fn micropython_client(site: &mut Site<'_>) -> Result<Vec<PathBuf>, Stop> {
    let (name, version) = MICROPYTHON_CLIENT;
    let python = python3(site)?;
    let dir = site.dir("micropython");
    let unpacked = dir.join(format!("{}-{version}", name.replace('-', "_")));
    stamped(&dir, &format!("{name}=={version}\n"), || {
        let mut pip = Command::new(&python.path);
        pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest"]);
        pip.arg(&dir).arg(format!("{name}=={version}"));
        site.fetch(&mut pip, 120)
            .map_err(|stop| stop.unavailable("pip download", "cargo xtask test --only micropython"))?;
        let archive = unpacked.with_file_name(format!("{}-{version}.tar.gz", name.replace('-', "_")));
        site.run(Command::new(&python.path).args(["-m", "tarfile", "--extract"]).arg(archive).arg(&dir), 30)
    })?;
    if unpacked.is_dir() { Ok(vec![unpacked]) } else { Err(Stop::Failed(format!("{} is missing", unpacked.display()))) }
}

/// `wstest` in an environment of CPython 2.7, which only an old virtualenv makes, which lives in an environment of its own.
pub(super) fn autobahn(site: &mut Site<'_>) -> Result<Vec<PathBuf>, Stop> {
    let remedy = "pyenv install 2.7.18 && cargo xtask test --only autobahn-server,autobahn-client";
    let old = find(&["python2.7", "python2"], |python| (python.version.0, python.version.1) == (2, 7))
        .ok_or_else(|| Stop::not_run("Autobahn's suite needs CPython 2.7, and there is none here", remedy))?;
    let python = python3(site)?;
    let remedy = "cargo xtask test --only autobahn-server,autobahn-client";
    let maker = venv(site, "virtualenv", &python, &site.workspace.read(AUTOBAHN_VIRTUALENV)?, remedy)?;

    let requirements = site.workspace.read(AUTOBAHN)?;
    let dir = site.dir("autobahn");
    stamped(&dir, &old.recipe(&requirements), || {
        site.say("installing the Autobahn test suite");
        let make = || {
            let mut virtualenv = clean(Command::new(&maker));
            virtualenv
                .args(["-m", "virtualenv", "--quiet", "--no-periodic-update", "--python"])
                .arg(&old.path)
                .arg(&dir);
            site.run(&mut virtualenv, 60)?;
            fs::write(dir.join("requirements.txt"), &requirements)?;
            let mut pip = clean(Command::new(dir.join("bin/python")));
            pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--requirement"])
                .arg(dir.join("requirements.txt"));
            site.fetch(&mut pip, 600)
        };
        make().map_err(|stop| stop.unavailable("installing the Autobahn test suite", remedy))
    })?;
    Ok(vec![dir.join("bin/wstest")])
}

/// Makes an environment with these requirements and returns its Python.
fn venv(site: &Site<'_>, name: &str, python: &Interpreter, requirements: &str, remedy: &str) -> Result<PathBuf, Stop> {
    let dir = site.dir(name);
    stamped(&dir, &python.recipe(requirements), || {
        site.say(&format!("installing {}", words(requirements)));
        let make = || {
            site.run(clean(Command::new(&python.path)).args(["-m", "venv"]).arg(&dir), 120)?;
            fs::write(dir.join("requirements.txt"), requirements)?;
            let mut pip = clean(Command::new(dir.join("bin/python")));
            pip.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(dir.join("requirements.txt"));
            site.fetch(&mut pip, 300)
        };
        make().map_err(|stop| stop.unavailable(&format!("the Python environment {name}"), remedy))
    })?;
    Ok(dir.join("bin/python"))
}

/// Without what the caller's environment says about modules: an environment of its own is the point.
fn clean(mut command: Command) -> Command {
    command
        .env_remove("PYTHONPATH")
        .env_remove("PYTHONHOME")
        .env_remove("VIRTUAL_ENV")
        .env("PIP_REQUIRE_VIRTUALENV", "0");
    command
}

/// The requirements on one line, without comments.
fn words(requirements: &str) -> String {
    let lines = requirements.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A Python that starts.
#[derive(Clone, Debug)]
struct Interpreter {
    path: PathBuf,
    version: (u32, u32, u32),
    /// Whether it can make environments: on Debian that is a package of its own.
    has_venv: bool,
}

impl Interpreter {
    /// What an environment of this interpreter is made from.
    fn recipe(&self, requirements: &str) -> String {
        format!("{} {:?}\n{requirements}", self.path.display(), self.version)
    }
}

/// A Python 3 that today's packages run on and that can make environments.
fn python3(site: &mut Site<'_>) -> Result<Interpreter, Stop> {
    let names = ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10"];
    let fits = |python: &Interpreter| python.version.0 == 3 && python.version.1 >= 10 && python.has_venv;
    debian::ensure(site, &["python3", "python3-venv", "python3-pip"], || find(&names, fits).is_some())?;
    find(&names, fits)
        .ok_or_else(|| Stop::not_run("no Python 3.10 or newer that can make environments", "pyenv install 3.13"))
}

/// The first interpreter that fits: by these names on the PATH, then among pyenv's versions, newest first.
fn find(names: &[&str], fits: impl Fn(&Interpreter) -> bool) -> Option<Interpreter> {
    let on_path = names.iter().flat_map(|name| all_on_path(name));
    let in_pyenv = pyenv_versions().into_iter().map(|dir| dir.join("bin/python"));
    on_path.chain(in_pyenv).filter_map(|path| ask(&path)).find(|python| fits(python))
}

/// Starts an interpreter to learn what it is. One that does not start is none: pyenv puts programs on the PATH for
/// versions that are not switched on.
fn ask(path: &Path) -> Option<Interpreter> {
    const QUESTION: &str = "\
import sys
try:
    import venv, ensurepip, pip
    has_venv = 1
except ImportError:
    has_venv = 0
print('%d %d %d %d %s' % (sys.version_info[:3] + (has_venv, sys.executable)))";
    answer(&process::quick_output(clean(Command::new(path)).args(["-c", QUESTION]))?)
}

fn answer(text: &str) -> Option<Interpreter> {
    let mut parts = text.trim().splitn(5, ' ');
    let mut number = || parts.next()?.parse::<u32>().ok();
    let version = (number()?, number()?, number()?);
    let has_venv = number()? == 1;
    Some(Interpreter { path: parts.next()?.into(), version, has_venv })
}

/// The folders of pyenv's versions, newest first.
fn pyenv_versions() -> Vec<PathBuf> {
    let root = env::var_os("PYENV_ROOT").map(PathBuf::from).or_else(|| env::home_dir().map(|home| home.join(".pyenv")));
    let entries = root.and_then(|root| fs::read_dir(root.join("versions")).ok()).into_iter().flatten().flatten();
    let mut dirs: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    dirs.sort_by_key(|dir| std::cmp::Reverse(version_of(dir)));
    dirs
}

fn version_of(dir: &Path) -> Vec<u32> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interpreter_says_its_version_and_place() {
        let python = answer("3 10 13 1 /opt/a b/python3.10\n").unwrap();
        assert_eq!(python.version, (3, 10, 13));
        assert!(python.has_venv);
        assert_eq!(python.path, Path::new("/opt/a b/python3.10"));
        assert!(answer("pyenv: python2.7: command not found").is_none());
    }

    #[test]
    fn versions_sort_as_numbers() {
        assert!(version_of(Path::new("/v/3.10.13")) > version_of(Path::new("/v/3.9.18")));
    }

    #[test]
    fn requirements_are_shown_without_comments() {
        assert_eq!(words("# why\nwebsockets==1 # note\n\nfastapi==2\n"), "websockets==1 fastapi==2");
    }
}
