//! How each thing of the world looks in Graph.

use serde_json::{Value, json};

use crate::iso;
use crate::world::catalogue::{self, Role};
use crate::world::model::{
    AppAssignment, AutoReply, Autopilot, DeviceOwner, Drive, EntraDevice, Event, Folder, Grant, Group, GroupKind,
    InboxRule, Mail, ManagedDevice, Method, MethodKind, Person, PhoneKind, Principal, Recurrence, RoleAssignment,
    SignIn, Until,
};
use crate::world::{MailboxSettings, Membership, PoolLine};

pub(super) fn user(person: &Person) -> Value {
    let on_prem = person.on_prem.as_ref();
    let licences: Vec<Value> = person
        .skus()
        .iter()
        .map(|sku| {
            let plans = catalogue::sku(sku).map_or(&[][..], |sku| sku.plans);
            let off = plans.iter().filter(|plan| !person.is_on(sku, plan.id));
            json!({"disabledPlans": off.map(|plan| plan.id).collect::<Vec<_>>(), "skuId": sku})
        })
        .collect();
    let state = |sku: &String, group: Option<&String>| {
        let off = person.disabled_plans.get(&(sku.clone(), group.cloned()));
        json!({
            "assignedByGroup": group,
            "disabledPlans": off.into_iter().flatten().collect::<Vec<_>>(),
            "error": "None",
            "lastUpdatedDateTime": iso(person.created_ms),
            "skuId": sku,
            "state": "Active",
        })
    };
    let direct = person.direct_licenses.iter().map(|sku| state(sku, None));
    let by_group = person
        .group_licenses
        .iter()
        .flat_map(|(sku, groups)| groups.iter().map(move |group| state(sku, Some(group))));
    json!({
        "accountEnabled": person.account_enabled,
        "assignedLicenses": licences,
        "businessPhones": [],
        "companyName": null,
        "createdDateTime": iso(person.created_ms),
        "department": person.department,
        "displayName": person.display_name,
        "employeeId": person.employee_id,
        "employeeLeaveDateTime": person.employee_leave_ms.map(iso),
        "givenName": person.given_name,
        "id": person.id,
        "jobTitle": person.job_title,
        "lastPasswordChangeDateTime": iso(person.password_changed_ms),
        "licenseAssignmentStates": direct.chain(by_group).collect::<Vec<_>>(),
        "mail": person.mail,
        "mailNickname": person.mail_nickname,
        "mobilePhone": person.mobile_phone,
        "officeLocation": null,
        "onPremisesDistinguishedName": on_prem.map(|on_prem| &on_prem.dn),
        "onPremisesImmutableId": on_prem.map(|on_prem| &on_prem.immutable_id),
        "onPremisesLastSyncDateTime": on_prem.map(|on_prem| iso(on_prem.last_sync_ms)),
        "onPremisesSamAccountName": on_prem.map(|on_prem| &on_prem.sam),
        "onPremisesSecurityIdentifier": on_prem.map(|on_prem| &on_prem.sid),
        "onPremisesSyncEnabled": on_prem.map(|_| true),
        "onPremisesUserPrincipalName": on_prem.map(|_| &person.upn),
        "otherMails": [],
        "preferredLanguage": null,
        "proxyAddresses": person.mail.iter().map(|mail| format!("SMTP:{mail}")).collect::<Vec<_>>(),
        "showInAddressList": person.show_in_address_list,
        "signInActivity": {
            "lastSignInDateTime": person.last_sign_in_ms.map(iso),
            "lastSuccessfulSignInDateTime": person.last_sign_in_ms.map(iso),
        },
        "signInSessionsValidFromDateTime": iso(person.sessions_valid_from_ms),
        "surname": person.surname,
        "usageLocation": person.usage_location,
        "userPrincipalName": person.upn,
        "userType": person.user_type,
    })
}

pub(super) fn group(group: &Group) -> Value {
    let unified = matches!(group.kind, GroupKind::Unified { .. });
    let mut types = Vec::new();
    if unified {
        types.push("Unified");
    }
    if group.rule.is_some() {
        types.push("DynamicMembership");
    }
    let mail_enabled = group.kind != GroupKind::Security;
    let security_enabled = matches!(group.kind, GroupKind::Security | GroupKind::MailSecurity);
    let off = |sku: &String| group.disabled_plans.get(sku).into_iter().flatten().collect::<Vec<_>>();
    json!({
        "assignedLicenses": group.licenses.iter().map(|sku| json!({"disabledPlans": off(sku), "skuId": sku})).collect::<Vec<_>>(),
        "createdDateTime": iso(group.created_ms),
        "description": null,
        "displayName": group.name,
        "groupTypes": types,
        "id": group.id,
        "isAssignableToRole": group.role_assignable.then_some(true),
        "mail": group.mail,
        "mailEnabled": mail_enabled,
        "mailNickname": group.mail.as_deref().and_then(|mail| mail.split('@').next()).unwrap_or("group"),
        "membershipRule": group.rule.as_ref().map(crate::world::model::DynamicRule::text),
        "membershipRuleProcessingState": group.rule.as_ref().map(|_| "On"),
        "onPremisesSyncEnabled": group.synced.then_some(true),
        "securityEnabled": security_enabled,
        "visibility": unified.then_some("Private"),
    })
}

pub(super) fn role(role: &Role) -> Value {
    json!({"deletedDateTime": null, "description": null, "displayName": role.name, "id": role.id, "roleTemplateId": role.id})
}

pub(super) fn role_definition(role: &Role) -> Value {
    json!({"description": null, "displayName": role.name, "id": role.id, "isBuiltIn": true, "isEnabled": true, "templateId": role.id})
}

pub(super) fn role_assignment(assignment: &RoleAssignment, with_definition: bool) -> Value {
    let mut shown = json!({
        "directoryScopeId": "/",
        "id": assignment.id,
        "principalId": assignment.principal,
        "roleDefinitionId": assignment.role,
    });
    if with_definition {
        shown["roleDefinition"] = catalogue::role(&assignment.role).map_or(Value::Null, role_definition);
    }
    shown
}

/// The schedule by which somebody is eligible for a role.
pub(super) fn eligibility(eligible: &RoleAssignment) -> Value {
    json!({
        "appScopeId": null,
        "createdDateTime": iso(0),
        "createdUsing": eligible.id,
        "directoryScopeId": "/",
        "id": eligible.id,
        "memberType": "Direct",
        "modifiedDateTime": null,
        "principalId": eligible.principal,
        "roleDefinitionId": eligible.role,
        "scheduleInfo": {
            "expiration": {"duration": null, "endDateTime": null, "type": "noExpiration"},
            "recurrence": null,
            "startDateTime": iso(0),
        },
        "status": "Provisioned",
    })
}

/// The request that took it, and what became of the request.
pub(super) fn eligibility_removal(eligible: &RoleAssignment, request_id: &str, why: &Value, now: i64) -> Value {
    json!({
        "action": "adminRemove",
        "appScopeId": null,
        "completedDateTime": iso(now),
        "createdDateTime": iso(now),
        "directoryScopeId": "/",
        "id": request_id,
        "isValidationOnly": false,
        "justification": why,
        "principalId": eligible.principal,
        "roleDefinitionId": eligible.role,
        "scheduleInfo": null,
        "status": "Revoked",
        "targetScheduleId": eligible.id,
    })
}

pub(super) fn membership(membership: &Membership) -> (String, Value) {
    let (kind, id, mut shown) = match membership {
        Membership::Group(one) => ("#microsoft.graph.group", one.id.clone(), group(one)),
        Membership::Role(one) => ("#microsoft.graph.directoryRole", one.id.to_owned(), role(one)),
    };
    shown["@odata.type"] = json!(kind);
    (id, shown)
}

/// The type, collection and object of a method.
pub(super) fn method(method: &Method) -> Value {
    let created = iso(method.created_ms);
    let mut shown = match method.kind {
        MethodKind::Phone(kind) => {
            let phone_type = match kind {
                PhoneKind::Mobile => "mobile",
                PhoneKind::AlternateMobile => "alternateMobile",
                PhoneKind::Office => "office",
            };
            json!({"phoneNumber": method.text, "phoneType": phone_type, "smsSignInState": "notSupported"})
        }
        MethodKind::Email => json!({"emailAddress": method.text}),
        MethodKind::Fido2 => {
            json!({"aaGuid": "2fc0579f-8113-47ea-b116-bb5a8db9202a", "attestationLevel": "attested", "createdDateTime": created, "displayName": method.text, "model": "Security Key"})
        }
        MethodKind::Authenticator => {
            json!({"createdDateTime": created, "deviceTag": "SoftwareTokenActivated", "displayName": method.text, "phoneAppVersion": "6.2401.0119"})
        }
        MethodKind::SoftwareOath => json!({"secretKey": null}),
        MethodKind::TemporaryPass => {
            json!({"createdDateTime": created, "isUsable": true, "isUsableOnce": false, "lifetimeInMinutes": 60, "methodUsabilityReason": "EnabledByPolicy", "startDateTime": created, "temporaryAccessPass": null})
        }
        MethodKind::WindowsHello => {
            json!({"createdDateTime": created, "displayName": method.text, "keyStrength": "normal"})
        }
    };
    shown["id"] = json!(method.id);
    shown["@odata.type"] = json!(format!("#microsoft.graph.{}", method_type(method.kind)));
    shown
}

pub(super) fn method_type(kind: MethodKind) -> &'static str {
    match kind {
        MethodKind::Phone(_) => "phoneAuthenticationMethod",
        MethodKind::Email => "emailAuthenticationMethod",
        MethodKind::Fido2 => "fido2AuthenticationMethod",
        MethodKind::Authenticator => "microsoftAuthenticatorAuthenticationMethod",
        MethodKind::SoftwareOath => "softwareOathAuthenticationMethod",
        MethodKind::TemporaryPass => "temporaryAccessPassAuthenticationMethod",
        MethodKind::WindowsHello => "windowsHelloForBusinessAuthenticationMethod",
    }
}

pub(super) fn password_method(person: &Person) -> Value {
    json!({
        "@odata.type": "#microsoft.graph.passwordAuthenticationMethod",
        "createdDateTime": iso(person.password_changed_ms),
        "id": "28c10230-6103-485e-b985-444c60001490",
        "password": null,
    })
}

pub(super) fn grant(grant: &Grant) -> Value {
    json!({
        "clientId": grant.client,
        "consentType": if grant.principal.is_some() { "Principal" } else { "AllPrincipals" },
        "id": grant.id,
        "principalId": grant.principal,
        "resourceId": grant.resource,
        "scope": grant.scope,
    })
}

pub(super) fn principal(one: &Principal) -> Value {
    json!({
        "accountEnabled": true,
        "appId": one.app_id,
        "appOwnerOrganizationId": one.owner,
        "appRoles": [],
        "displayName": one.name,
        "id": one.id,
        "servicePrincipalType": "Application",
        "verifiedPublisher": {"addedDateTime": null, "displayName": one.publisher, "verifiedPublisherId": null},
    })
}

pub(super) fn app_assignment(row: &AppAssignment, holder: &str) -> Value {
    json!({
        "appRoleId": row.role,
        "createdDateTime": iso(row.created_ms),
        "id": row.id,
        "principalDisplayName": row.principal_name,
        "principalId": row.principal,
        "principalType": if row.principal == holder { "User" } else { "Group" },
        "resourceDisplayName": row.resource_name,
        "resourceId": row.resource,
    })
}

fn plans(sku: &catalogue::Sku, is_on: impl Fn(&str) -> bool) -> Vec<Value> {
    sku.plans
        .iter()
        .map(|plan| {
            let status = if is_on(plan.id) { "Success" } else { "Disabled" };
            json!({"appliesTo": "User", "provisioningStatus": status, "servicePlanId": plan.id, "servicePlanName": plan.name})
        })
        .collect()
}

pub(super) fn licence_detail(person: &Person, sku: &catalogue::Sku) -> Value {
    let plans = plans(sku, |plan| person.is_on(sku.id, plan));
    json!({"id": format!("{}_{}", person.id, sku.id), "servicePlans": plans, "skuId": sku.id, "skuPartNumber": sku.part})
}

pub(super) fn pool_line(tenant: &str, line: &PoolLine) -> Value {
    json!({
        "accountId": tenant,
        "appliesTo": "User",
        "capabilityStatus": "Enabled",
        "consumedUnits": line.consumed,
        "id": format!("{tenant}_{}", line.sku.id),
        "prepaidUnits": {"enabled": line.prepaid, "lockedOut": 0, "suspended": 0, "warning": 0},
        "servicePlans": plans(line.sku, |_| true),
        "skuId": line.sku.id,
        "skuPartNumber": line.sku.part,
        "subscriptionIds": [],
    })
}

fn auto_reply(reply: &AutoReply) -> Value {
    json!({
        "externalAudience": reply.audience,
        "externalReplyMessage": reply.external,
        "internalReplyMessage": reply.internal,
        "status": reply.status,
    })
}

pub(super) fn mailbox_settings(settings: &MailboxSettings) -> Value {
    json!({
        "automaticRepliesSetting": auto_reply(&settings.reply),
        "dateFormat": "yyyy-MM-dd",
        "delegateMeetingMessageDeliveryOptions": "sendToDelegateOnly",
        "language": {"displayName": "English (United States)", "locale": "en-US"},
        "timeFormat": "HH:mm",
        "timeZone": "W. Europe Standard Time",
        "userPurpose": settings.purpose.name(),
    })
}

pub(super) fn inbox_rule(rule: &InboxRule) -> Value {
    let forward: Vec<Value> = rule.forward_to.iter().map(|address| recipient(address)).collect();
    json!({
        "actions": {"forwardTo": forward, "stopProcessingRules": true},
        "conditions": {"subjectContains": ["invoice"]},
        "displayName": rule.name,
        "hasError": false,
        "id": rule.id,
        "isEnabled": true,
        "isReadOnly": false,
        "sequence": rule.sequence,
    })
}

fn recipient(address: &str) -> Value {
    json!({"emailAddress": {"address": address, "name": address}})
}

fn local_time(ms: i64) -> Value {
    json!({"dateTime": format!("{}.0000000", iso(ms - ms % 1_000).trim_end_matches('Z')), "timeZone": "UTC"})
}

pub(super) fn event(event: &Event, owner_mail: &str) -> Value {
    let attendees: Vec<Value> = event
        .attendees
        .iter()
        .map(|address| json!({"emailAddress": {"address": address, "name": address}, "status": {"response": "none", "time": "0001-01-01T00:00:00Z"}, "type": "required"}))
        .collect();
    let organiser = if event.organiser {
        owner_mail
    } else {
        "organizer@elsewhere.example"
    };
    json!({
        "attendees": attendees,
        "body": {"content": "", "contentType": "html"},
        "end": local_time(event.end_ms),
        "id": event.id,
        "isAllDay": false,
        "isCancelled": false,
        "isOrganizer": event.organiser,
        "organizer": recipient(organiser),
        "recurrence": event.recurrence.as_ref().map(recurrence),
        "showAs": "busy",
        "start": local_time(event.start_ms),
        "subject": event.subject,
        "transactionId": event.transaction_id,
        "type": if event.recurrence.is_some() { "seriesMaster" } else { "singleInstance" },
    })
}

fn recurrence(row: &Recurrence) -> Value {
    let (kind, end, count) = match &row.until {
        Until::NoEnd => ("noEnd", "0001-01-01", 0),
        Until::Date(day) => ("endDate", day.as_str(), 0),
        Until::Count(count) => ("numbered", "0001-01-01", *count),
    };
    json!({
        "pattern": {
            "dayOfMonth": row.day_of_month,
            "daysOfWeek": row.days_of_week,
            "firstDayOfWeek": row.first_day_of_week,
            "index": row.index,
            "interval": row.interval,
            "month": row.month,
            "type": row.pattern,
        },
        "range": {
            "endDate": end,
            "numberOfOccurrences": count,
            "recurrenceTimeZone": row.time_zone,
            "startDate": row.start_date,
            "type": kind,
        },
    })
}

pub(super) fn mail(mail: &Mail, id: &str, folder: &str) -> Value {
    let at = iso(mail.created_ms);
    json!({
        "categories": mail.categories,
        "createdDateTime": at,
        "flag": {"flagStatus": if mail.flagged { "flagged" } else { "notFlagged" }},
        "id": id,
        "isDraft": mail.draft,
        "isRead": mail.read,
        "parentFolderId": folder,
        "receivedDateTime": at,
    })
}

pub(super) fn folder(folder: &Folder, children: usize) -> Value {
    json!({
        "childFolderCount": children,
        "displayName": folder.name,
        "id": folder.id,
        "isHidden": folder.hidden,
        "parentFolderId": folder.parent.as_deref().unwrap_or("msgfolderroot"),
        "totalItemCount": folder.mails.len(),
        "unreadItemCount": 0,
    })
}

/// What a OneDrive may hold.
const DRIVE_QUOTA_BYTES: u64 = 1_099_511_627_776;

pub(super) fn site_url(drive: &Drive) -> String {
    format!("https://{}{}", drive.host, drive.path)
}

pub(super) fn drive(drive: &Drive) -> Value {
    json!({
        "driveType": "business",
        "id": drive.id,
        "name": "OneDrive",
        "owner": {"user": {"displayName": null, "id": drive.owner}},
        "quota": {
            "deleted": 0,
            "remaining": DRIVE_QUOTA_BYTES.saturating_sub(drive.used_bytes),
            "state": "normal",
            "total": DRIVE_QUOTA_BYTES,
            "used": drive.used_bytes,
        },
        "webUrl": format!("{}/Documents", site_url(drive)),
    })
}

pub(super) fn drive_root(drive: &Drive, tenant: &str) -> Value {
    json!({
        "folder": {"childCount": 3},
        "id": format!("root-{}", drive.id),
        "name": "root",
        "root": {},
        "sharepointIds": {
            "listId": drive.id,
            "siteId": drive.site_id,
            "siteUrl": site_url(drive),
            "tenantId": tenant,
            "webId": drive.site_id,
        },
        "size": drive.used_bytes,
        "webUrl": format!("{}/Documents", site_url(drive)),
    })
}

pub(super) fn drive_permission(id: &str, who: &str, role: &str) -> Value {
    json!({"grantedToV2": {"user": {"displayName": null, "id": who}}, "id": id, "roles": [role]})
}

pub(super) fn managed_device(device: &ManagedDevice, user: Option<&Person>) -> Value {
    let actions: Vec<Value> = device
        .actions
        .iter()
        .map(|action| {
            json!({
                "actionName": action.name,
                "actionState": action.state,
                "lastUpdatedDateTime": iso(action.updated_ms),
                "startDateTime": iso(action.start_ms),
            })
        })
        .collect();
    let enrolled = match (device.owner, device.os) {
        (DeviceOwner::Personal, _) => "userEnrollment",
        (DeviceOwner::Company, "Windows") => "windowsAzureADJoin",
        (DeviceOwner::Company, _) => "appleBulkWithUser",
    };
    json!({
        // Whoever reads one device and selects it by name is told.
        "activationLockBypassCode": null,
        "azureADDeviceId": device.entra_device_id,
        "azureADRegistered": true,
        "complianceState": "compliant",
        "deviceActionResults": actions,
        "deviceEnrollmentType": enrolled,
        "deviceName": device.name,
        "deviceRegistrationState": "registered",
        "enrolledDateTime": iso(device.enrolled_ms),
        "id": device.id,
        "isEncrypted": device.encrypted,
        "lastSyncDateTime": iso(device.last_sync_ms),
        "managedDeviceOwnerType": if device.owner == DeviceOwner::Personal { "personal" } else { "company" },
        "managementAgent": "mdm",
        "managementState": device.state.name(),
        "operatingSystem": device.os,
        "serialNumber": device.serial,
        "userDisplayName": user.map(|user| &user.display_name),
        "userId": device.user,
        "userPrincipalName": user.map(|user| &user.upn),
    })
}

pub(super) fn device(device: &EntraDevice) -> Value {
    let joined = device.owner == DeviceOwner::Company;
    json!({
        "accountEnabled": device.enabled,
        "deviceId": device.device_id,
        "deviceOwnership": if joined { "Company" } else { "Personal" },
        "displayName": device.name,
        "id": device.id,
        "isManaged": true,
        "onPremisesSyncEnabled": device.synced.then_some(true),
        "operatingSystem": device.os,
        "profileType": "RegisteredDevice",
        "registrationDateTime": iso(device.registered_ms),
        "trustType": if device.synced { "ServerAd" } else if joined { "AzureAd" } else { "Workplace" },
    })
}

pub(super) fn autopilot(row: &Autopilot) -> Value {
    json!({
        "addressableUserName": null,
        "azureActiveDirectoryDeviceId": row.entra_device_id,
        "enrollmentState": "enrolled",
        "groupTag": "",
        "id": row.id,
        "managedDeviceId": row.managed_device_id,
        "model": row.model,
        "serialNumber": row.serial,
        "userPrincipalName": row.user_upn,
    })
}

pub(super) fn sign_in(row: &SignIn) -> Value {
    json!({
        "appDisplayName": row.app,
        "createdDateTime": iso(row.at_ms),
        "id": row.id,
        "isInteractive": true,
        "status": {"additionalDetails": null, "errorCode": row.error_code, "failureReason": if row.error_code == 0 { "Other." } else { "Sign-in failed." }},
        "userId": row.user,
    })
}
