//! Constants of the vendor's world: directory roles, SKUs and their service
//! plans. Ids of roles and SKUs are the vendor's published ones.

/// A directory role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Role {
    /// The template id, which is also the definition's id.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
}

/// The role that may do everything.
pub const GLOBAL_ADMINISTRATOR: &str = "62e90394-69f5-4237-9190-012177145e10";
/// The role that an application needs for sensitive actions on administrators.
pub const PRIVILEGED_AUTHENTICATION_ADMINISTRATOR: &str = "7be44c8a-adaf-4e2a-84d6-ab2649e08a13";
/// The role that an application needs for Exchange's admin endpoint.
pub const EXCHANGE_ADMINISTRATOR: &str = "29232cdf-9323-42fd-ade2-1d097af3e4de";
/// A role that reads everything and changes nothing, in Exchange too.
pub const GLOBAL_READER: &str = "f2ef992c-3afb-46b9-b7cf-a126ee74c451";
/// A lesser administrator.
pub const USER_ADMINISTRATOR: &str = "fe930be7-5e62-47db-91af-98c3a49a38b1";
/// A lesser administrator.
pub const HELPDESK_ADMINISTRATOR: &str = "729827e3-9c14-49f7-bb1b-9608f156bbb8";

/// The directory roles of the world.
pub const ROLES: &[Role] = &[
    Role {
        id: EXCHANGE_ADMINISTRATOR,
        name: "Exchange Administrator",
    },
    Role {
        id: "3a2c62db-5318-420d-8d74-23affee5d9d5",
        name: "Intune Administrator",
    },
    Role {
        id: GLOBAL_ADMINISTRATOR,
        name: "Global Administrator",
    },
    Role {
        id: HELPDESK_ADMINISTRATOR,
        name: "Helpdesk Administrator",
    },
    Role {
        id: PRIVILEGED_AUTHENTICATION_ADMINISTRATOR,
        name: "Privileged Authentication Administrator",
    },
    Role {
        id: "f28a1f50-f6e7-4571-818b-6a12f2af6b6c",
        name: "SharePoint Administrator",
    },
    Role {
        id: GLOBAL_READER,
        name: "Global Reader",
    },
    Role {
        id: USER_ADMINISTRATOR,
        name: "User Administrator",
    },
];

/// The role with this template id.
#[must_use]
pub fn role(id: &str) -> Option<&'static Role> {
    ROLES.iter().find(|role| role.id == id)
}

/// A service plan in a SKU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Its id.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
}

/// What is sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sku {
    /// Its id.
    pub id: &'static str,
    /// Its part number.
    pub part: &'static str,
    /// What is in it.
    pub plans: &'static [Plan],
    /// The plan of another SKU without which it cannot be.
    pub needs: Option<&'static str>,
}

const EXCHANGE_1: Plan = Plan {
    id: "9aaf7827-d63c-4b61-89c3-182f06f82e5c",
    name: "EXCHANGE_S_STANDARD",
};
const EXCHANGE_2: Plan = Plan {
    id: "efb87545-963c-4e0d-99df-69c6916d9eb0",
    name: "EXCHANGE_S_ENTERPRISE",
};
const ARCHIVE: Plan = Plan {
    id: "176a09a6-7ec5-4039-ac02-b2791c6ba793",
    name: "EXCHANGE_S_ARCHIVE_ADDON",
};
const SHAREPOINT_1: Plan = Plan {
    id: "c7699d2e-19aa-44de-8edf-1736da088ca1",
    name: "SHAREPOINTSTANDARD",
};
const SHAREPOINT_2: Plan = Plan {
    id: "5dbe027f-2339-4123-9542-606e4d348a72",
    name: "SHAREPOINTENTERPRISE",
};
const TEAMS: Plan = Plan {
    id: "57ff2da0-773e-42df-b2af-ffb7a2317929",
    name: "TEAMS1",
};
const INTUNE: Plan = Plan {
    id: "c1ec4a95-1f05-45b3-a911-aa3fa01094f5",
    name: "INTUNE_A",
};
const PHONE: Plan = Plan {
    id: "4828c8ec-dc2e-4779-b502-87ac9ce28ab7",
    name: "MCOEV",
};
const VISIO: Plan = Plan {
    id: "663a804f-1c30-4ff0-9915-9db84f0d1cea",
    name: "VISIO_CLIENT_SUBSCRIPTION",
};
const POWER_BI: Plan = Plan {
    id: "70d33638-9c74-4d01-bfd3-562de28bd4ba",
    name: "BI_AZURE_P2",
};

/// Microsoft 365 E3.
pub const E3: &str = "05e9a617-0261-4cee-bb44-138d3ef5d965";
/// Microsoft 365 Business Premium.
pub const BUSINESS_PREMIUM: &str = "cbdc14ab-d96c-4c30-b9f4-6ada7cdc1d46";
/// Exchange Online, plan 2.
pub const EXCHANGE_PLAN_2: &str = "19ec0d23-8335-4cbd-94ac-6050e30712fa";
/// Exchange Online archiving; needs a mailbox.
pub const EXCHANGE_ARCHIVING: &str = "ee02fd1b-340e-4a4b-b355-4a514e4c8943";
/// Teams Phone; needs Teams.
pub const TEAMS_PHONE: &str = "e43b5b99-8dfb-405f-9987-dc307f34bcbd";
/// Visio.
pub const VISIO_PLAN_2: &str = "c5928f49-12ba-48f7-ada3-0d743a3601d5";
/// Power BI Pro.
pub const POWER_BI_PRO: &str = "f8a1db68-be16-40ed-86d5-cb42ce701560";

/// What the world sells.
pub const SKUS: &[Sku] = &[
    Sku {
        id: E3,
        part: "SPE_E3",
        plans: &[EXCHANGE_2, SHAREPOINT_2, TEAMS, INTUNE],
        needs: None,
    },
    Sku {
        id: BUSINESS_PREMIUM,
        part: "SPB",
        plans: &[EXCHANGE_1, SHAREPOINT_1, TEAMS, INTUNE],
        needs: None,
    },
    Sku {
        id: EXCHANGE_PLAN_2,
        part: "EXCHANGEENTERPRISE",
        plans: &[EXCHANGE_2],
        needs: None,
    },
    Sku {
        id: EXCHANGE_ARCHIVING,
        part: "EXCHANGEARCHIVE_ADDON",
        plans: &[ARCHIVE],
        needs: Some("EXCHANGE_S_STANDARD"),
    },
    Sku {
        id: TEAMS_PHONE,
        part: "MCOEV",
        plans: &[PHONE],
        needs: Some("TEAMS1"),
    },
    Sku {
        id: VISIO_PLAN_2,
        part: "VISIOCLIENT",
        plans: &[VISIO],
        needs: None,
    },
    Sku {
        id: POWER_BI_PRO,
        part: "POWER_BI_PRO",
        plans: &[POWER_BI],
        needs: None,
    },
];

/// The SKU with this id.
#[must_use]
pub fn sku(id: &str) -> Option<&'static Sku> {
    SKUS.iter().find(|sku| sku.id == id)
}

/// Whether a plan gives a mailbox.
#[must_use]
pub fn is_mailbox_plan(plan: &str) -> bool {
    matches!(plan, "EXCHANGE_S_STANDARD" | "EXCHANGE_S_ENTERPRISE")
}

/// Whether a plan allows holds, archives and big shared mailboxes.
#[must_use]
pub fn is_keeping_plan(plan: &str) -> bool {
    matches!(plan, "EXCHANGE_S_ENTERPRISE" | "EXCHANGE_S_ARCHIVE_ADDON")
}

/// Whether a plan gives a OneDrive.
#[must_use]
pub fn is_drive_plan(plan: &str) -> bool {
    matches!(plan, "SHAREPOINTSTANDARD" | "SHAREPOINTENTERPRISE")
}

/// What an unlicensed shared mailbox may hold.
pub const SHARED_MAILBOX_LIMIT_BYTES: u64 = 50 * 1024 * 1024 * 1024;

/// The application permissions that a full departure needs in Graph.
pub const GRAPH_PERMISSIONS: &[&str] = &[
    "Application.Read.All",
    "AppRoleAssignment.ReadWrite.All",
    "AuditLog.Read.All",
    "BitlockerKey.Read.All",
    "Calendars.ReadWrite",
    "DelegatedPermissionGrant.ReadWrite.All",
    "Device.ReadWrite.All",
    "DeviceLocalCredential.Read.All",
    "DeviceManagementManagedDevices.PrivilegedOperations.All",
    "DeviceManagementManagedDevices.ReadWrite.All",
    "DeviceManagementServiceConfig.ReadWrite.All",
    "Directory.Read.All",
    "Files.ReadWrite.All",
    "Group.ReadWrite.All",
    "GroupMember.ReadWrite.All",
    "LicenseAssignment.ReadWrite.All",
    "MailboxSettings.ReadWrite",
    "Mail.Read",
    "Organization.Read.All",
    "RoleManagement.ReadWrite.Directory",
    "Sites.FullControl.All",
    "User-PasswordProfile.ReadWrite.All",
    "User.ReadWrite.All",
    "UserAuthenticationMethod.ReadWrite.All",
];
