//! What stands between the network and the routes.

#[allow(dead_code)]
pub mod request_id;
