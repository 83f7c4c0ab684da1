//! OneDrive: the site through Graph, its administrators through SharePoint,
//! which is the way that works (an invitation to the root is not kept).

use super::GraphConnector;
use super::api::{Api, Ask, Service};
use super::path::{Filter, Path};
use super::permission::{READ_DRIVES, READ_USERS, SITES};
use super::read::text_in;
use crate::{Answer, Call, Documents, Site, SiteAdministrator};
use async_trait::async_trait;
use offboard_domain::{Fault, FaultClass, ObjectId};
use reqwest::Url;
use serde_json::json;
use std::collections::BTreeSet;

/// How SharePoint writes the login of an account of the directory.
const MEMBERSHIP: &str = "i:0#.f|membership|";
/// The hosts of SharePoint's clouds: a token goes to no other.
const CLOUDS: &[&str] = &[
    ".sharepoint.com",
    ".sharepoint.us",
    ".sharepoint-mil.us",
    ".sharepoint.cn",
];

/// Whether a host is SharePoint's own.
pub(crate) fn is_sharepoint(host: &str) -> bool {
    CLOUDS.iter().any(|cloud| host.ends_with(cloud))
}

/// The address, if it is one of SharePoint's.
pub(crate) fn site_address(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| {
        url.scheme() == "https"
            && url.username().is_empty()
            && url.port().is_none()
            && url.host_str().is_some_and(is_sharepoint)
    })
}

impl Api {
    fn site_service(&self, site: &Site) -> Answer<Service> {
        match site_address(&site.site_url) {
            Some(url) => Ok(Service::Site(url)),
            None => Err(self.fault_in(
                "GET /_api/web",
                FaultClass::Rejected,
                "the site's address is not one of SharePoint's; it was not sent",
            )),
        }
    }
}

/// The codes by which the files' own service says that there are none. The
/// directory's "no such object" comes from replicas, too, that have not heard of
/// the account, and is no word about its files.
const NO_SITE: [&str; 2] = ["ResourceNotFound", "itemNotFound"];

impl GraphConnector {
    /// That somebody never had a OneDrive ends its task and lets licences go: it is
    /// believed of an account that is there, and on the files' own word.
    async fn no_site(&self, call: &mut Call, id: &ObjectId, said: Fault) -> Answer<Option<Site>> {
        if !said.code.as_deref().is_some_and(|code| NO_SITE.contains(&code)) {
            return Err(Fault {
                class: FaultClass::Transient,
                detail: "an answer about the files that does not come from their service; it is read again".to_owned(),
                ..said
            });
        }
        let account = Ask::get(Path::user(&id.0).select("id"), READ_USERS);
        self.api.send(call, &account).await?;
        Ok(None)
    }
}

#[async_trait]
impl Documents for GraphConnector {
    async fn site(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Site>> {
        let ask = Ask::get(Path::user(&id.0).then("drive").select("id,webUrl,quota"), READ_DRIVES);
        let drive = match self.api.send(call, &ask).await {
            Ok(reply) => reply.body,
            Err(fault) if fault.class == FaultClass::Absent => return self.no_site(call, id, fault).await,
            Err(fault) => return Err(fault),
        };
        let root_ask = Ask::get(
            Path::user(&id.0).then("drive/root").select("id,sharepointIds"),
            READ_DRIVES,
        );
        let root = self.api.send(call, &root_ask).await?.body;
        let found = (
            text_in(&drive["id"]),
            text_in(&root["sharepointIds"]["siteUrl"]),
            text_in(&drive["webUrl"]),
        );
        let (Some(drive_id), Some(site_url), Some(link)) = found else {
            return Err(self.api.fault(
                &root_ask,
                FaultClass::Transient,
                "the answer does not say where the site is; it is read again",
            ));
        };
        Ok(Some(Site {
            drive_id,
            site_url,
            link,
            used_bytes: drive["quota"]["used"].as_i64(),
        }))
    }

    async fn administrators(&self, call: &mut Call, site: &Site) -> Answer<Vec<SiteAdministrator>> {
        let path = Path::at("_api")
            .then("web/siteusers")
            .filter(&Filter::is_true("IsSiteAdmin"))
            .select("Id,LoginName,IsSiteAdmin");
        let ask = Ask::get(path, SITES).to(self.api.site_service(site)?);
        let users = self.api.list(call, ask).await?;
        let logins: BTreeSet<String> = users
            .iter()
            .filter(|u| u["IsSiteAdmin"] == true)
            .filter_map(|u| text_in(&u["LoginName"]))
            .collect();
        let names = logins
            .iter()
            .filter_map(|l| l.strip_prefix(MEMBERSHIP))
            .map(str::to_owned)
            .collect();
        let accounts = self.api.accounts_named(call, &names).await?;
        Ok(logins
            .into_iter()
            .map(|login| SiteAdministrator {
                account: login
                    .strip_prefix(MEMBERSHIP)
                    .and_then(|name| accounts.get(name))
                    .cloned(),
                login,
            })
            .collect())
    }

    async fn add_administrator(&self, call: &mut Call, site: &Site, person: &ObjectId) -> Answer<()> {
        let service = self.api.site_service(site)?;
        let account = self.api.account(call, person).await?;
        let login = format!("{MEMBERSHIP}{}", account.user_principal_name);
        let web = || Path::at("_api").then("web");
        let known = Ask::post(web().then("ensureuser"), SITES, Some(json!({"logonName": login})))
            .to(service.clone())
            .header("content-type", "application/json;odata=nometadata");
        let user = self.api.send(call, &known).await?.body;
        let Some(number) = user["Id"].as_u64() else {
            return Err(self.api.fault(
                &known,
                FaultClass::Transient,
                "the site does not say whom it knows by which number; it is tried again",
            ));
        };
        let raise = Ask::post(
            web().numbered("getuserbyid", number),
            SITES,
            Some(json!({"IsSiteAdmin": true})),
        )
        .to(service)
        .header("content-type", "application/json;odata=nometadata")
        .header("x-http-method", "MERGE")
        .header("if-match", "*");
        self.api.send(call, &raise).await.map(|_| ())
    }
}
