//! The client in a simulated world.

mod events;
mod world;
