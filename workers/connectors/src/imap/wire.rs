//! One connection: bytes to answers, and commands to bytes. A literal that is
//! a message goes through without being held.

use super::parse::{Answered, Bit, Condition, answer, literal};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::time::Instant;

/// The longest that a server may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// The longest line, and the largest literal that is no message: a folder with
/// every keyword, a name.
const LINE_MAX: usize = 1024 * 1024;
/// The most literals in one answer that is no message.
const LITERALS_MAX: usize = 64;
/// How much is read at once.
const BUFFER_BYTES: usize = 128 * 1024;

/// What a connection runs over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// No time was left, or the server was silent for too long.
    Silent,
    /// The connection broke or was closed.
    Broken,
    /// The answer is none of IMAP, or larger than one may be.
    Unread(&'static str),
}

/// A command: text, and what may have to be sent as a literal.
pub(crate) enum Word<'a> {
    /// As it is.
    Plain(&'a str),
    /// A name, quoted if that can be.
    Name(&'a [u8]),
}

/// A connection.
pub(crate) struct Wire {
    stream: BufReader<Box<dyn Stream>>,
    tags: u32,
    pub(crate) deadline: Instant,
}

impl Wire {
    pub(crate) fn new(stream: Box<dyn Stream>, deadline: Instant) -> Self {
        Self {
            stream: BufReader::with_capacity(BUFFER_BYTES, stream),
            tags: 0,
            deadline,
        }
    }

    /// The bare stream, to put TLS around; nothing may be left of what was read.
    pub(crate) fn into_stream(self) -> Result<Box<dyn Stream>, Lost> {
        if !self.stream.buffer().is_empty() {
            return Err(Lost::Unread("the server spoke before TLS was begun"));
        }
        Ok(self.stream.into_inner())
    }

    async fn within<T>(deadline: Instant, io: impl Future<Output = std::io::Result<T>>) -> Result<T, Lost> {
        let until = deadline.min(Instant::now() + SILENCE_MAX);
        match tokio::time::timeout_at(until, io).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) => Err(Lost::Broken),
            Err(_) => Err(Lost::Silent),
        }
    }

    /// More of what the server sends; never empty.
    async fn filled(&mut self) -> Result<&[u8], Lost> {
        let bytes = Self::within(self.deadline, self.stream.fill_buf()).await?;
        if bytes.is_empty() { Err(Lost::Broken) } else { Ok(bytes) }
    }

    /// A line without its end.
    pub(crate) async fn line(&mut self) -> Result<Vec<u8>, Lost> {
        let mut line = Vec::new();
        loop {
            let bytes = self.filled().await?;
            let (some, ends) = match bytes.iter().position(|b| *b == b'\n') {
                Some(at) => (at + 1, true),
                None => (bytes.len(), false),
            };
            if line.len() + some > LINE_MAX {
                return Err(Lost::Unread("a line is longer than any that was asked for"));
            }
            line.extend_from_slice(&bytes[..some]);
            self.stream.consume(some);
            if ends {
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(line);
            }
        }
    }

    /// A literal that is no message.
    pub(crate) async fn small(&mut self, length: u64) -> Result<Vec<u8>, Lost> {
        let length = usize::try_from(length).ok().filter(|l| *l <= LINE_MAX);
        let length = length.ok_or(Lost::Unread("a literal is larger than any that was asked for"))?;
        let mut bytes = vec![0; length];
        Self::within(self.deadline, self.stream.read_exact(&mut bytes)).await?;
        Ok(bytes)
    }

    /// A part of a literal that is a message, at most `left` bytes of it. What
    /// was handed out must be [`Wire::consume`]d.
    pub(crate) async fn some(&mut self, left: u64) -> Result<&[u8], Lost> {
        let bytes = self.filled().await?;
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        Ok(&bytes[..most])
    }

    pub(crate) fn consume(&mut self, bytes: usize) {
        self.stream.consume(bytes);
    }

    /// An answer, whole.
    pub(crate) async fn answer(&mut self) -> Result<Answered, Lost> {
        let first = self.line().await?;
        self.answer_after(first).await
    }

    /// The rest of an answer that began with this line.
    pub(crate) async fn answer_after(&mut self, first: Vec<u8>) -> Result<Answered, Lost> {
        let mut bits = Vec::new();
        let mut line = first;
        for _ in 0..=LITERALS_MAX {
            let announced = literal(&line);
            bits.push(Bit::Line(line));
            let Some(length) = announced else {
                return answer(bits).ok_or(Lost::Unread("an answer is none of IMAP"));
            };
            bits.push(Bit::Literal(self.small(length).await?));
            line = self.line().await?;
        }
        Err(Lost::Unread("an answer has more parts than any that was asked for"))
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        Self::within(self.deadline, async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        })
        .await
    }

    /// Sends a command and answers its tag.
    pub(crate) async fn begin(&mut self, words: &[Word<'_>]) -> Result<String, Lost> {
        self.tags += 1;
        let tag = format!("A{}", self.tags);
        let mut out = tag.clone().into_bytes();
        for word in words {
            out.push(b' ');
            match word {
                Word::Plain(text) => out.extend_from_slice(text.as_bytes()),
                Word::Name(name) if can_be_quoted(name) => quote(name, &mut out),
                Word::Name(name) => {
                    out.extend_from_slice(format!("{{{}}}\r\n", name.len()).as_bytes());
                    self.send(&out).await?;
                    self.continued().await?;
                    out = name.to_vec();
                }
            }
        }
        out.extend_from_slice(b"\r\n");
        self.send(&out).await?;
        Ok(tag)
    }

    /// Waits until the server wants the literal.
    pub(crate) async fn continued(&mut self) -> Result<(), Lost> {
        loop {
            match self.answer().await? {
                Answered::Continue(_) => return Ok(()),
                Answered::Data(_) | Answered::Status { tag: None, .. } => {}
                Answered::Status { .. } => return Err(Lost::Unread("the server refused a literal")),
            }
        }
    }

    /// Answers until the command's own; each that is data is handed on.
    pub(crate) async fn finish(
        &mut self,
        tag: &str,
        mut each: impl FnMut(Answered),
    ) -> Result<(Condition, String), Lost> {
        loop {
            match self.answer().await? {
                Answered::Status {
                    tag: Some(own),
                    condition,
                    code,
                } if own == tag => return Ok((condition, code)),
                Answered::Status {
                    condition: Condition::Bye,
                    ..
                } => return Err(Lost::Broken),
                other => each(other),
            }
        }
    }
}

fn can_be_quoted(name: &[u8]) -> bool {
    name.iter().all(|b| (b' '..=b'~').contains(b))
}

fn quote(name: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in name {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}
