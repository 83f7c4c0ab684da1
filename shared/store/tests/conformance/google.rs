//! The store in a bucket of Google's, whoever writes known by a service account's key.

use crate::backend::conformance;
use crate::faces::{Faced, Vendor, faced};
use offboard_runtime::config::Cloud;
use offboard_sim::face::{BucketFace, GoogleStorageFace, public_key};

/// A key that is everybody's.
const KEY: &str = include_str!("../../../../workers/connectors/tests/data/test-key.pem");
const WHO: &str = "offboard@project.iam.example";

struct Google;

impl Vendor for Google {
    const CLOUD: Cloud = Cloud::Google;

    fn key() -> String {
        let key = KEY.replace('\n', "\\n");
        format!(r#"{{"private_key":"{key}","private_key_id":"only-for-tests","client_email":"{WHO}"}}"#)
    }

    fn face() -> BucketFace {
        BucketFace::Google(GoogleStorageFace::new(WHO, public_key(KEY).unwrap()))
    }

    fn strangers() -> Vec<BucketFace> {
        let his = public_key(KEY).unwrap();
        let mut anothers = his.clone();
        anothers[100] ^= 1;
        [(WHO, anothers), ("somebody@project.iam.example", his)]
            .map(|(who, key)| BucketFace::Google(GoogleStorageFace::new(who, key)))
            .into()
    }
}

conformance!(Faced<Google>);

faced!(Google);
