//! The same over TLS, with a certificate of its own authority.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::Result;

/// Writes the authority's certificate to `authority`, for clients to trust.
pub(super) fn acceptor(authority: &Path) -> Result<TlsAcceptor> {
    let mut params = CertificateParams::new([])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, "highwayapi-bench");
    let key = KeyPair::generate()?;
    fs::write(authority, params.self_signed(&key)?.pem())?;
    let own_key = KeyPair::generate()?;
    let own = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    let own = own.signed_by(&own_key, &Issuer::new(params, key))?;
    let own_key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![own.der().clone()], own_key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
