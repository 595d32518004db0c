//! What comes from the hub, and where it was left off.

use embassy_sync::blocking_mutex::raw::RawMutex;
use tautline_proto::Kind;

use crate::event::{Event, Handler};
use crate::text::Text;
use crate::whole::{Put, Whole};

use super::envelope::{Command, Content, Envelope, Field, Incoming, Recovered};
use super::room::Room;

/// The hexadecimal digits of an epoch.
const EPOCH: usize = 16;

/// How many commands are remembered. The hub has eight under way at most.
const COMMANDS: usize = 8;

/// A member of a room: the [`Handler`] for a client that speaks `tautline.v1.json`.
#[derive(Debug)]
pub struct Member<'l, 'm, 'b, M: RawMutex, F> {
    room: Room<'l, 'm, M>,
    whole: Whole<'b>,
    handler: F,
    place: Place,
    /// The latest commands, by a hash of their ids.
    commands: [u32; COMMANDS],
    next_command: usize,
    /// Whether the hub was too busy for a message.
    busy: bool,
}

/// How far the member has come.
#[derive(Debug)]
struct Place {
    /// Zeros before the first welcome.
    epoch: [u8; EPOCH],
    offset: u64,
}

impl<'l, 'm, 'b, M: RawMutex, F: FnMut(Incoming<'_>)> Member<'l, 'm, 'b, M, F> {
    /// A member of `room`. `memory` is as long as the longest message from the hub; those that are longer are told as
    /// [`Incoming::Unreadable`]. `handler` is told what comes in.
    pub const fn new(room: Room<'l, 'm, M>, memory: &'b mut [u8], handler: F) -> Self {
        Self {
            room,
            whole: Whole::new(memory),
            handler,
            place: Place { epoch: [0; EPOCH], offset: 0 },
            commands: [0; COMMANDS],
            next_command: 0,
            busy: false,
        }
    }
}

impl<M: RawMutex, F: FnMut(Incoming<'_>)> Handler for Member<'_, '_, '_, M, F> {
    fn event(&mut self, event: Event<'_>) {
        let Self { room, whole, handler, place, commands, next_command, busy } = self;
        match event {
            Event::Data(data) => match whole.push(&data) {
                Put::Incomplete => {}
                Put::TooLarge | Put::Message(Kind::Binary, _) => handler(Incoming::Unreadable),
                Put::Message(Kind::Text, bytes) => match Envelope::read(bytes) {
                    Err(bytes) => handler(Incoming::Other(core::str::from_utf8(bytes).unwrap_or_default())),
                    Ok(envelope) => {
                        if envelope.text(Field::Type) == "command" {
                            let again = !remember(commands, next_command, envelope.text(Field::Id));
                            handler(Incoming::Command(command(&envelope, again)));
                        } else if let Some(incoming) = place.take(room, &envelope, busy) {
                            handler(incoming);
                        }
                    }
                },
            },
            // The server answers pings, so it may have time for what it had none for.
            Event::Pong { .. } if core::mem::take(busy) => {
                room.again();
                handler(Incoming::Link(event));
            }
            event => handler(Incoming::Link(event)),
        }
    }

    fn query(&mut self, query: &mut Text<'_>) {
        if self.place.epoch != [0; EPOCH] {
            query.put("epoch=");
            query.bytes(&self.place.epoch);
            query.put("&offset=");
            query.decimal(self.place.offset);
        }
    }
}

impl Place {
    /// Follows an envelope, and says what it means. `None`: nothing new.
    fn take<'e, M: RawMutex>(
        &mut self,
        room: &Room<'_, '_, M>,
        envelope: &Envelope<'e>,
        busy: &mut bool,
    ) -> Option<Incoming<'e>> {
        let number = room.number(envelope.text(Field::Id));
        Some(match envelope.text(Field::Type) {
            "welcome" => {
                // An epoch that is none of the hub's would be refused in the next request.
                let epoch = envelope.text(Field::Epoch).as_bytes();
                self.epoch = epoch.try_into().ok().filter(is_epoch).unwrap_or_default();
                self.offset = envelope.number(Field::Offset).unwrap_or_default();
                Incoming::Welcome {
                    client: envelope.text(Field::Client),
                    room: envelope.text(Field::Room),
                    recovered: match envelope.text(Field::Recovered) {
                        "all" => Recovered::All,
                        "gap" => Recovered::Gap,
                        _ => Recovered::None,
                    },
                    count: envelope.number(Field::Count).unwrap_or_default(),
                }
            }
            "message" => {
                let offset = envelope.number(Field::Offset).unwrap_or_default();
                if offset <= self.offset {
                    return None;
                }
                self.offset = offset;
                Incoming::Message {
                    from: envelope.text(Field::From),
                    at: envelope.number(Field::At).unwrap_or_default(),
                    offset,
                    content: content(envelope)?,
                }
            }
            "ack" => {
                self.offset = self.offset.max(envelope.number(Field::Offset).unwrap_or_default());
                let number = number.filter(|number| room.settle(*number))?;
                Incoming::Acknowledged { number }
            }
            "error" => {
                let code = envelope.text(Field::Code);
                // Those pass; with all others the same message would be refused again.
                if matches!(code, "busy" | "not-stored") {
                    *busy = true;
                } else if let Some(number) = number {
                    room.settle(number);
                }
                Incoming::Error { number, code, message: envelope.text(Field::Message) }
            }
            "twin" => Incoming::Twin {
                version: envelope.number(Field::Version).unwrap_or_default(),
                delta: envelope.find(Field::Delta).unwrap_or("{}"),
            },
            _ => Incoming::Other(envelope.whole()),
        })
    }
}

fn content<'e>(envelope: &Envelope<'e>) -> Option<Content<'e>> {
    None.or_else(|| envelope.find(Field::Data).map(Content::Data))
        .or_else(|| envelope.find(Field::Text).map(Content::Text))
        .or_else(|| envelope.find(Field::Base64).map(Content::Base64))
}

fn command<'e>(envelope: &Envelope<'e>, again: bool) -> Command<'e> {
    Command {
        id: envelope.text(Field::Id),
        name: envelope.text(Field::Name),
        payload: envelope.find(Field::Payload).unwrap_or("null"),
        deadline: envelope.number(Field::Deadline).unwrap_or_default(),
        again,
    }
}

fn is_epoch(epoch: &[u8; EPOCH]) -> bool {
    epoch.iter().all(u8::is_ascii_hexdigit)
}

/// Remembers a command. Answers whether it is new.
fn remember(commands: &mut [u32; COMMANDS], next: &mut usize, id: &str) -> bool {
    // FNV-1a; not 0, which stands for nothing.
    let hash = id.bytes().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)) | 1;
    let new = !commands.contains(&hash);
    if new {
        commands[*next % COMMANDS] = hash;
        *next = (*next + 1) % COMMANDS;
    }
    new
}
