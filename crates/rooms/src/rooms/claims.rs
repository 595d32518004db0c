//! Two connections with one client id: who is alive?

use super::{Member, Rooms, Timer};
use crate::effect::Effect;
use crate::message::Timestamp;

/// How many may wait for one id. Further ones are refused at once.
const WAITING: usize = 8;

/// Somebody wants the id of a member.
#[derive(Debug)]
pub(super) struct Claim {
    /// Who waits to hear whether the member is alive.
    waiting: Vec<u64>,
    /// When the claim ends.
    until: Timestamp,
}

impl Rooms {
    /// A client was refused since its id is [`Taken`](crate::Refusal::Taken), and wants to know whether that is for long.
    /// [`Effect::Claimed`] answers.
    pub fn claim(&mut self, now: Timestamp, room: &str, client: &str, ticket: u64) {
        let Some(member) = self.find(room, client) else {
            return self.effects.push_back(Effect::Claimed { ticket, free: true });
        };
        let within = self.settings.of(room).probe_timeout;
        if let Some(claim) = self.claims.get_mut(&member) {
            // One that was heard from a moment ago, or that many wait for, is not asked again.
            if claim.waiting.is_empty() || claim.waiting.len() >= WAITING {
                self.effects.push_back(Effect::Claimed { ticket, free: false });
            } else {
                claim.waiting.push(ticket);
            }
            return;
        }
        // Whoever cannot be asked neither answers nor ends: it is alive then.
        let until = now + within + within / 2;
        self.claims.insert(member, Claim { waiting: vec![ticket], until });
        self.timers.insert((until, Timer::Claim(member)));
        self.effects.push_back(Effect::Probe { member, within });
    }

    /// A member whose connection was probed is alive.
    pub fn alive(&mut self, now: Timestamp, member: Member) {
        let Some(claim) = self.claims.get_mut(&member) else { return };
        for ticket in std::mem::take(&mut claim.waiting) {
            self.effects.push_back(Effect::Claimed { ticket, free: false });
        }
        // For a while there is no need to ask again.
        let Some(record) = self.members.get(&member) else { return };
        let until = now + self.rooms[record.room.index()].settings.probe_timeout;
        self.timers.remove(&(claim.until, Timer::Claim(member)));
        claim.until = until;
        self.timers.insert((until, Timer::Claim(member)));
    }

    /// A member is gone: its id is free.
    pub(super) fn release(&mut self, member: Member) {
        let Some(claim) = self.claims.remove(&member) else { return };
        self.timers.remove(&(claim.until, Timer::Claim(member)));
        for ticket in claim.waiting {
            self.effects.push_back(Effect::Claimed { ticket, free: true });
        }
    }

    pub(super) fn end_claim(&mut self, member: Member) {
        let Some(claim) = self.claims.remove(&member) else { return };
        for ticket in claim.waiting {
            self.effects.push_back(Effect::Claimed { ticket, free: false });
        }
    }
}
