//! Which names may be used. They become paths and URLs, so they are made of
//! what our own ids are made of, and nothing can climb out of its folder,
//! hide, or be two files on one system and one on another.

use crate::StoreError;
use object_store::path::Path;
use offboard_domain::Digest;
use offboard_runtime::config::is_site;

/// Where artifacts stand; no name begins with it.
pub(crate) const OBJECTS: &str = "objects";

/// Where the sites' places are; no name begins with it either.
pub(crate) const SITES: &str = "sites";

/// Longest segment: below the 255 bytes of common file systems, with room for
/// what is appended while a file is written.
const SEGMENT_MAX_BYTES: usize = 128;
/// Deepest name.
const SEGMENTS_MAX: usize = 8;
/// How much of a refused name an error repeats.
const SHOWN_CHARS: usize = 80;

/// The place of an artifact: spread over 256 folders.
pub(crate) fn object_path(digest: Digest) -> Path {
    let hex = digest.to_string();
    Path::from(format!("{OBJECTS}/{}/{hex}", &hex[..2]))
}

/// The place of a site.
pub(crate) fn site_path(site: &str) -> Result<Path, StoreError> {
    if is_site(site) {
        return Ok(Path::from(format!("{SITES}/{site}")));
    }
    Err(StoreError::Refused {
        path: site.chars().take(SHOWN_CHARS).collect(),
        why: "no site can be called so",
    })
}

/// Where that would be in such a place.
pub(crate) fn at_site(site: &Path, path: &Path) -> Path {
    site.parts().chain(path.parts()).collect()
}

/// What is written to see whether one can; always the same.
pub(crate) const PROBE: &[u8] = b"Offboard looks whether it may write here.\n";

/// Where it stands: among the artifacts, which are not listed.
pub(crate) fn probe_path() -> Path {
    Path::from(format!("{OBJECTS}/probe"))
}

pub(crate) fn checked(name: &str) -> Result<Path, StoreError> {
    match flaw(name) {
        None => Ok(Path::from(name)),
        Some(why) => Err(StoreError::Refused {
            path: name.chars().take(SHOWN_CHARS).collect(),
            why,
        }),
    }
}

fn flaw(name: &str) -> Option<&'static str> {
    if name.split('/').count() > SEGMENTS_MAX {
        return Some("it is deeper than 8 segments");
    }
    if name.split('/').next() == Some(OBJECTS) {
        return Some("'objects' is kept for artifacts");
    }
    if name.split('/').next() == Some(SITES) {
        return Some("'sites' is kept for the places of sites");
    }
    name.split('/').find_map(|segment| {
        if segment.is_empty() || segment.len() > SEGMENT_MAX_BYTES {
            Some("each segment has 1 to 128 characters")
        } else if segment.starts_with('.') || segment.ends_with('.') {
            Some("no segment begins or ends with a dot")
        } else if !segment
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b))
        {
            Some("a segment is made of a-z, 0-9, '-', '_' and '.'")
        } else {
            None
        }
    })
}
