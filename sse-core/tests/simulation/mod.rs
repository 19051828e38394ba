//! `world.rs` and `channels.rs` are the steps, `driver.rs` and `window.rs` how bytes move, `publish.rs` how events come
//! in; `server.rs`, `connection.rs`, `subscriptions.rs` and `client.rs` are what the model knows; `check.rs` compares it
//! with the hub.

pub(crate) mod channels;
pub(crate) mod check;
pub(crate) mod client;
pub(crate) mod connection;
pub(crate) mod driver;
pub(crate) mod publish;
pub(crate) mod random;
pub(crate) mod server;
pub(crate) mod settings;
pub(crate) mod subscriptions;
pub(crate) mod window;
pub(crate) mod world;
