//! The store in a container of Azure's, whoever writes known by the account's key.

use crate::backend::conformance;
use crate::faces::{ACCOUNT, Faced, Vendor, faced};
use offboard_runtime::config::Cloud;
use offboard_sim::face::{AzureBlobFace, BucketFace};

const KEY: &str = "b25seSBmb3IgdGVzdHMsIGFuZCBub2JvZHkncyBhY2NvdW50";
const ANOTHER: &str = "YW5vdGhlciBrZXksIGFsc28gb25seSBmb3IgdGVzdHM=";

struct Azure;

impl Vendor for Azure {
    const CLOUD: Cloud = Cloud::Azure;

    fn key() -> String {
        KEY.to_owned()
    }

    fn face() -> BucketFace {
        BucketFace::Azure(AzureBlobFace::new(ACCOUNT, KEY))
    }

    fn strangers() -> Vec<BucketFace> {
        [(ACCOUNT, ANOTHER), ("somebody", KEY)]
            .map(|(account, key)| BucketFace::Azure(AzureBlobFace::new(account, key)))
            .into()
    }
}

conformance!(Faced<Azure>);

faced!(Azure);
