//! The store in memory. Nobody can reach behind it, and what it holds goes
//! with it: a restart is another handle.

use crate::backend::{Backend, conformance};
use async_trait::async_trait;
use bytes::Bytes;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, PutPayload};
use offboard_domain::Digest;
use offboard_store::{Store, StoreError};
use std::sync::Arc;

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

#[tokio::test]
async fn what_one_site_puts_where_anothers_would_be_is_passed_over() {
    let inner = Arc::new(InMemory::new());
    let store = Store::on(inner.clone());
    let put = async |digest: Digest| {
        let hex = digest.to_string();
        let place = Path::from(format!("sites/berlin/objects/{}/{hex}", &hex[..2]));
        let lie = PutPayload::from_bytes(Bytes::from_static(b"a lie"));
        inner.put(&place, lie).await.unwrap();
    };
    let paris = store.site("paris").unwrap();
    let there = paris.put(Bytes::from_static(b"there")).await.unwrap();
    put(there).await;
    assert_eq!(store.get(there).await.unwrap(), &b"there"[..]);
    let nowhere = Digest::of(b"nowhere");
    put(nowhere).await;
    let said = store.get(nowhere).await.unwrap_err();
    assert!(
        matches!(&said, StoreError::Damaged { path, .. } if path.starts_with("sites/berlin/")),
        "{said}"
    );
    // How long it is, it claims; that it is there, nobody believes.
    assert_eq!(store.size(nowhere).await.unwrap(), Some(5));
    assert!(!store.holds(nowhere, 5).await.unwrap());
}
