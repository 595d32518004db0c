//! The loop in virtual time, over simulated transports.

mod adoption;
mod answers;
mod control;
mod keepalive;
mod large;
mod pausing;
mod publishing;
mod slow;
mod support;
mod whole;
