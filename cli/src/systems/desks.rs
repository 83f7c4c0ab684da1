//! The desks: how what a tenant's file says becomes a connector's settings.

use super::Opened;
use crate::error::CliError;
use offboard_connectors::Connector;
use offboard_connectors::autotask::{AutotaskConnector, AutotaskOpenError, AutotaskSettings};
use offboard_connectors::connectwise::{ConnectWiseConnector, ConnectWiseOpenError, ConnectWiseSettings};
use offboard_connectors::graph::HttpClient;
use offboard_connectors::halo::{HaloConnector, HaloOpenError, HaloSettings};
use offboard_domain::System;
use offboard_runtime::config::{AutotaskConfig, ConnectWiseConfig, HaloConfig};
use offboard_runtime::{Secret, SecretRef};
use std::sync::Arc;

type Desk = Opened<Arc<dyn Connector>>;

/// A secret, or why it cannot be had.
fn read(at: &SecretRef) -> (Secret, Option<CliError>) {
    match at.read() {
        Ok(secret) => (secret, None),
        Err(why) => (Secret::new(""), Some(CliError::from(why))),
    }
}

pub(super) fn open_halo(http: &HttpClient, name: &System, halo: &HaloConfig) -> Result<Desk, HaloOpenError> {
    let (secret, missing) = read(&halo.application_secret);
    let settings = HaloSettings {
        system: name.clone(),
        url: halo.url.clone(),
        auth_url: halo.auth_url.clone(),
        tenant: halo.instance.clone(),
        application_id: halo.application_id.clone(),
        secret,
        scope: halo.scope.clone(),
        client_id: halo.client_id.into(),
        site_id: halo.site_id.map(u64::from),
        ticket_type_id: halo.ticket_type_id.into(),
        priority_id: halo.priority_id.map(u64::from),
        urgent_priority_id: halo.urgent_priority_id.map(u64::from),
        note_outcome_id: halo.note_outcome_id.into(),
        closed_status_id: halo.closed_status_id.into(),
        adopt_prefix: halo.adopt_prefix.clone(),
    };
    Ok((Arc::new(HaloConnector::open(http, &settings)?), missing))
}

pub(super) fn open_connectwise(
    http: &HttpClient,
    name: &System,
    psa: &ConnectWiseConfig,
) -> Result<Desk, ConnectWiseOpenError> {
    let (private_key, missing) = read(&psa.private_key);
    let settings = ConnectWiseSettings {
        system: name.clone(),
        url: psa.url.clone(),
        login_company: psa.login_company.clone(),
        public_key: psa.public_key.clone(),
        private_key,
        integration_id: psa.integration_id.clone(),
        company_id: psa.company_id.into(),
        board_id: psa.board_id.into(),
        priority_id: psa.priority_id.map(u64::from),
        urgent_priority_id: psa.urgent_priority_id.map(u64::from),
        closed_status_id: psa.closed_status_id.into(),
        adopt_prefix: psa.adopt_prefix.clone(),
    };
    Ok((Arc::new(ConnectWiseConnector::open(http, &settings)?), missing))
}

pub(super) fn open_autotask(http: &HttpClient, name: &System, psa: &AutotaskConfig) -> Result<Desk, AutotaskOpenError> {
    let (secret, no_secret) = read(&psa.secret);
    let (integration_code, no_code) = read(&psa.integration_code);
    let settings = AutotaskSettings {
        system: name.clone(),
        url: psa.url.clone(),
        user: psa.user.clone(),
        secret,
        integration_code,
        company_id: psa.company_id.into(),
        queue_id: psa.queue_id.into(),
        new_status_id: psa.new_status_id.into(),
        closed_status_id: psa.closed_status_id.into(),
        priority_id: psa.priority_id.into(),
        urgent_priority_id: psa.urgent_priority_id.map(u64::from),
        note_type_id: psa.note_type_id.into(),
        publish_id: psa.publish_id.into(),
        adopt_prefix: psa.adopt_prefix.clone(),
    };
    let missing = no_secret.or(no_code);
    Ok((Arc::new(AutotaskConnector::open(http, &settings)?), missing))
}
