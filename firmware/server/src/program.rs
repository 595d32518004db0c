//! What the server does with its clients.

use core::fmt::{self, Write};

use tautline_device::Text;
use tautline_device_server::{
    Asset, ClientId, Gather, Gathered, Handler, Io, Method, Outcome, Request, Respond, Responded,
};
use tautline_firmware_app::Board;
use tautline_firmware_app::blink::Punctuality;
use tautline_proto::app::{Message, Opening, Slow};
use tautline_proto::{Data, Ended};

use crate::CLIENTS;

static PAGES: [Asset; 1] = [Asset::new("/", "text/html; charset=utf-8", include_bytes!("page.html")).tagged(concat!(
    "\"",
    env!("CARGO_PKG_VERSION"),
    "\""
))];

const RECEIVED: &str = r#"{"status": "success", "message": "Received your request."}"#;
/// The longest body of a POST that nobody reads.
const LONGEST_BODY: u64 = 64 * 1024;
/// What is read: the state of the lamp, or what a client does to the counter.
const INPUT: usize = 64;
/// The longest message about the counter.
const EVENT: usize = 64;

/// A counter, a lamp and an echo.
pub(crate) struct Program {
    board: &'static dyn Board,
    count: i32,
    places: [Place; CLIENTS],
}

/// What a client is here for, and what it is saying.
struct Place {
    errand: Errand,
    input: Gather<INPUT>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Errand {
    Echo,
    Counter,
    Lamp,
}

impl Program {
    /// With the counter at 0.
    pub(crate) fn new(board: &'static dyn Board) -> Self {
        let places = [const { Place { errand: Errand::Echo, input: Gather::new() } }; CLIENTS];
        Self { board, count: 0, places }
    }

    fn place(&mut self, client: ClientId) -> &mut Place {
        &mut self.places[client.slot()]
    }

    /// Tells everybody who watches the counter.
    fn publish(&self, io: &mut dyn Io, event: Event) {
        let mut memory = [0; EVENT];
        let watches = |client: ClientId| self.places[client.slot()].errand == Errand::Counter;
        io.publish(&mut { watches }, event.message(&mut memory), Slow::KeepLatest);
    }

    fn users(&self) -> Event {
        Event::Users(self.places.iter().filter(|place| place.errand == Errand::Counter).count())
    }
}

impl Handler for Program {
    fn request(&mut self, _: &mut dyn Io, request: &Request<'_>, respond: Respond<'_>) -> Outcome {
        let place = self.place(request.client());
        place.input.clear();
        place.errand = if request.path() == "/lamp" { Errand::Lamp } else { Errand::Echo };
        match (request.method(), request.path()) {
            (Method::Post, "/lamp") => Outcome::Json { limit: INPUT as u64 },
            (Method::Post, _) => Outcome::Body { limit: LONGEST_BODY },
            (Method::Get | Method::Head, "/light") => respond.json(200, Light(self.board.punctuality())).into(),
            (_, path) => match Asset::find(&PAGES, path) {
                Some(page) => respond.asset(page).into(),
                None => respond.not_found().into(),
            },
        }
    }

    fn body(&mut self, _: &mut dyn Io, client: ClientId, piece: &[u8]) {
        self.place(client).input.push(piece);
    }

    fn complete(&mut self, _: &mut dyn Io, client: ClientId, respond: Respond<'_>) -> Responded {
        let place = &self.places[client.slot()];
        if place.errand != Errand::Lamp {
            return respond.json(200, RECEIVED);
        }
        let on = match place.input.bytes() {
            Some(b"true") => true,
            Some(b"false") => false,
            _ => return respond.error(422),
        };
        self.board.lamp(on);
        respond.json(200, on)
    }

    fn open(&mut self, io: &mut dyn Io, client: ClientId, opening: &Opening<'_>) {
        let counts = opening.path == "/counter";
        self.place(client).errand = if counts { Errand::Counter } else { Errand::Echo };
        if counts {
            self.publish(io, self.users());
            let mut memory = [0; EVENT];
            let _ = io.send(client, Event::State(self.count).message(&mut memory)); // there is room for the first messages
        }
    }

    fn message(&mut self, io: &mut dyn Io, client: ClientId, data: &Data<'_>) {
        let place = &mut self.places[client.slot()];
        if place.errand != Errand::Counter {
            // Piece by piece, so that messages may be larger than our memory. What comes always fits back.
            let _ = io.send_part(client, data.part(), data.bytes());
            return;
        }
        let Gathered::Whole(message) = place.input.message(data) else { return };
        let step = match message {
            Message::Text(text) if says(text, r#"{"action":"plus"}"#) => 1,
            Message::Text(text) if says(text, r#"{"action":"minus"}"#) => -1,
            _ => return,
        };
        self.count = self.count.wrapping_add(step);
        self.publish(io, Event::State(self.count));
    }

    fn closed(&mut self, io: &mut dyn Io, client: ClientId, _: Ended) {
        let place = self.place(client);
        let counted = place.errand == Errand::Counter;
        place.errand = Errand::Echo;
        if counted {
            self.publish(io, self.users());
        }
        self.board.print(format_args!("{}", self.board.punctuality()));
    }
}

/// Whether this is that JSON, however it is spaced.
fn says(text: &str, json: &str) -> bool {
    text.bytes().filter(|byte| !byte.is_ascii_whitespace()).eq(json.bytes())
}

/// What those who watch the counter are told, in the words of the labs.
enum Event {
    State(i32),
    Users(usize),
}

impl Event {
    fn message(self, memory: &mut [u8; EVENT]) -> Message<'_> {
        let mut text = Text::new(memory);
        // Nothing that it writes to can fail.
        let _ = match self {
            Self::State(value) => write!(text, r#"{{"type": "state", "value": {value}}}"#),
            Self::Users(count) => write!(text, r#"{{"type": "users", "count": {count}}}"#),
        };
        Message::Text(text.finish().expect("an event is short"))
    }
}

/// How punctual the light is, in JSON.
struct Light(Punctuality);

impl fmt::Display for Light {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, r#"{{"edges": {}, "worst_us": {}}}"#, self.0.edges, self.0.worst_us)
    }
}
