//! Shared numbers by HTTP.

use axum::extract::State as Given;
use serde::{Deserialize, Serialize};
use tautline_engine::Host;
use utoipa::ToSchema;

use super::extract::{Asked, Limit, MayChange, MayRead, Name, Page, Sent};
use super::{Json, RETRY_AFTER, State, ask, have_done};
use crate::apps::{Action, Counters, Unchanged};
use crate::http::problem::{Kind, Problem};

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NumberList {
    /// By name.
    states: Vec<Number>,
    /// `after` of the next part; absent if this is the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Number {
    name: String,
    value: i64,
    /// How many clients are connected to it.
    users: usize,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Changed {
    name: String,
    /// The value with this change, and without those that came after it.
    value: i64,
}

/// What is to be done with a number. It stays where it is at the ends of its range.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(tag = "action", rename_all = "lowercase")]
pub(super) enum Change {
    /// Adds.
    Plus {
        /// How much.
        #[serde(default = "unit")]
        #[schema(default = 1)]
        by: i64,
    },
    /// Subtracts.
    Minus {
        /// How much.
        #[serde(default = "unit")]
        #[schema(default = 1)]
        by: i64,
    },
    /// Sets.
    Set {
        /// To what.
        value: i64,
    },
}

fn unit() -> i64 {
    1
}

impl From<Change> for Action {
    fn from(change: Change) -> Self {
        match change {
            Change::Plus { by } => Self::Add(by),
            Change::Minus { by } => Self::Subtract(by),
            Change::Set { value } => Self::Set(value),
        }
    }
}

/// Shared numbers
///
/// The numbers that are not zero or have users, by name. The one at `/counter` is called `counter`.
#[utoipa::path(get, path = "/api/state", tag = "state", params(Page), responses((status = 200, body = NumberList)))]
pub(super) async fn list(
    _: MayRead,
    Given(state): Given<State>,
    Asked(page): Asked<Page>,
) -> Result<Json<NumberList>, Problem> {
    let Page { after, limit: Limit(limit) } = page;
    let mut numbers = Vec::new();
    for host in state.site.counters().into_iter().flat_map(|homes| homes.iter()) {
        let after = after.clone();
        numbers.extend(ask(host, move |counters, _| counters.list(after.as_deref(), limit + 1)).await?);
    }
    numbers.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let more = numbers.len() > limit;
    numbers.truncate(limit);
    let next = more.then(|| numbers.last().map(|(name, ..)| name.to_string())).flatten();
    let number = |(name, value, users): (std::sync::Arc<str>, _, _)| Number { name: name.to_string(), value, users };
    Ok(Json(NumberList { states: numbers.into_iter().map(number).collect(), next }))
}

/// One shared number
///
/// A number that nobody has changed is zero.
#[utoipa::path(get, path = "/api/state/{name}", tag = "state", params(("name" = String, Path, description = "Its name.")),
    responses((status = 200, body = Number)))]
pub(super) async fn one(_: MayRead, Name(name): Name, Given(state): Given<State>) -> Result<Json<Number>, Problem> {
    let asked = name.clone();
    let (value, users) = ask(state.number(&name)?, move |counters, _| counters.look(&asked)).await?;
    Ok(Json(Number { name, value, users }))
}

/// Change a shared number
///
/// The answer comes when the new value is stored. Where there is none in time (504), the change may have been made, or may
/// be made yet.
#[utoipa::path(post, path = "/api/state/{name}", tag = "state", params(("name" = String, Path, description = "Its name.")),
    request_body = Change, responses((status = 200, body = Changed)))]
pub(super) async fn change(
    _: MayChange,
    Name(name): Name,
    Given(state): Given<State>,
    Sent(change): Sent<Change>,
) -> Result<Json<Changed>, Problem> {
    let asked = name.clone();
    let outcome = have_done(state.number(&name)?, move |counters, io, reply| {
        counters.change_from_outside(io, &asked, change.into(), move |outcome| {
            // Who has asked may have left.
            let _ = reply.send(outcome);
        });
    });
    let refused = |why: Unchanged| {
        let kind = match why {
            Unchanged::Busy => Kind::Busy,
            Unchanged::NotStored => Kind::NotStored,
            Unchanged::TooMany => Kind::Full,
        };
        Problem::new(kind, why.to_string()).retry_after(RETRY_AFTER)
    };
    outcome.await?.map(|value| Json(Changed { name, value })).map_err(refused)
}

impl State {
    /// Who has a number.
    fn number(&self, name: &str) -> Result<&Host<Counters>, Problem> {
        let missing = || Problem::new(Kind::NotFound, "there are no shared numbers here");
        self.site.counters().map(|homes| homes.of(name)).ok_or_else(missing)
    }
}
