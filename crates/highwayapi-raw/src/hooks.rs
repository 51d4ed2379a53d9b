//! What every request gets on its way: the key, a User-Agent, and for a submit its pictures.

use std::fmt;

use http_body_util::Limited;
use progenitor_client::{ClientHooks, OperationInfo};
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, InvalidHeaderValue, USER_AGENT};
use reqwest::{Body, Request, Response};

use crate::body::Upload;
use crate::{Client, Error};

/// Answers of the API are small; a longer one is cut off with an error instead of filling memory.
pub const ANSWER_LIMIT: usize = 1024 * 1024;

/// Sent as User-Agent.
pub const AGENT: &str = concat!("highwayapi/", env!("CARGO_PKG_VERSION"));

/// The bearer key. It cannot be printed.
#[derive(Clone)]
pub struct ApiKey(HeaderValue);

impl ApiKey {
    /// Takes the key as the service gave it, without `Bearer`.
    ///
    /// # Errors
    ///
    /// When it has characters that cannot stand in a header.
    pub fn new(key: &str) -> Result<Self, InvalidHeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {key}"))?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(hidden)")
    }
}

/// State of one generated client. To stream pictures, give each submit a client of its own: that is a few clones.
#[derive(Clone, Debug)]
pub struct Hooks {
    key: ApiKey,
    upload: Option<Upload>,
}

impl Hooks {
    /// Requests that carry this key.
    pub fn new(key: ApiKey) -> Self {
        Self { key, upload: None }
    }

    /// Pours these pictures into the body of the submit.
    pub fn upload(self, upload: Upload) -> Self {
        Self { upload: Some(upload), ..self }
    }
}

impl ClientHooks<Hooks> for Client {
    async fn pre<E>(&self, request: &mut Request, info: &OperationInfo) -> Result<(), Error<E>> {
        let headers = request.headers_mut();
        headers.remove("api-version");
        headers.insert(AUTHORIZATION, self.inner.key.0.clone());
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));

        if info.operation_id == "submit_first_last_frame"
            && let Some(upload) = &self.inner.upload
        {
            let json = request.body().and_then(Body::as_bytes).unwrap_or_default();
            let body = upload.body(json).map_err(|error| Error::Custom(error.to_string()))?;
            let length = HeaderValue::from(http_body::Body::size_hint(&body).lower());
            *request.body_mut() = Some(Body::wrap(body));
            request.headers_mut().insert(CONTENT_LENGTH, length);
        }
        Ok(())
    }

    async fn exec(&self, request: Request, _: &OperationInfo) -> reqwest::Result<Response> {
        let response: http::Response<Body> = self.client.execute(request).await?.into();
        Ok(response.map(|body| Body::wrap(Limited::new(body, ANSWER_LIMIT))).into())
    }
}
