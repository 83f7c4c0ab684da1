//! The store in memory. Nobody can reach behind it, and what it holds goes
//! with it: a restart is another handle.

use crate::backend::{Backend, conformance};
use async_trait::async_trait;
use offboard_domain::Digest;
use offboard_store::Store;

struct Memory(Store);

#[async_trait]
impl Backend for Memory {
    async fn fresh() -> Self {
        Self(Store::memory())
    }

    fn store(&self) -> Store {
        self.0.clone()
    }

    async fn restart(self) -> Self {
        Self(self.store())
    }

    async fn damage(&self, _: Digest) -> bool {
        false
    }
}

conformance!(Memory);
