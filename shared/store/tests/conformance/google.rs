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

faced!(Google:
    a_name_is_written_once_whatever_befalls_the_request,
    a_connection_that_is_always_cut_is_told_and_not_waited_for,
    what_is_torn_is_read_on_from_where_it_ended,
    a_listing_is_read_page_by_page_and_no_further_than_needed,
    whoever_is_not_known_is_told_from_one_who_gets_no_answer,
    a_bucket_that_is_not_there_is_named_as_such,
    a_bucket_that_overwrites_is_refused,
    several_may_look_at_a_new_bucket_at_the_same_time,
);
