//! The Postgres wire over real sockets: by hand, byte by byte, and with psql.

#[path = "wire/client.rs"]
mod client;
#[path = "wire/extended.rs"]
mod extended;
#[path = "wire/house.rs"]
mod house;
#[path = "wire/psql.rs"]
mod psql;
#[path = "wire/robust.rs"]
mod robust;
#[path = "wire/simple.rs"]
mod simple;
#[path = "wire/startup.rs"]
mod startup;
