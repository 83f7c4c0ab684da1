//! Cmdlets about the mobile devices that read a mailbox.

use serde_json::{Value, json};

use super::{CmdletOutput, Given, done, rows, time};
use crate::world::journal::Effect;
use crate::world::model::{Mailbox, Mobile};
use crate::world::{Cx, Tenant, VendorError};

impl Tenant {
    pub(super) fn get_mobile_device(&self, cx: &Cx, given: &Given) -> Result<CmdletOutput, VendorError> {
        given.only(&["Mailbox", "Identity"])?;
        let found = self.mobiles_about(cx, given)?;
        Ok(rows(
            found
                .into_iter()
                .map(|(mailbox, mobile)| device_row(mailbox, mobile))
                .collect(),
        ))
    }

    pub(super) fn get_mobile_device_statistics(&self, cx: &Cx, given: &Given) -> Result<CmdletOutput, VendorError> {
        given.only(&["Mailbox", "Identity"])?;
        let found = self.mobiles_about(cx, given)?;
        Ok(rows(
            found
                .into_iter()
                .map(|(mailbox, mobile)| {
                    let (asked, account_only, acknowledged) = mobile
                        .wipe
                        .map_or((None, false, None), |(asked, account, acknowledged)| {
                            (Some(asked), account, acknowledged)
                        });
                    let status = match (asked, acknowledged) {
                        (None, _) => "DeviceOk",
                        (Some(_), None) => "DeviceWipePending",
                        (Some(_), Some(_)) => "DeviceWipeSucceeded",
                    };
                    let mut row = device_row(mailbox, mobile);
                    row["DeviceWipeRequestTime"] = time(asked);
                    row["DeviceWipeSentTime"] = time(acknowledged);
                    row["DeviceWipeAckTime"] = time(acknowledged);
                    row["LastDeviceWipeRequestor"] = Value::Null;
                    row["IsRemoteWipeSupported"] = json!(true);
                    row["AccountOnlyWipe"] = json!(account_only);
                    row["Status"] = json!(status);
                    row
                })
                .collect(),
        ))
    }

    fn mobiles_about(&self, cx: &Cx, given: &Given) -> Result<Vec<(&Mailbox, &Mobile)>, VendorError> {
        if let Some(mailbox) = given.text("Mailbox") {
            let mailbox = self.mailbox_seen(cx, mailbox)?;
            return Ok(mailbox.mobiles.iter().map(|mobile| (mailbox, mobile)).collect());
        }
        let identity = given.required("Identity")?;
        let wanted = last_part(identity);
        self.mailboxes
            .iter_at(cx.as_of)
            .find_map(|(_, mailbox)| {
                Some((
                    mailbox,
                    mailbox.mobiles.iter().find(|mobile| is_called(mobile, wanted))?,
                ))
            })
            .map(|found| vec![found])
            .ok_or_else(|| VendorError::no_recipient(identity))
    }

    fn mobile_of(&self, identity: &str) -> Result<(String, bool, Mobile), VendorError> {
        let wanted = last_part(identity);
        self.mailboxes
            .iter()
            .find_map(|(owner, mailbox)| {
                let mobile = mailbox.mobiles.iter().find(|mobile| is_called(mobile, wanted))?;
                let leaving = mailbox.shared || mailbox.conversion.is_some_and(|conversion| conversion.to_shared);
                Some((owner.to_owned(), leaving, mobile.clone()))
            })
            .ok_or_else(|| VendorError::no_recipient(identity))
    }

    pub(super) fn clear_mobile_device(&mut self, cx: &Cx, given: &Given) -> Result<CmdletOutput, VendorError> {
        given.only(&["Identity", "AccountOnly", "Cancel", "NotificationEmailAddresses"])?;
        let (owner, shared, mobile) = self.mobile_of(given.required("Identity")?)?;
        let account_only = given.flag("AccountOnly").unwrap_or(false);
        if shared {
            return Err(VendorError::cmdlet(
                400,
                "InvalidOperationException",
                "The remote device wipe can't be requested because the mailbox is a shared mailbox.",
            ));
        }
        if account_only && !mobile.account_wipe {
            return Err(VendorError::cmdlet(
                400,
                "InvalidOperationException",
                "The account-only remote device wipe is not supported by the device's protocol version.",
            ));
        }
        if mobile.wipe.is_none() {
            self.order_mobile_wipe(cx, &owner, &mobile.id, account_only);
        }
        Ok(done())
    }

    pub(super) fn remove_mobile_device(&mut self, cx: &Cx, given: &Given) -> Result<CmdletOutput, VendorError> {
        given.only(&["Identity"])?;
        let (owner, _, mobile) = self.mobile_of(given.required("Identity")?)?;
        if let Some(mailbox) = self.mailboxes.edit(&owner, cx.now) {
            mailbox.mobiles.retain(|row| row.id != mobile.id);
        }
        self.note(cx.now, cx.actor(), Effect::MobileRemoved, &owner, &mobile.id);
        Ok(done())
    }
}

fn last_part(identity: &str) -> &str {
    identity.rsplit(['\\', '/']).next().unwrap_or(identity)
}

fn is_called(mobile: &Mobile, wanted: &str) -> bool {
    mobile.id.eq_ignore_ascii_case(wanted) || mobile.device_id.eq_ignore_ascii_case(wanted)
}

fn device_row(mailbox: &Mailbox, mobile: &Mobile) -> Value {
    json!({
        "ClientType": if mobile.client == "EAS" { "EAS" } else { "Outlook" },
        "ClientVersion": if mobile.account_wipe { "16.1" } else { "14.1" },
        "DeviceAccessState": "Allowed",
        "DeviceId": mobile.device_id,
        "DeviceModel": mobile.model,
        "DeviceOS": mobile.os,
        "DeviceType": mobile.model,
        "FriendlyName": mobile.model,
        "Guid": mobile.id,
        "Identity": format!("{}\\MobileDevices\\{}", mailbox.owner, mobile.id),
        "UserDisplayName": mailbox.display_name,
    })
}
