//! Reads the conformance cases that `../corpus/README.md` describes.

use serde_json::Value;
use sse_core::{DecodeError, Message};

use super::message;

/// Returns the cases of a file.
pub(crate) fn cases(json: &str) -> Vec<Value> {
    serde_json::from_str(json).unwrap()
}

/// Returns a string of the corpus, written as a string or as `{"repeat": [[text, count], …]}`.
pub(crate) fn text(value: &Value) -> String {
    if let Value::String(text) = value {
        return text.clone();
    }
    let parts = value["repeat"].as_array().unwrap();
    parts.iter().map(|part| part[0].as_str().unwrap().repeat(number(&part[1]) as usize)).collect()
}

/// Returns a number of the corpus, written as a number or as decimal digits. Larger numbers than `u64::MAX` saturate.
pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap_or(u64::MAX))
}

pub(crate) fn messages(value: &Value) -> Vec<Result<Message, DecodeError>> {
    let messages = value.as_array().unwrap().iter();
    messages
        .map(|value| Ok(message(&text(&value["event"]), &text(&value["data"]), &text(&value["id"]))))
        .collect()
}

pub(crate) fn base64(text: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for byte in text.bytes().filter(|byte| *byte != b'=') {
        bits = bits << 6 | alphabet.iter().position(|letter| *letter == byte).unwrap() as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}
