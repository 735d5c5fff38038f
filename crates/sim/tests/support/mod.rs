//! What the tests of small worlds share: real namespaces, and the walk asked of what was read of them.

pub(crate) mod namespaces;
pub(crate) mod said;
