//! What commands do, in virtual time.

mod delivery;
mod issuing;
mod limits;
mod model;
mod support;
