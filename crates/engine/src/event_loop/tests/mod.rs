//! The loop in virtual time, over simulated transports.

mod adoption;
mod answers;
mod closing;
mod compression;
mod control;
mod inspecting;
mod keepalive;
mod large;
mod panics;
mod pausing;
mod probing;
mod publishing;
mod random;
mod sharing;
mod shutdown;
mod slow;
mod support;
mod timers;
mod whole;
