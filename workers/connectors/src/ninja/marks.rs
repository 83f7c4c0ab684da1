//! What becomes of a device, as the MSP's people and policies see it: a tag and
//! a custom field.
//!
//! `PUT` of tags is the *whole* set: what it leaves out is taken off. So the set
//! is read right before, each of its tags must be one that the list of tags has
//! (or nothing is written), and ours alone is added and our other one taken off.
//! Who writes tags in the same moment may still undo ours, and the reading
//! afterwards notices; that we undo his is possible only between two requests.

use super::NinjaConnector;
use super::read::{number, text};
use super::wire::{About, Ask};
use crate::path::Path;
use crate::{Answer, Call, Mark, Marking};
use offboard_domain::{FaultClass, ObjectId};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What kind of thing is tagged.
const ASSET: &str = "device";

/// The tags that there are: ids by name.
pub(super) type Tags = BTreeMap<String, BTreeSet<u64>>;

impl NinjaConnector {
    fn tag(&self, mark: Mark) -> Option<&String> {
        match mark {
            Mark::PendingWipe => self.tags.pending_wipe.as_ref(),
            Mark::Repurpose => self.tags.repurpose.as_ref(),
        }
    }

    fn other_tag(&self, mark: Mark) -> Option<&String> {
        let other = match mark {
            Mark::PendingWipe => Mark::Repurpose,
            Mark::Repurpose => Mark::PendingWipe,
        };
        self.tag(other).filter(|tag| Some(*tag) != self.tag(mark))
    }

    pub(super) async fn all_tags(&self, call: &mut Call) -> Answer<Tags> {
        let ask = Ask::get(Path::at("v2").then("tag"), About::List);
        let body = self.wire.send(call, &ask).await?.body;
        let Some(rows) = body["tags"].as_array().or_else(|| body.as_array()) else {
            return Err(self.misshapen(&ask, "a list of tags"));
        };
        let mut tags = Tags::new();
        for row in rows {
            if let (Some(id), Some(name)) = (number(&row["id"]), text(&row["name"])) {
                tags.entry(name).or_default().insert(id);
            }
        }
        Ok(tags)
    }

    /// The names of the tags that a device carries, from its record.
    fn tags_of(&self, ask: &Ask, device: &Value) -> Answer<BTreeSet<String>> {
        let Some(tags) = device["tags"].as_array() else {
            // Taken for none, a write would take off what others have put on.
            let detail = "NinjaOne does not show the tags of this device, so they cannot be changed without losing others; leave pending_wipe_tag and repurpose_tag out of the configuration";
            return Err(self.wire.fault(ask, FaultClass::Unsupported, detail));
        };
        Ok(tags
            .iter()
            .filter_map(|t| text(t).or_else(|| text(&t["name"])))
            .collect())
    }

    pub(super) async fn field(&self, call: &mut Call, id: &ObjectId, name: &str) -> Answer<Option<String>> {
        let ask = Ask::get(device(id).then("custom-fields"), About::Fields);
        let body = self.wire.send(call, &ask).await?.body;
        let Value::Object(fields) = body else {
            return Err(self.misshapen(&ask, "custom fields"));
        };
        Ok(fields.get(name).and_then(text))
    }

    pub(super) async fn read_marking(&self, call: &mut Call, id: &ObjectId, mark: Mark) -> Answer<Marking> {
        let mut marking = Marking {
            whole: true,
            tag_ids: Vec::new(),
        };
        if self.tag(mark).is_some() || self.other_tag(mark).is_some() {
            let (ask, record) = self.record(call, id).await?;
            let carried = self.tags_of(&ask, &record)?;
            let tags = self.all_tags(call).await?;
            let ids: BTreeSet<u64> = carried
                .iter()
                .filter_map(|name| tags.get(name))
                .flatten()
                .copied()
                .collect();
            marking.tag_ids = ids.iter().map(ToString::to_string).collect();
            marking.whole &= self.tag(mark).is_none_or(|tag| carried.contains(tag));
            marking.whole &= !self.other_tag(mark).is_some_and(|tag| carried.contains(tag));
        }
        if let Some(name) = &self.state_field {
            marking.whole &= self.field(call, id, name).await?.as_deref() == Some(mark.word());
        }
        Ok(marking)
    }

    pub(super) async fn write_mark(&self, call: &mut Call, id: &ObjectId, mark: Mark) -> Answer<()> {
        if self.tag(mark).is_some() || self.other_tag(mark).is_some() {
            self.write_tags(call, id, mark).await?;
        }
        if let Some(name) = &self.state_field
            && self.field(call, id, name).await?.as_deref() != Some(mark.word())
        {
            let body = json!({ name.as_str(): mark.word() });
            let path = device(id).then("custom-fields");
            let ask = Ask::write(Method::PATCH, path, About::Fields, Some(body));
            self.wire.send(call, &ask).await?;
        }
        Ok(())
    }

    async fn write_tags(&self, call: &mut Call, id: &ObjectId, mark: Mark) -> Answer<()> {
        let tags = self.all_tags(call).await?;
        let (read, record) = self.record(call, id).await?;
        let carried = self.tags_of(&read, &record)?;
        let one = |name: &String| match tags.get(name).map(|ids| ids.iter().copied().collect::<Vec<_>>()) {
            Some(ids) if ids.len() == 1 => Ok(ids[0]),
            Some(_) => Err((
                FaultClass::Blocked,
                "two tags of this NinjaOne have one name, and the device carries one of them; nothing was written. Merge them there, then retry",
            )),
            None => Err((
                FaultClass::Transient,
                "the device carries a tag that the list of tags does not have yet; nothing was written, it is read again",
            )),
        };
        let refused = |(class, detail): (FaultClass, &str)| self.wire.fault(&read, class, detail);
        let before = carried
            .iter()
            .map(one)
            .collect::<Result<BTreeSet<u64>, _>>()
            .map_err(refused)?;
        let mut wanted = before.clone();
        if let Some(tag) = self.other_tag(mark).and_then(|name| tags.get(name)) {
            wanted.retain(|id| !tag.contains(id));
        }
        if let Some(name) = self.tag(mark) {
            if !tags.contains_key(name) {
                let detail =
                    format!("there is no tag '{name}' in NinjaOne; make it there (Administration, Tags), then retry");
                return Err(self.wire.fault(&read, FaultClass::Rejected, detail));
            }
            wanted.insert(one(name).map_err(refused)?);
        }
        if wanted == before {
            return Ok(());
        }
        let path = Path::at("v2").then("tag").then(ASSET).id(&id.0);
        let body = json!({ "tagIds": wanted });
        let ask = Ask::write(Method::PUT, path, About::Device, Some(body));
        self.wire.send(call, &ask).await.map(drop)
    }
}

pub(super) fn device(id: &ObjectId) -> Path {
    Path::at("v2").then("device").id(&id.0)
}
