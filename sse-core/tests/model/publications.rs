//! Publications, the ends of channels, and what producers ask.

use sse_core::{Event, Except, Frame, Position, PublishOptions};

use super::harness::Harness;
use super::naive::{Draft, Exclusion, wire};
use super::op::{Content, Excluded, GivenId};
use super::settings;

impl Harness {
    pub(super) fn publish(&mut self, channels: u8, content: &Content, except: Option<Excluded>) {
        let now = self.observed();
        let chans = self.channels_of(channels);
        let except = except.and_then(|except| self.exclusion(except));
        // When a member passes an excluded event that lingers depends on when the hub visits it for another reason.
        let lingers = chans.iter().any(|chan| self.model.chans[*chan].config.linger.is_some());
        let except = except.filter(|_| !lingers);
        let draft = self.draft(content, except.clone());
        let event = event(&draft);
        let except = except.as_ref().map(|except| match except {
            Exclusion::Connection(id) => Except::Connection(*id),
            Exclusion::Client(key) => Except::Client(key),
        });
        let published = self.hub.publish_to(now, &self.ids(&chans), &event, PublishOptions { except });
        self.compare_published(published, &chans, &draft, None);
    }

    fn draft(&self, content: &Content, except: Option<Exclusion>) -> Draft {
        let next = self.model.head.saturating_add(1);
        let id = match content.id {
            GivenId::None => None,
            GivenId::Application(number) => Some(settings::application_id(number)),
            GivenId::Empty => Some(String::new()),
            GivenId::Reserved(off) => Some(format!("e-{}", next.saturating_add(off.into()))),
        };
        Draft {
            id,
            data: "x".repeat(usize::from(content.bytes)),
            live_only: content.live_only,
            has_line_break: content.has_line_break,
            except,
        }
    }

    pub(super) fn finish_channel(&mut self, chan: usize, last: Option<&Content>, keep: u8) {
        let now = self.observed();
        let (id, keep) = (self.model.chans[chan].id, settings::time(keep));
        let draft = last.map(|last| self.draft(last, None));
        let finished = self.hub.finish_channel(now, id, draft.as_ref().map(event).as_ref(), keep);
        let finished = finished.map(|it| (it.end.get(), it.complete_after.get(), it.is_complete));
        assert_eq!(finished, self.model.finish_channel(chan, draft.as_ref(), keep), "finish");
    }

    pub(super) fn stop(&mut self, chan: usize) {
        let now = self.observed();
        let stopped = self.hub.stop(now, self.model.chans[chan].id);
        assert_eq!(stopped, self.model.stop(chan), "P2");
    }

    pub(super) fn room(&mut self, chan: usize) {
        let room = self.hub.room(self.model.chans[chan].id);
        assert_eq!(room, self.model.room(chan), "P3");
    }

    pub(super) fn set_farewell(&mut self, conn: usize, is_set: bool) {
        let now = self.observed();
        let farewell = is_set.then(settings::farewell);
        let c = &mut self.model.conns[conn];
        let fits = farewell.as_ref().is_none_or(|it| it.len() <= self.model.limits.event_bytes);
        let is_open = c.is_alive && c.is_open() && fits;
        if is_open {
            c.config.farewell.clone_from(&farewell);
        }
        assert_eq!(self.hub.set_farewell(now, self.id(conn), farewell), is_open, "T5");
    }

    /// Publishes at a position. Equal positions always get equal events, whichever channel or call they are for.
    pub(super) fn publish_at(&mut self, channels: u8, step: u8) {
        let now = self.observed();
        let chans = self.channels_of(channels);
        let position = self.model.head.saturating_add(u64::from(step % 24)).saturating_sub(8);
        let draft = Draft {
            id: (position % 7 == 3).then(|| settings::application_id((position % 13) as u8)),
            data: position.to_string(),
            live_only: position % 5 == 4,
            has_line_break: false,
            except: None,
        };
        let frame =
            Frame::parse(wire(draft.id.as_deref(), None, &draft.data)).expect("the bytes are one block");
        let frame = if draft.live_only { frame.live_only() } else { frame };
        let published = self.hub.publish_at(
            now,
            &self.ids(&chans),
            Position::new(position),
            &frame,
            PublishOptions::default(),
        );
        self.compare_published(published, &chans, &draft, Some(position));
    }

    pub(super) fn advance_head(&mut self, step: u8) {
        let now = self.observed();
        let position = self.model.head.saturating_add(u64::from(step)).saturating_sub(2);
        self.hub.advance(now, Position::new(position));
        self.model.advance_head(position);
    }

    pub(super) fn lose(&mut self, chan: usize, step: u8) {
        let now = self.observed();
        let position = self.model.head.saturating_add(u64::from(step)).saturating_sub(8);
        let is_open = self.hub.lose(now, self.model.chans[chan].id, Position::new(position));
        assert_eq!(is_open, self.model.lose(chan, position), "L4");
    }

    fn compare_published(
        &mut self,
        published: Result<sse_core::Published, sse_core::PublishError>,
        chans: &[usize],
        draft: &Draft,
        at: Option<u64>,
    ) {
        let published =
            published.map(|it| (it.position.get(), it.frame.as_bytes().to_vec(), it.subscriptions));
        assert_eq!(published, self.model.publish(chans, draft, at), "publish");
    }
}

/// Returns the event of a draft.
fn event(draft: &Draft) -> Event<'_> {
    let mut event = Event::new().data(&draft.data);
    if let Some(id) = &draft.id {
        event = event.id(id);
    }
    if draft.live_only {
        event = event.live_only();
    }
    if draft.has_line_break {
        event = event.event("a\nb");
    }
    event
}
