//! Who was given the files is told to whoever lets the licences go.

use crate::model::*;
use offboard_domain::catalogue::Kind;
use offboard_domain::departure::{Manner, OneDriveChoice};
use offboard_domain::plan::plan;
use offboard_domain::{Facts, Policy};

#[test]
fn whoever_releases_licences_is_told_who_was_given_the_files() {
    let subject = Facts::new().with("object_id", "u-1").with("successor_id", "u-2");
    for (onedrive, told) in [(OneDriveChoice::HandOver, Some("u-2")), (OneDriveChoice::Ask, None)] {
        let mut d = departure(Manner::Planned);
        d.choices.onedrive = Some(onedrive);
        let planned = plan(d.case_id(), &d, &subject, &Policy::default(), &everything(), false).unwrap();
        for kind in [Kind::ReleaseGroupLicenses, Kind::ReleaseDirectLicenses] {
            let task = planned.tasks.iter().find(|t| t.kind == kind).unwrap();
            assert_eq!(task.params.text("successor_id"), told, "{kind}");
        }
    }
}
