//! What the device's files say: read once, at the start.

use core::fmt;

use static_cell::{ConstStaticCell, StaticCell};
use tautline_device_app::plan::{self, Plan};
use tautline_device_config::{Address, Config, Tls, Verification};
use tautline_device_tls::{Authority, Content, Identity, ServerName, Trust, der};

use crate::Chip;

/// The file with the configuration.
const CONFIG: &str = "config.json";
/// Room for what escapes in the configuration stand for.
const TEXTS: usize = 256;
/// Room for a certificate, and for a key, that is PEM.
const CERTIFICATE: usize = 768;
const KEY: usize = 192;

/// Everything that the device's files say.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// `config.json`.
    pub config: Config<'static>,
    /// `plan`.
    pub plan: Plan,
    /// Whom it believes, and who it is.
    pub(super) tls: Option<Credentials>,
}

/// What the files that `config.json` names hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Credentials {
    pub(super) server: ServerName<'static>,
    pub(super) trust: Trust<'static>,
    pub(super) identity: Option<&'static Identity<'static>>,
}

impl Setup {
    /// Reads the files. What is odd about them is printed, and so is what is wrong; `None` then.
    ///
    /// # Panics
    ///
    /// If it is called twice.
    pub fn read(board: &dyn Chip) -> Option<Self> {
        static MEMORY: ConstStaticCell<[u8; TEXTS]> = ConstStaticCell::new([0; TEXTS]);
        let wrong = |file: &str, problem: &dyn fmt::Display| board.print(format_args!("{file}: {problem}"));
        let files = board.files();
        let plan = Plan::parse(files.text(plan::FILE).unwrap_or_default());
        let plan = plan.inspect_err(|error| wrong(plan::FILE, error)).ok()?;
        let Some(file) = files.read(CONFIG) else {
            wrong(CONFIG, &"there is no such file");
            return None;
        };
        let config = Config::read(file, MEMORY.take(), |warning| wrong(CONFIG, &warning));
        let config = config.inspect_err(|error| wrong(CONFIG, error)).ok()?;
        if config.server.address() == Address::Placeholder {
            wrong(CONFIG, &"the server is still to be filled in");
            return None;
        }
        let tls = match &config.tls {
            Some(tls) => {
                let credentials = credentials(board, config.server.host, tls);
                Some(credentials.map_err(|(file, problem)| board.print(format_args!("{file}: {problem}"))).ok()?)
            }
            None => None,
        };
        Some(Self { config, plan, tls })
    }
}

/// What is wrong with which file.
type Wrong = (&'static str, &'static str);

fn credentials(board: &dyn Chip, host: &'static str, tls: &Tls<'static>) -> Result<Credentials, Wrong> {
    static FOR_AUTHORITY: ConstStaticCell<[u8; CERTIFICATE]> = ConstStaticCell::new([0; CERTIFICATE]);
    static FOR_CERTIFICATE: ConstStaticCell<[u8; CERTIFICATE]> = ConstStaticCell::new([0; CERTIFICATE]);
    static FOR_KEY: ConstStaticCell<[u8; KEY]> = ConstStaticCell::new([0; KEY]);
    static AUTHORITY: StaticCell<Authority<'static>> = StaticCell::new();
    static IDENTITY: StaticCell<Identity<'static>> = StaticCell::new();
    let trust = match tls.verification {
        Verification::Nothing => Trust::Anybody,
        Verification::Required => {
            let authority = read(board, tls.ca, Content::Certificate, FOR_AUTHORITY.take())?;
            let authority = Authority::new(authority).map_err(|error| (tls.ca, error.reason()))?;
            Trust::Authority(AUTHORITY.init(authority))
        }
    };
    let identity = match tls.identity {
        Some(files) => {
            let certificate = read(board, files.certificate, Content::Certificate, FOR_CERTIFICATE.take())?;
            let key = read(board, files.key, Content::Key, FOR_KEY.take())?;
            let identity = Identity::new(certificate, key);
            let identity =
                identity.map_err(|_| (files.certificate, "no certificate, or its key is not one on P-256"))?;
            Some(&*IDENTITY.init(identity))
        }
        None => None,
    };
    let server = ServerName::parse(host).ok_or((CONFIG, "the server's name can stand in no certificate"))?;
    Ok(Credentials { server, trust, identity })
}

fn read(
    board: &dyn Chip,
    file: &'static str,
    content: Content,
    memory: &'static mut [u8],
) -> Result<&'static [u8], Wrong> {
    let bytes = board.files().read(file).ok_or((file, "there is no such file"))?;
    der(bytes, content, memory).map_err(|_| (file, "neither DER nor PEM of what it should be, or too large"))
}
