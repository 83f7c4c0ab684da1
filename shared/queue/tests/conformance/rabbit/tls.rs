//! TLS: with the authority and a certificate of one's own one comes in, and
//! without either one does not.

use super::broker::{administrator, connect, new_vhost, quiet};
use crate::kit::{identity, message, next};
use offboard_queue::rabbit::Tls;
use offboard_queue::{Queue as _, RabbitConfig, RabbitQueue};
use std::time::Duration;

/// At the port with TLS, of a broker that insists on a client's certificate.
async fn config() -> (RabbitConfig, Tls) {
    let broker = quiet().await;
    let vhost = new_vhost(broker).await;
    let certificates = broker.certificates().unwrap();
    let client = certificates.client(&format!("client-of-{vhost}")).unwrap();
    let mut config = administrator(broker, broker.tls_port(), &vhost);
    config.address.tls = true;
    config.address.host = "localhost".to_owned();
    let tls = Tls {
        authorities: Some(certificates.authority.clone()),
        client: Some((client.certificate, client.key)),
    };
    (config, tls)
}

async fn refused(config: RabbitConfig) -> String {
    let refused = RabbitQueue::connect(config, Duration::from_millis(100)).await;
    refused.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_authority_and_certificate_all_works() {
    let (mut config, tls) = config().await;
    config.tls = tls;
    let queue = connect(config).await;
    queue.publish(&identity(), vec![message("secret")]).await.unwrap();
    let mut consumer = queue.consume(&identity(), 1).await.unwrap();
    next(&mut consumer).await.ack().await.unwrap();
}

#[tokio::test]
async fn without_either_nobody_comes_in() {
    let (config, tls) = config().await;
    let mut nobody = config.clone();
    nobody.tls = Tls {
        client: None,
        ..tls.clone()
    };
    refused(nobody).await;
    let mut trusting = config.clone();
    trusting.tls = Tls {
        authorities: None,
        ..tls.clone()
    };
    let why = refused(trusting).await;
    assert!(why.to_lowercase().contains("certificate"), "{why}");
    let mut misled = config.clone();
    misled.tls = Tls {
        authorities: Some("/nowhere/authority.pem".into()),
        ..tls
    };
    let why = refused(misled).await;
    assert!(why.contains("/nowhere/authority.pem"), "{why}");
    // Plain words at the port with TLS.
    let mut plain = config;
    plain.address.tls = false;
    plain.limits.connect = Duration::from_secs(5);
    refused(plain).await;
}
