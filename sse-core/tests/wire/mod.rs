//! Helpers for the tests of the wire format.
#![allow(dead_code, unused_imports, reason = "each test file uses a part of the helpers")]

pub(crate) mod corpus;
pub(crate) mod naive;

pub(crate) use corpus::{base64, cases, messages, number, text};
pub(crate) use naive::{Outcome, decode, decode_cut, every, message, naive, naive_lines};
