//! The places where `unsafe` is needed, and nothing else: entering namespaces, a socket option.
//!
//! Every function says what it leaves behind. Nothing here outlives the process but what its name
//! says (`create`).

pub mod netns;
pub mod tcp;
pub mod userns;
