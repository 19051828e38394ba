//! `world.rs` and `channels.rs` are the steps, `driver.rs`, `receive.rs` and `window.rs` move bytes, `publish.rs` publishes
//! events, `finished.rs` ends streams.
//! `server.rs`, `connection.rs`, `subscriptions.rs` and `client.rs` are the model, and `check.rs` compares it with
//! the hub.

pub(crate) mod channels;
pub(crate) mod check;
pub(crate) mod claims;
pub(crate) mod client;
pub(crate) mod connection;
pub(crate) mod driver;
pub(crate) mod finished;
pub(crate) mod publish;
pub(crate) mod random;
pub(crate) mod receive;
pub(crate) mod server;
pub(crate) mod settings;
pub(crate) mod subscriptions;
pub(crate) mod window;
pub(crate) mod world;
