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

faced!(Azure:
    a_name_is_written_once_whatever_befalls_the_request,
    a_connection_that_is_always_cut_is_told_and_not_waited_for,
    what_is_torn_is_read_on_from_where_it_ended,
    a_listing_is_read_page_by_page_and_no_further_than_needed,
    whoever_is_not_known_is_told_from_one_who_gets_no_answer,
    a_bucket_that_is_not_there_is_named_as_such,
    a_bucket_that_overwrites_is_refused,
    several_may_look_at_a_new_bucket_at_the_same_time,
);
