//! OneDrives and their sites.

use super::journal::Effect;
use super::model::{Drive, Person};
use super::{Cx, Tenant, VendorError};

/// Somebody known to a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteUser {
    /// The site's number for him.
    pub number: u32,
    /// Who he is.
    pub person: Person,
    /// Whether he administers the site.
    pub admin: bool,
}

const DAY_MS: i64 = 86_400_000;
/// From then on an unlicensed drive is read-only.
const READ_ONLY_AFTER_MS: i64 = 60 * DAY_MS;
/// From then on it is archived and cannot be reached.
const ARCHIVED_AFTER_MS: i64 = 93 * DAY_MS;
const LOGIN_PREFIX: &str = "i:0#.f|membership|";

impl Tenant {
    pub(super) fn get_drive(&self, cx: &Cx, who: &str) -> Result<Drive, VendorError> {
        let id = &self.seen(cx, who)?.id;
        let drive = self
            .drives
            .at(id, cx.as_of)
            .ok_or_else(|| VendorError::new(404, "ResourceNotFound", "User's mysite not found."))?;
        guard_archived(drive, cx.now)?;
        Ok(drive.clone())
    }

    pub(super) fn drive_by_id(&self, cx: &Cx, drive: &str) -> Result<Drive, VendorError> {
        let found = self
            .drives
            .iter_at(cx.as_of)
            .map(|(_, row)| row)
            .find(|row| row.id == drive || row.site_id == drive)
            .cloned();
        found.ok_or_else(|| VendorError::new(404, "itemNotFound", "The resource could not be found."))
    }

    pub(super) fn invite_to_drive(&mut self, cx: &Cx, drive: &str, address: &str) -> Result<Person, VendorError> {
        let owner = self.drive_by_id(cx, drive)?.owner;
        let invited = self
            .person(address)
            .cloned()
            .ok_or_else(|| VendorError::new(400, "invalidRequest", "One or more recipients could not be resolved."))?;
        self.guard_writable(cx, &owner)?;
        if let Some(row) = self.drives.edit(&owner, cx.now) {
            row.invited.insert(invited.id.clone());
        }
        self.note(cx.now, cx.actor(), Effect::DriveShared, &owner, &invited.id);
        Ok(invited)
    }

    /// The owner of the site at this path; SharePoint asks for a certificate first.
    fn site(&self, cx: &Cx, path: &str) -> Result<String, VendorError> {
        if cx.tune.sharepoint_needs_certificate && !cx.caller.certificate {
            return Err(VendorError::new(
                401,
                "-2147024891, System.UnauthorizedAccessException",
                "Unsupported app only token.",
            ));
        }
        self.drives
            .iter()
            .find(|(_, drive)| drive.path.eq_ignore_ascii_case(path))
            .map(|(owner, _)| owner.to_owned())
            .ok_or_else(|| {
                VendorError::new(
                    404,
                    "-1, Microsoft.SharePoint.Client.ResourceNotFoundException",
                    "Cannot find the site.",
                )
            })
    }

    fn guard_writable(&self, cx: &Cx, owner: &str) -> Result<(), VendorError> {
        let Some(drive) = self.drives.get(owner) else {
            return Ok(());
        };
        guard_archived(drive, cx.now)?;
        match drive.clock_started_ms {
            Some(start) if cx.now - start >= READ_ONLY_AFTER_MS => Err(VendorError::new(
                423,
                "notAllowed",
                "The site is locked: its owner has no license.",
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn ensure_site_user(&mut self, cx: &Cx, path: &str, login: &str) -> Result<SiteUser, VendorError> {
        let owner = self.site(cx, path)?;
        self.guard_writable(cx, &owner)?;
        let upn = login.strip_prefix(LOGIN_PREFIX).unwrap_or(login);
        let person = self.person(upn).cloned().ok_or_else(|| {
            VendorError::new(
                404,
                "-2146232832, Microsoft.SharePoint.SPException",
                "The specified user could not be found.",
            )
        })?;
        let Some(row) = self.drives.edit(&owner, cx.now) else {
            return Err(VendorError::no_resource(path));
        };
        let next = row.site_users.values().max().copied().unwrap_or(0) + 1;
        let new = !row.site_users.contains_key(&person.id);
        let number = *row.site_users.entry(person.id.clone()).or_insert(next);
        let admin = row.admins.contains(&person.id);
        if new {
            self.note(cx.now, cx.actor(), Effect::SiteUserAdded, &owner, &person.id);
        }
        Ok(SiteUser { number, person, admin })
    }

    pub(super) fn list_site_users(&self, cx: &Cx, path: &str) -> Result<Vec<SiteUser>, VendorError> {
        let owner = self.site(cx, path)?;
        let Some(drive) = self.drives.at(&owner, cx.as_of) else {
            return Ok(Vec::new());
        };
        guard_archived(drive, cx.now)?;
        Ok(drive
            .site_users
            .iter()
            .filter_map(|(id, number)| {
                Some(SiteUser {
                    number: *number,
                    person: self.people.get(id)?.clone(),
                    admin: drive.admins.contains(id),
                })
            })
            .collect())
    }

    pub(super) fn set_site_admin(&mut self, cx: &Cx, path: &str, number: u32, admin: bool) -> Result<(), VendorError> {
        let owner = self.site(cx, path)?;
        self.guard_writable(cx, &owner)?;
        let drive = self.drives.get(&owner).ok_or_else(|| VendorError::no_resource(path))?;
        let Some(person) = drive
            .site_users
            .iter()
            .find(|(_, n)| **n == number)
            .map(|(id, _)| id.clone())
        else {
            return Err(VendorError::new(
                404,
                "-2146232832, Microsoft.SharePoint.SPException",
                "User cannot be found.",
            ));
        };
        let Some(row) = self.drives.edit(&owner, cx.now) else {
            return Err(VendorError::no_resource(path));
        };
        let changed = if admin {
            row.admins.insert(person.clone())
        } else {
            row.admins.remove(&person)
        };
        if changed {
            let effect = if admin {
                Effect::SiteAdminAdded
            } else {
                Effect::SiteAdminRemoved
            };
            self.note(cx.now, cx.actor(), effect, &owner, &person);
        }
        Ok(())
    }
}

fn guard_archived(drive: &Drive, now: i64) -> Result<(), VendorError> {
    match drive.clock_started_ms {
        Some(start) if now - start >= ARCHIVED_AFTER_MS => Err(VendorError::new(
            423,
            "resourceLocked",
            "The site is archived: its owner has had no license for 93 days.",
        )),
        _ => Ok(()),
    }
}
