//! What documents do.

mod changes;
mod limits;
mod merge;
mod model;
mod subscriptions;
mod support;
