//! What is asked of a certificate beyond its chain: that it is not on the deny list, and whose cluster it names.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};

use super::{
    PeerIdentity,
    say::{Reason, Said},
};
use crate::certs::{Denied, Facts};

/// Of callers, on top of the chain.
#[derive(Debug)]
pub(super) struct Callers {
    pub chain: Arc<dyn ClientCertVerifier>,
    pub denied: Arc<Denied>,
    pub require_cluster: bool,
}

/// Of the one that was called, on top of chain and name.
#[derive(Debug)]
pub(super) struct Called {
    pub chain: Arc<dyn ServerCertVerifier>,
    pub denied: Arc<Denied>,
    /// The cluster it must name, if that is known.
    pub expected: Option<String>,
}

/// An authority on the deny list takes all it signed with it.
fn check_denied(
    denied: &Denied,
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
) -> Result<(), Error> {
    for certificate in std::iter::once(end_entity).chain(intermediates) {
        let facts = Facts::read(certificate).map_err(|_| CertificateError::BadEncoding)?;
        if denied.has(&facts.serial) {
            return Err(CertificateError::Revoked.into());
        }
    }
    Ok(())
}

fn said(reason: Reason, rest: impl Into<String>) -> Error {
    CertificateError::Other(OtherError(Arc::new(Said { reason, rest: rest.into() }))).into()
}

impl ClientCertVerifier for Callers {
    fn client_auth_mandatory(&self) -> bool {
        self.chain.client_auth_mandatory()
    }

    fn offer_client_auth(&self) -> bool {
        self.chain.offer_client_auth()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        check_denied(&self.denied, end_entity, intermediates)?;
        let identity = PeerIdentity::of(end_entity).map_err(|e| said(Reason::Bad, e))?;
        if self.require_cluster && identity.cluster.is_none() {
            let rest = "names no cluster by a URI orrery://cluster/<name> among its alternative names";
            return Err(said(Reason::NoCluster, rest));
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

impl ServerCertVerifier for Called {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        check_denied(&self.denied, end_entity, intermediates)?;
        let identity = PeerIdentity::of(end_entity).map_err(|e| said(Reason::Bad, e))?;
        match (&self.expected, &identity.cluster) {
            (Some(expected), Some(found)) if expected != found => {
                Err(said(Reason::WrongCluster, format!("is for cluster {found}, expected {expected}")))
            }
            (Some(expected), None) => {
                Err(said(Reason::NoCluster, format!("names no cluster, expected {expected}")))
            }
            _ => Ok(verified),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
