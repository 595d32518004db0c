//! State documents: what members ask of them, and what they are told.

use std::collections::HashMap;
use std::sync::Arc;

use tautline_proto::app::{Io, Message, Slow};
use tautline_rooms::{ChangeAnswer, DocumentEffect, DocumentKey, DocumentSettings, Documents, Member};
use tautline_store::{Reader, StoreError};

use super::app::{Rooms, connection, forbid, send};
use super::envelope::{self, Change, StateRequest};

/// The documents of all rooms of a loop, and who waits for an answer.
#[derive(Debug)]
pub(super) struct State {
    documents: Documents,
    asked: HashMap<u64, (DocumentKey, Asker)>,
}

/// Who has asked for something.
enum Asker {
    Member { member: Member, id: Option<Box<str>> },
    Outside(Box<dyn FnOnce(ChangeAnswer) + Send>),
}

impl std::fmt::Debug for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Member { member, .. } => f.debug_tuple("Member").field(member).finish(),
            Self::Outside(_) => f.write_str("Outside"),
        }
    }
}

/// A document from before a restart; without `json` one that was removed.
#[derive(Clone, Debug)]
pub(crate) struct KeptDocument {
    pub(crate) key: DocumentKey,
    version: u64,
    json: Option<Arc<str>>,
}

/// What a store has of documents, those that were removed first by the time when that was. It blocks.
pub(crate) fn restore_documents(reader: &mut dyn Reader) -> Result<Vec<KeptDocument>, StoreError> {
    let mut documents = reader.documents()?;
    documents.sort_by_key(|document| document.at_ms);
    let kept = documents.into_iter().map(|document| KeptDocument {
        key: DocumentKey { scope: document.room, name: document.name },
        version: document.version,
        json: document.json,
    });
    Ok(kept.collect())
}

impl State {
    /// Documents that are stored before anybody sees a change, or not.
    pub(super) fn new(durable: bool) -> Self {
        Self { documents: Documents::new(DocumentSettings::default(), durable), asked: HashMap::new() }
    }
}

impl Rooms {
    /// Brings a document back. To be called before anybody asks for it.
    pub(crate) fn restore_document(&mut self, kept: &KeptDocument) {
        let KeptDocument { key, version, json } = kept;
        if let Err(error) = self.state.documents.restore(key, *version, json.as_deref()) {
            tracing::error!(room = &*key.scope, document = &*key.name, %error, "a stored document is left out");
        }
    }

    /// The documents of a room with names behind `after`, by name, at most `limit` of them: version and length in bytes.
    pub(crate) fn documents(&self, room: &str, after: Option<&str>, limit: usize) -> Vec<(Arc<str>, u64, usize)> {
        let all = self.state.documents.list(room).filter(|(name, _)| Some(&***name) > after);
        all.take(limit).map(|(name, document)| (name.clone(), document.version, document.json.len())).collect()
    }

    /// Somebody who is no member asks. `answer` must not block; it is dropped if there is none.
    pub(crate) fn ask_document(
        &mut self,
        io: &mut dyn Io,
        key: &DocumentKey,
        change: Change,
        answer: impl FnOnce(ChangeAnswer) + Send + 'static,
    ) {
        self.ask(io, key, change, Asker::Outside(Box::new(answer)));
    }

    /// A member asks.
    pub(super) fn member_asks(&mut self, io: &mut dyn Io, member: Member, id: Option<&str>, request: StateRequest<'_>) {
        let Some(room) = self.core.member(member).and_then(|(room, ..)| self.core.view(room)) else { return };
        let rights = self.rights(member);
        // Every answer shows the document, or may.
        if !rights.subscribe {
            return forbid(io, member, id, "this client may not subscribe, nor see documents");
        }
        if !rights.publish && matches!(request.change, Change::Update(..) | Change::Remove(_)) {
            return forbid(io, member, id, "this client may not publish, nor change documents");
        }
        let key = DocumentKey { scope: room.name, name: (&*request.document).into() };
        if let Change::Subscribe(on) = request.change {
            if !on {
                self.state.documents.unsubscribe(member.0, &key);
            } else if let Err(problem) = self.state.documents.subscribe(member.0, &key) {
                let refused = ChangeAnswer::Refused(problem);
                send(io, member, &envelope::change_answer(id, &request.document, &refused));
            }
            return self.tell_documents(io);
        }
        let asker = Asker::Member { member, id: id.map(Into::into) };
        self.ask(io, &key, request.change, asker);
    }

    fn ask(&mut self, io: &mut dyn Io, key: &DocumentKey, change: Change, asker: Asker) {
        let ticket = self.next_ticket();
        self.state.asked.insert(ticket, (key.clone(), asker));
        let now = self.wall.at(io.now());
        let documents = &mut self.state.documents;
        match change {
            Change::Get => documents.get(ticket, key),
            Change::Update(update, if_version) => documents.update(now, ticket, key, &update, if_version),
            Change::Remove(if_version) => documents.remove(now, ticket, key, if_version),
            // Only members do, and they are told otherwise.
            Change::Subscribe(_) => drop(self.state.asked.remove(&ticket)),
        }
        self.tell_documents(io);
    }

    /// A change of a document was stored, or was not.
    pub(super) fn document_stored(&mut self, io: &mut dyn Io, key: &DocumentKey, stored: bool) {
        let now = self.wall.at(io.now());
        self.state.documents.stored(now, key, stored);
        self.tell_documents(io);
    }

    /// A member is gone.
    pub(super) fn forget_subscriber(&mut self, member: Member) {
        self.state.documents.forget(member.0);
    }

    /// Does what the documents ask for, until there is nothing left.
    fn tell_documents(&mut self, io: &mut dyn Io) {
        while let Some(effect) = self.state.documents.poll_effect() {
            match effect {
                DocumentEffect::Answer { ticket, answer } => {
                    let Some((key, asker)) = self.state.asked.remove(&ticket) else { continue };
                    // Every change is somebody's, and is answered once it is there for good.
                    if let ChangeAnswer::Done { version, json, changed: true } = &answer {
                        self.watch.events.document(&key.scope, &key.name, *version, json.is_none());
                    }
                    match asker {
                        Asker::Member { member, id } => {
                            send(io, member, &envelope::change_answer(id.as_deref(), &key.name, &answer));
                        }
                        Asker::Outside(tell) => tell(answer),
                    }
                }
                DocumentEffect::Snapshot { to, key, document } => {
                    send(io, Member(to), &envelope::document(None, &key.name, document.as_ref()));
                }
                DocumentEffect::Changed { key, version, delta, to } => {
                    let change = envelope::document_change(&key.name, version, &delta);
                    let mut to = to.into_iter().map(|to| connection(Member(to)));
                    // A delta that is missing would lead them astray: who is too slow begins anew.
                    io.publish(&mut to, Message::Text(&change), Slow::Disconnect);
                }
                DocumentEffect::Store { key, version, json, at } => match self.durability() {
                    Some(durability) => durability.store_document(key, version, json, at),
                    None => self.state.documents.stored(at, &key, false),
                },
            }
        }
    }
}
