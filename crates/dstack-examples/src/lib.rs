#![doc = include_str!("../README.md")]

mod catalogue;

pub use catalogue::{CATALOGUE, Example, Port, Resources, find};
