//! The peer is server.cpp.
