//! What is in the mailbox: many small messages, some awkward ones, folders with
//! hostile names, and one of 100 MB. Appended over the protocol's own words by
//! this file alone, so that the client under test has no part in it.

use offboard_servers::{Dovecot, OWN_PASSWORD};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

/// Messages in the inbox.
pub(crate) const INBOX: i64 = 5_000;
/// The large one.
const LARGE_BYTES: usize = 100 * 1024 * 1024;
/// How many are appended by one command.
const AT_ONCE: usize = 250;

/// A message whose subject is in encoded words.
pub(crate) const ENCODED: &[u8] =
    b"From: a@x.test\r\nSubject: =?utf-8?B?R3LDvMOfZQ==?= =?iso-8859-1?Q?_aus_K=F6ln?=\r\n\r\nHello\r\n";

/// Folders as the server spells them: quotes, backslashes, blanks, letters
/// beyond ASCII, what would be a path or a formula elsewhere.
const FOLDERS: [&str; 7] = [
    "Entw&APw-rfe &- mehr",
    "&U,BTFw-/&ZeVnLIqe-",
    "a \"quoted\" \\ name",
    "=cmd|' +C'!A0",
    "%2e%2e %2f etc",
    "...dots",
    "Large",
];

/// What was put there.
pub(crate) struct Sent {
    pub(crate) messages: i64,
    pub(crate) bytes: i64,
    pub(crate) folders: usize,
}

struct Client {
    stream: BufReader<TcpStream>,
    sent: Sent,
}

impl Client {
    fn open(dovecot: &Dovecot, user: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", dovecot.plain_port())).unwrap();
        stream
            .set_read_timeout(Some(std::time::Duration::from_secs(60)))
            .unwrap();
        let sent = Sent {
            messages: 0,
            bytes: 0,
            folders: 1,
        };
        let mut client = Self {
            stream: BufReader::new(stream),
            sent,
        };
        client.line();
        client.done(format!("A LOGIN \"{user}\" \"{OWN_PASSWORD}\"\r\n").as_bytes());
        client
    }

    fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).unwrap();
        String::from_utf8_lossy(&line).into_owned()
    }

    fn done(&mut self, command: &[u8]) {
        self.stream.get_mut().write_all(command).unwrap();
        loop {
            let line = self.line();
            if line.starts_with("A ") {
                assert!(line.starts_with("A OK"), "{line}");
                return;
            }
        }
    }

    fn folder(&mut self, name: &str) {
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        self.done(format!("A CREATE \"{quoted}\"\r\n").as_bytes());
    }

    /// Appends several by one command (RFC 3502), without waiting (RFC 7888).
    fn append(&mut self, folder: &str, messages: &[Vec<u8>], flags: impl Fn(usize) -> &'static str) {
        let quoted = folder.replace('\\', "\\\\").replace('"', "\\\"");
        for (nth, batch) in messages.chunks(AT_ONCE).enumerate() {
            let mut command = format!("A APPEND \"{quoted}\"").into_bytes();
            for (n, message) in batch.iter().enumerate() {
                let n = nth * AT_ONCE + n;
                let day = 1 + n % 28;
                let head = format!(
                    " ({}) \"{day:02}-Jan-2026 10:00:00 +0100\" {{{}+}}\r\n",
                    flags(n),
                    message.len()
                );
                command.extend_from_slice(head.as_bytes());
                command.extend_from_slice(message);
                self.sent.messages += 1;
                self.sent.bytes += i64::try_from(message.len()).unwrap();
            }
            command.extend_from_slice(b"\r\n");
            self.done(&command);
        }
    }
}

/// Lines of what looks like base64, the same for the same seed.
fn lines(seed: u64, bytes: usize) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(bytes + 80);
    while out.len() < bytes {
        for _ in 0..7 {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            out.extend((0..10).map(|i| LETTERS[usize::try_from(x >> (i * 6) & 63).unwrap()]));
        }
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn message(n: u64) -> Vec<u8> {
    let mut out = format!("From: a@x.test\r\nTo: b@x.test\r\nSubject: message {n}\r\nMessage-ID: <{n}@x.test>\r\n\r\n")
        .into_bytes();
    out.extend(lines(n, 200 + usize::try_from(n * 37 % 6_000).unwrap()));
    out
}

fn awkward() -> Vec<Vec<u8>> {
    vec![
        ENCODED.to_vec(),
        b"Subject: \xe4\xf6\xfc 8 bit\r\nX-\xff: \xfe\r\n\r\n\xff\xfe\r\n".to_vec(),
        b"no header and no end of line".to_vec(),
        b"\r\n".to_vec(),
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x"
            .to_vec(),
        b"Subject: ends like a protocol\r\n\r\n)\r\nA OK done\r\n* BYE\r\n{5}\r\n.\r\n".to_vec(),
        [b"X: ".to_vec(), vec![b'y'; 200_000], b"\r\n\r\n".to_vec()].concat(),
    ]
}

/// Some small messages.
pub(crate) fn some(dovecot: &Dovecot, user: &str, count: u64) {
    let messages: Vec<Vec<u8>> = (0..count).map(message).collect();
    Client::open(dovecot, user).append("INBOX", &messages, |_| "");
}

/// Everything.
pub(crate) fn everything(dovecot: &Dovecot, user: &str) -> Sent {
    let mut client = Client::open(dovecot, user);
    let small: Vec<Vec<u8>> = (0..u64::try_from(INBOX).unwrap()).map(message).collect();
    client.append("INBOX", &small, |n| {
        ["", "\\Seen", "\\Seen \\Answered work", "\\Flagged $Forwarded"][n % 4]
    });
    let deep = (0..25).map(|n| format!("level{n}")).collect::<Vec<_>>().join("/");
    for name in FOLDERS.into_iter().chain([deep.as_str()]) {
        client.folder(name);
        let first = usize::from(name != FOLDERS[0]);
        let messages = awkward()[first..].to_vec();
        client.append(name, &messages, |_| "\\Draft");
    }
    let mut large = b"Subject: large\r\n\r\nneedle-in-the-large-one\r\n".to_vec();
    large.extend(lines(7, LARGE_BYTES));
    client.append("Large", &[large], |_| "");
    // The folders that are only on the way hold nothing, and are folders all the same.
    client.done(b"A LIST \"\" \"*\"\r\n");
    client.sent.folders = 0;
    client.stream.get_mut().write_all(b"A LIST \"\" \"*\"\r\n").unwrap();
    loop {
        let line = client.line();
        if line.starts_with("A ") {
            break;
        }
        client.sent.folders +=
            usize::from(line.starts_with("* LIST") && !line.contains("Noselect") && !line.contains("NonExistent"));
    }
    client.sent
}
