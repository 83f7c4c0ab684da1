//! One device, out of what NinjaOne answered. Ids come as numbers, and here and
//! there as texts; a word that is not known here is not taken for one that is.

use super::SILENCED_BECAUSE;
use crate::{Endpoint, EndpointClass, EndpointStatus, Silence};
use offboard_domain::ObjectId;
use offboard_domain::estate::Serial;
use offboard_domain::unplanned::Software;
use serde_json::Value;

/// A whole number, also where it was written as a text.
pub(super) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// A text that says something.
pub(super) fn text(value: &Value) -> Option<String> {
    let text = value.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A time in seconds with a fraction, in milliseconds.
pub(super) fn time_ms(value: &Value) -> Option<i64> {
    let seconds = value.as_f64()?;
    // Beyond this, the product would be no time.
    (seconds.is_finite() && seconds.abs() < 1e11).then_some((seconds * 1_000.0) as i64)
}

/// The window that is open or will be. Ours is known by its reason: what another one
/// silences is not shown. The description has the window's end in milliseconds where
/// it is set, and other times in seconds: told by their size.
fn silence(maintenance: &Value) -> Option<Silence> {
    if !matches!(maintenance["status"].as_str(), Some("PENDING" | "IN_MAINTENANCE")) {
        return None;
    }
    let end = &maintenance["end"];
    let in_ms = || end.as_f64().filter(|ms| (1e11..1e14).contains(ms)).map(|ms| ms as i64);
    Some(Silence {
        until_ms: time_ms(end).or_else(in_ms)?,
        ours: maintenance["reasonMessage"].as_str() == Some(SILENCED_BECAUSE),
    })
}

/// The nodes that a person works at.
fn class(word: Option<&str>) -> EndpointClass {
    match word {
        Some("WINDOWS_WORKSTATION" | "LINUX_WORKSTATION" | "MAC") => EndpointClass::Workstation,
        Some("ANDROID" | "APPLE_IOS" | "APPLE_IPADOS") => EndpointClass::Mobile,
        _ => EndpointClass::Other,
    }
}

fn status(word: Option<&str>) -> EndpointStatus {
    match word {
        Some("APPROVED") => EndpointStatus::Managed,
        Some("PENDING" | "STAGED") => EndpointStatus::Pending,
        Some("DECOMMISSIONED") => EndpointStatus::Decommissioned,
        _ => EndpointStatus::Unknown,
    }
}

/// The serial number that the firmware says, else the maker's.
pub(super) fn serial(system: &Value) -> Option<Serial> {
    ["biosSerialNumber", "serialNumber"]
        .into_iter()
        .find_map(|name| system[name].as_str().and_then(Serial::parse))
}

/// A device, with the organisation that it says it is of; none if it has no id.
pub(super) fn endpoint(value: &Value) -> Option<(Endpoint, Option<u64>)> {
    let endpoint = Endpoint {
        id: ObjectId(number(&value["id"])?.to_string()),
        uid: text(&value["uid"]),
        owner_uid: text(&value["assignedOwnerUid"]),
        name: text(&value["displayName"]).or_else(|| text(&value["systemName"])),
        class: class(value["nodeClass"].as_str()),
        serial: serial(&value["system"]),
        status: status(value["approvalStatus"].as_str()),
        last_seen_ms: time_ms(&value["lastContact"]),
        silence: silence(&value["maintenance"]),
    };
    Some((endpoint, number(&value["organizationId"])))
}

/// A program; none if it has no name.
pub(super) fn software(value: &Value) -> Option<Software> {
    Some(Software {
        name: text(&value["name"])?,
        publisher: text(&value["publisher"]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_may_be_texts_and_unknown_words_are_not_guessed() {
        let (device, of) = endpoint(&json!({
            "id": "42", "organizationId": "7", "nodeClass": "QUANTUM_PC", "approvalStatus": "HALF_APPROVED",
            "lastContact": 1_700_000_000.5, "assignedOwnerUid": "", "added": {"later": true},
        }))
        .unwrap();
        assert_eq!((device.id.0.as_str(), of), ("42", Some(7)));
        assert_eq!(device.class, EndpointClass::Other);
        assert_eq!(device.status, EndpointStatus::Unknown);
        assert_eq!(device.last_seen_ms, Some(1_700_000_000_500));
        assert_eq!(device.owner_uid, None);
        assert!(endpoint(&json!({"id": -1})).is_none() && endpoint(&json!([])).is_none());
        assert_eq!(time_ms(&json!(1e300)), None);
    }

    #[test]
    fn a_window_that_failed_is_none_and_its_end_is_in_either_unit() {
        let until = |status: &str, end: f64| {
            silence(&json!({"status": status, "end": end, "reasonMessage": "patch day"})).map(|s| s.until_ms)
        };
        assert_eq!(until("IN_MAINTENANCE", 1_780_000_000.0), Some(1_780_000_000_000));
        assert_eq!(until("PENDING", 1_780_000_000_000.0), Some(1_780_000_000_000));
        assert_eq!(until("FAILED", 1_780_000_000.0), None);
        assert_eq!(until("IN_MAINTENANCE", f64::MAX), None);
        assert_eq!(silence(&Value::Null), None);
        for (reason, ours) in [(SILENCED_BECAUSE, true), ("patch day", false)] {
            let window = json!({"status": "PENDING", "end": 1_780_000_000.0, "reasonMessage": reason});
            assert_eq!(silence(&window).unwrap().ours, ours, "{reason}");
        }
    }

    #[test]
    fn the_firmware_s_number_goes_before_the_maker_s_if_it_is_one() {
        let of = |bios: &str, maker: &str| serial(&json!({"biosSerialNumber": bios, "serialNumber": maker}));
        assert_eq!(of("5cg1", "MXL2").unwrap().as_str(), "5CG1");
        assert_eq!(of("Default string", "MXL2").unwrap().as_str(), "MXL2");
        assert_eq!(of("0", "None"), None);
    }
}
