//! What stands for a language model.

use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use serde_json::{Value, json};
use sse_core::Event;

/// Returns the last message of a request.
pub(crate) fn prompt(body: &[u8]) -> Option<String> {
    let request: Value = serde_json::from_slice(body).ok()?;
    Some(request["messages"].as_array()?.last()?["content"].as_str()?.to_owned())
}

/// Generates the chunks of an answer: the numbers up to that of the prompt at once, or its words backwards, ten a second. At the
/// word `fail`, the answer ends with an error, which is left in `failure`.
pub(crate) fn tokens(prompt: &str, failure: &mut Option<String>) -> impl Stream<Item = Event<'static>> {
    let (tokens, pause): (Vec<String>, _) = match prompt.parse::<u32>() {
        Ok(count) => ((1..=count).map(|number| number.to_string()).collect(), Duration::ZERO),
        Err(_) => (prompt.split_whitespace().rev().map(str::to_owned).collect(), Duration::from_millis(100)),
    };
    unfold((tokens.into_iter(), failure), move |(mut tokens, failure)| async move {
        let token = tokens.next()?;
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        if token == "fail" {
            *failure =
                Some(json!({"error": {"message": "the model failed", "type": "server_error"}}).to_string());
            return None;
        }
        Some((chunk(&token), (tokens, failure)))
    })
}

fn chunk(token: &str) -> Event<'static> {
    let chunk = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": "counter",
        "choices": [{"index": 0, "delta": {"content": format!("{token} ")}, "finish_reason": null}],
    });
    Event::new().data(chunk.to_string())
}
