//! What went wrong, as RFC 9457 has it.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::value::RawValue;
use tautline::Refusal;

use crate::tokens::CHALLENGE;

/// The form of every answer that is an error.
pub(crate) const CONTENT_TYPE: &str = "application/problem+json";

macro_rules! kinds {
    ($($name:ident = $id:literal, $status:ident, $title:literal;)+) => {
        /// The kinds of problems. Each has an entry on the page at `/api`, which is what its `type` leads to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind {
            $($name,)+
        }

        impl Kind {
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its name in addresses.
            pub(crate) const fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)+ }
            }

            pub(crate) const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }

            pub(crate) const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }
        }
    };
}

kinds! {
    BadRequest = "bad-request", BAD_REQUEST, "The request makes no sense";
    Unauthorized = "unauthorized", UNAUTHORIZED, "The caller has to show a valid access token";
    Refused = "refused", FORBIDDEN, "The caller may not do that";
    CrossSite = "cross-site", FORBIDDEN, "A page of another site may not do that";
    NotConnected = "not-connected", CONFLICT, "The device is not connected";
    OtherVersion = "other-version", PRECONDITION_FAILED, "It has another version";
    RefusedByDevice = "refused-by-device", UNPROCESSABLE_ENTITY, "The device does not do it";
    NoAnswer = "no-answer", GATEWAY_TIMEOUT, "The device has not answered";
    NotFound = "not-found", NOT_FOUND, "There is nothing here";
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "The method is not for this address";
    TimedOut = "timed-out", REQUEST_TIMEOUT, "The body did not arrive in time";
    TooLarge = "too-large", PAYLOAD_TOO_LARGE, "The body is too large";
    TooLong = "too-long", URI_TOO_LONG, "A name is too long";
    NotReadings = "not-readings", UNSUPPORTED_MEDIA_TYPE, "The body is not declared as readings";
    NotAcceptable = "not-acceptable", NOT_ACCEPTABLE, "There is no such form of it";
    NotJson = "not-json", UNSUPPORTED_MEDIA_TYPE, "The body is not declared as JSON";
    WrongHost = "wrong-host", MISDIRECTED_REQUEST, "The request is for another host";
    TooMany = "too-many", TOO_MANY_REQUESTS, "Too many requests from one address";
    Busy = "busy", SERVICE_UNAVAILABLE, "Too much waits";
    NotStored = "not-stored", SERVICE_UNAVAILABLE, "It could not be stored";
    Full = "full", SERVICE_UNAVAILABLE, "There is no room for more";
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "The hub cannot answer now";
    OutcomeUnknown = "outcome-unknown", GATEWAY_TIMEOUT, "It may have been done, or may be done yet";
}

/// An answer that is an error.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    kind: Kind,
    detail: Cow<'static, str>,
    retry_after: Option<u32>,
    /// JSON.
    current: Option<String>,
}

impl Problem {
    /// `detail` says what is wrong with this very request.
    pub(crate) fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, detail: detail.into(), retry_after: None, current: None }
    }

    /// Tells the client when to come back, in seconds.
    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Shows what there is, where it is not what the caller thought.
    pub(crate) fn current(mut self, current: &impl Serialize) -> Self {
        self.current = serde_json::to_string(current).ok();
        self
    }

    /// The same answer to who asks for a WebSocket.
    pub(crate) fn into_refusal(self) -> Refusal {
        let refusal = Refusal::new(self.kind.status().as_u16(), self.detail);
        if self.kind == Kind::Unauthorized { refusal.header("WWW-Authenticate", CHALLENGE) } else { refusal }
    }

    /// What is wrong with this very request.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    #[cfg(test)]
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }
}

/// The JSON of a problem.
#[derive(Serialize)]
struct Form<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<&'a RawValue>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { kind, detail, retry_after, current } = self;
        let status = kind.status();
        let r#type = format!("/api#{}", kind.id());
        let current = current.as_deref().and_then(|json| serde_json::from_str(json).ok());
        let form = Form { r#type, title: kind.title(), status: status.as_u16(), detail: &detail, current };
        let mut response = super::json(status, &form);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        if kind == Kind::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_of_their_own_and_are_errors() {
        let ids: std::collections::BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.id()).collect();
        assert_eq!(ids.len(), Kind::ALL.len());
        assert!(Kind::ALL.iter().all(|kind| kind.status().is_client_error() || kind.status().is_server_error()));
    }
}
