//! Bytes to text, as HR systems and spreadsheets write them.

/// The text of a file, and what was assumed to get it.
pub(super) struct Decoded {
    pub(super) text: String,
    pub(super) assumed: Option<String>,
}

/// Decodes by byte-order mark, else UTF-8, else Windows-1252, which contains
/// Latin-1 and gives every byte a meaning.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, String> {
    let plain = |text: String| Ok(Decoded { text, assumed: None });
    if let Some(rest) = bytes.strip_prefix(b"\xef\xbb\xbf") {
        return match std::str::from_utf8(rest) {
            Ok(text) => plain(text.to_owned()),
            Err(e) => Err(format!(
                "its byte-order mark says UTF-8, but byte {} is none; export it again",
                e.valid_up_to() + 3
            )),
        };
    }
    if let Some(rest) = bytes.strip_prefix(b"\xff\xfe") {
        return utf16(rest, u16::from_le_bytes).and_then(plain);
    }
    if let Some(rest) = bytes.strip_prefix(b"\xfe\xff") {
        return utf16(rest, u16::from_be_bytes).and_then(plain);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => plain(text.to_owned()),
        Err(e) => {
            let line = 1 + bytes[..e.valid_up_to()].iter().filter(|b| **b == b'\n').count();
            Ok(Decoded {
                text: bytes.iter().map(|b| windows_1252(*b)).collect(),
                assumed: Some(format!(
                    "not UTF-8 (line {line}); read as Windows-1252: check that names look right, or export it as UTF-8"
                )),
            })
        }
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, String> {
    let wrong = || "its byte-order mark says UTF-16, but it is not; export it again as UTF-8".to_owned();
    if !bytes.len().is_multiple_of(2) {
        return Err(wrong());
    }
    let units: Vec<u16> = bytes.chunks_exact(2).map(|p| unit([p[0], p[1]])).collect();
    String::from_utf16(&units).map_err(|_| wrong())
}

/// One byte of Windows-1252. The five that it leaves undefined are control
/// characters, as browsers read them (WHATWG Encoding, index windows-1252).
fn windows_1252(byte: u8) -> char {
    const HIGH: [u16; 32] = [
        0x20AC, 0x0081, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x008D,
        0x017D, 0x008F, 0x0090, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A,
        0x0153, 0x009D, 0x017E, 0x0178,
    ];
    match byte {
        0x80..=0x9f => char::from_u32(u32::from(HIGH[usize::from(byte - 0x80)])).unwrap_or(char::REPLACEMENT_CHARACTER),
        _ => char::from(byte),
    }
}
