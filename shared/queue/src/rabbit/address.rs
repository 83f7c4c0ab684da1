//! Where the broker is and as whom one comes: `amqps://user@host:5671/vhost`.
//!
//! The password may stand in the address or be given beside it; either way it
//! is taken out at once and never printed again. There is no default user and
//! no default password, and nothing else can be said in an address: settings
//! that change behaviour belong in the configuration, where they are checked.

use offboard_runtime::Secret;
use percent_encoding::percent_decode_str;
use std::fmt;

/// The ports of AMQP without and with TLS.
const PORT: u16 = 5672;
const TLS_PORT: u16 = 5671;

/// A broker's address.
#[derive(Debug, Clone)]
pub struct Address {
    /// Whether it is spoken to with TLS.
    pub tls: bool,
    /// The host, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The virtual host.
    pub vhost: String,
    /// The user.
    pub user: String,
    /// The password; none: the client's certificate says who it is.
    pub password: Option<Secret>,
}

/// An address that is none. It never repeats what was given: that may hold a
/// password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to read the broker's address: {0}; expected amqps://user@host:port/virtual-host")]
pub struct AddressError(&'static str);

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// [`AddressError`] with what is wrong, without what was given.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (tls, rest) = match text.split_once("://") {
            Some(("amqp", rest)) => (false, rest),
            Some(("amqps", rest)) => (true, rest),
            _ => return Err(AddressError("it begins with neither amqp:// nor amqps://")),
        };
        if rest.contains(['?', '#']) {
            return Err(AddressError(
                "it says more than where: settings belong in the configuration",
            ));
        }
        let (authority, vhost) = rest.split_once('/').unwrap_or((rest, "%2F"));
        // A password may hold the sign itself if somebody forgot to escape it.
        let (user, place) = authority
            .rsplit_once('@')
            .ok_or(AddressError("it does not say as which user"))?;
        let (user, password) = match user.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (user, None),
        };
        let (host, port) = split_port(place)?;
        let address = Self {
            tls,
            host: host.to_owned(),
            port: port.unwrap_or(if tls { TLS_PORT } else { PORT }),
            vhost: decoded(vhost)?,
            user: decoded(user)?,
            password: password.map(decoded).transpose()?.map(Secret::new),
        };
        if address.user.is_empty() {
            return Err(AddressError("it does not say as which user"));
        }
        if address.host.is_empty() {
            return Err(AddressError("it has no host"));
        }
        if address.vhost.is_empty() {
            return Err(AddressError("its virtual host is empty"));
        }
        Ok(address)
    }
}

impl fmt::Display for Address {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "amqps" } else { "amqp" };
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        write!(f, "{scheme}://{}@{host}:{}/{}", self.user, self.port, self.vhost)
    }
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn split_port(place: &str) -> Result<(&str, Option<u16>), AddressError> {
    let (host, port) = match place.strip_prefix('[') {
        Some(v6) => {
            let (host, rest) = v6.split_once(']').ok_or(AddressError("its host has no ']'"))?;
            (host, rest.strip_prefix(':'))
        }
        None => match place.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let number = |port: &str| {
        port.parse()
            .map_err(|_| AddressError("its port is no number up to 65535"))
    };
    Ok((host, port.map(number).transpose()?))
}

fn decoded(part: &str) -> Result<String, AddressError> {
    percent_decode_str(part)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| AddressError("a part of it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_where_and_as_whom() {
        for (text, shown) in [
            (
                "amqps://w@rabbit.example/offboard",
                "amqps://w@rabbit.example:5671/offboard",
            ),
            ("amqp://w:pw@localhost", "amqp://w@localhost:5672//"),
            ("amqp://w:p%40w@[::1]:99/a%2Fb", "amqp://w@[::1]:99/a/b"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), shown);
        }
        let address = Address::parse("amqp://a%20b:p%3Aw@h/v").unwrap();
        assert_eq!(
            (address.user.as_str(), address.password.unwrap().expose()),
            ("a b", "p:w")
        );
    }

    #[test]
    fn what_is_wrong_is_said_without_repeating_it() {
        for text in [
            "http://u:hunter2@h/v",
            "amqp://h/v",
            "amqp://:hunter2@h/v",
            "amqp://u:hunter2@/v",
            "amqp://u:hunter2@h:port/v",
            "amqp://u:hunter2@h:99999/v",
            "amqp://u:hunter2@[::1/v",
            "amqp://u:hunter2@h/",
            "amqp://u:hunter2%ff@h/v",
            "amqp://u:hunter2@h/v?heartbeat=0",
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_password_never_prints() {
        let address = Address::parse("amqp://u:hunter2@h/v").unwrap();
        for shown in [format!("{address}"), format!("{address:?}")] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
