//! Decides which requests of a browser are answered.
//!
//! A link with a token opens the page once; the browser then has a session in a
//! cookie that no script reads and no other site sends. A page of another origin
//! is refused, also one whose name leads to this machine. Browsers send cookies
//! to every port of a host, so the cookie is for a secret path, which servers at
//! other ports are not asked for.

use crate::host::net::web_server::Request;

/// The name of the cookie.
const COOKIE: &str = "ansar";

/// The secrets of a server.
#[derive(Debug)]
pub(super) struct Access {
    port: u16,
    /// The token of the next link.
    token: String,
    session: String,
    /// The path of everything that needs the session, with a `/` at both ends.
    place: String,
    make: fn() -> String,
}

/// The parts of a request that decide whether it is allowed.
#[derive(Debug, Clone, Copy, Default)]
struct Shown<'r> {
    method: &'r str,
    path: &'r str,
    host: Option<&'r str>,
    origin: Option<&'r str>,
    /// Relation of the page that sends the request, as browsers tell it.
    site: Option<&'r str>,
    cookies: Option<&'r str>,
    token: Option<&'r str>,
}

/// The reason why a request is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Grant {
    /// It has the session.
    Session,
    /// It has the token, which is used up now. The response sets this cookie.
    Token {
        /// The value of the header `set-cookie`.
        cookie: String,
    },
}

/// The reason why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is for another host: another name leads to this machine.
    Host,
    /// A page of another origin sends it.
    Origin,
    /// It has neither the session nor the token.
    Stranger,
}

impl Refusal {
    /// Returns the text for the user.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Host => "refused: this server has another name\n",
            Self::Origin => "refused: the request comes from another page\n",
            Self::Stranger => {
                "refused: this link was used already, or belongs to another server\n\
                 hint: open the link that `cargo ansar ui --web` printed last\n"
            }
        }
    }
}

impl Access {
    /// Returns new secrets, which `make` makes, for a server at this port.
    pub(super) fn new(port: u16, make: fn() -> String) -> Self {
        Self {
            port,
            token: make(),
            session: make(),
            place: format!("/{}/", make()),
            make,
        }
    }

    /// Returns the link that opens the page once.
    pub(super) fn link(&self) -> String {
        format!("http://127.0.0.1:{}/?token={}", self.port, self.token)
    }

    /// Returns the path that all requests with the session begin with.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Decides about a request.
    pub(super) fn check(&mut self, request: &Request) -> Result<Grant, Refusal> {
        self.decide(Shown {
            method: &request.method,
            path: &request.path,
            host: request.header("host"),
            // Several values, or one that cannot be read, are no origin of ours.
            origin: request
                .has_header("origin")
                .then(|| request.header("origin").unwrap_or_default()),
            site: request.header("sec-fetch-site"),
            cookies: request.header("cookie"),
            token: request.query.strip_prefix("token="),
        })
    }

    fn decide(&mut self, shown: Shown<'_>) -> Result<Grant, Refusal> {
        let host = shown.host.unwrap_or_default();
        let ours = ["127.0.0.1", "localhost"].map(|name| format!("{name}:{}", self.port));
        if !ours.iter().any(|it| it == host) {
            return Err(Refusal::Host);
        }
        let is_own = |origin: &str| origin.strip_prefix("http://") == Some(host);
        let is_get = shown.method == "GET";
        if !shown.origin.map_or(is_get, is_own) {
            return Err(Refusal::Origin);
        }
        let is_opened = is_get && shown.path == "/";
        if let Some(token) = shown.token.filter(|_| is_opened)
            && is_same(token, &self.token)
        {
            self.token = (self.make)();
            let (session, place) = (&self.session, &self.place);
            return Ok(Grant::Token {
                cookie: format!("{COOKIE}={session}; HttpOnly; SameSite=Strict; Path={place}"),
            });
        }
        if !shown
            .site
            .is_none_or(|site| site == "same-origin" || site == "none")
        {
            return Err(Refusal::Origin);
        }
        let cookies = shown.cookies.unwrap_or_default().split(';');
        let mut sessions =
            cookies.filter_map(|it| it.trim().strip_prefix(COOKIE)?.strip_prefix('='));
        if shown.path.starts_with(&self.place)
            && sessions.any(|session| is_same(session, &self.session))
        {
            return Ok(Grant::Session);
        }
        Err(Refusal::Stranger)
    }
}

/// Compares secrets in a time that does not depend on the place of a difference.
fn is_same(one: &str, other: &str) -> bool {
    let pairs = one.bytes().zip(other.bytes());
    one.len() == other.len() && pairs.fold(0, |all, (one, other)| all | (one ^ other)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        let mut access = Access::new(4711, || "new".to_owned());
        access.token = "token".to_owned();
        access.session = "session".to_owned();
        access.place = "/place/".to_owned();
        access
    }

    fn get(path: &str) -> Shown<'_> {
        Shown {
            method: "GET",
            path,
            host: Some("127.0.0.1:4711"),
            ..Shown::default()
        }
    }

    #[test]
    fn a_token_opens_the_page_once() {
        let mut access = access();
        assert_eq!(access.link(), "http://127.0.0.1:4711/?token=token");
        let open = Shown {
            token: Some("token"),
            ..get("/")
        };
        let elsewhere = Shown {
            path: "/place/",
            ..open
        };
        assert_eq!(access.decide(elsewhere), Err(Refusal::Stranger));
        let wrong = Shown {
            token: Some("tokem"),
            ..open
        };
        assert_eq!(access.decide(wrong), Err(Refusal::Stranger));
        let cookie = "ansar=session; HttpOnly; SameSite=Strict; Path=/place/".to_owned();
        assert_eq!(access.decide(open), Ok(Grant::Token { cookie }));
        assert_eq!(access.decide(open), Err(Refusal::Stranger));
        assert_eq!(access.link(), "http://127.0.0.1:4711/?token=new");
    }

    #[test]
    fn a_session_is_needed_for_everything_else() {
        let mut access = access();
        let cookies = Some("other=1; ansar=session");
        let known = Shown {
            cookies,
            ..get("/place/events")
        };
        assert_eq!(access.decide(known), Ok(Grant::Session));
        for cookies in [None, Some("ansar=sessiom"), Some("anser=session")] {
            let unknown = Shown { cookies, ..known };
            assert_eq!(
                access.decide(unknown),
                Err(Refusal::Stranger),
                "{cookies:?}"
            );
        }
        for path in ["/", "/events", "/plac/events", "/placee/events"] {
            let elsewhere = Shown { path, ..known };
            assert_eq!(access.decide(elsewhere), Err(Refusal::Stranger), "{path}");
        }
    }

    #[test]
    fn other_hosts_and_origins_are_refused() {
        let mut access = access();
        let known = Shown {
            cookies: Some("ansar=session"),
            ..get("/place/events")
        };
        let localhost = Shown {
            host: Some("localhost:4711"),
            origin: Some("http://localhost:4711"),
            ..known
        };
        assert_eq!(access.decide(localhost), Ok(Grant::Session));
        for host in [
            None,
            Some("evil.example:4711"),
            Some("127.0.0.1"),
            Some("127.0.0.1:80"),
        ] {
            let rebound = Shown { host, ..known };
            assert_eq!(access.decide(rebound), Err(Refusal::Host), "{host:?}");
        }
        for origin in [
            "",
            "null",
            "http://evil.example",
            "https://127.0.0.1:4711",
            "http://127.0.0.1:80",
        ] {
            let other = Shown {
                origin: Some(origin),
                ..known
            };
            assert_eq!(access.decide(other), Err(Refusal::Origin), "{origin}");
        }
        for site in ["cross-site", "same-site"] {
            let other = Shown {
                site: Some(site),
                ..known
            };
            assert_eq!(access.decide(other), Err(Refusal::Origin), "{site}");
        }
    }

    #[test]
    fn a_change_must_name_its_origin() {
        let mut access = access();
        let post = Shown {
            method: "POST",
            cookies: Some("ansar=session"),
            ..get("/place/run")
        };
        assert_eq!(access.decide(post), Err(Refusal::Origin));
        let named = Shown {
            origin: Some("http://127.0.0.1:4711"),
            site: Some("same-origin"),
            ..post
        };
        assert_eq!(access.decide(named), Ok(Grant::Session));
    }
}
