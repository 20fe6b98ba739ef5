//! The ends of series: what the scrape before had and this one has not gets a marker.

use std::collections::HashSet;

use super::{Role, Sample, SeriesCache};

impl SeriesCache {
    /// Marks the end of every series that was tracked in the scrape before and is not in this one. Of a page that was
    /// refused (`is_refused`) the series up to the failing line count as there, although they have no points.
    pub(super) fn mark_ended(&mut self, is_refused: bool) {
        if self.seen_again == self.tracked_before {
            return;
        }
        let mut there: HashSet<Role> = HashSet::new();
        if is_refused {
            there.extend(self.entries.iter().filter(|entry| entry.tracked == self.scrape).map(|entry| entry.role));
        }
        let before = self.scrape - 1;
        for id in 0..self.entries.len() {
            let id = u32::try_from(id).expect("fewer than 2^32 series of a target");
            if self.entries.get(id).tracked == before {
                self.mark_end(id, &there);
            }
        }
    }

    /// `there`: what other spellings say that goes on.
    fn mark_end(&mut self, id: u32, there: &HashSet<Role>) {
        let entry = *self.entries.get(id);
        let mut role = entry.role;
        let generation = self.families.generation();
        if entry.generation != generation {
            // The family's type may have changed since; the marker is to be of the type that is known now.
            let raw = self.entries.raw(id).to_vec();
            let Ok(resolved) = self.resolve(&raw, entry.read_as) else { return };
            role = resolved;
            let entry = self.entries.get_mut(id);
            entry.role = role;
            entry.generation = generation;
        }
        if there.contains(&role) {
            return;
        }
        let sample = Sample { value: None, time_ms: self.time_ms };
        match role {
            // Another spelling of the same series is still there.
            Role::Number { group } if self.has_point(group) => {}
            Role::Number { group } => drop(self.add_number(group, sample)),
            Role::NumberCreated { group } if self.has_live_point(group) => {}
            Role::NumberCreated { group } => drop(self.add_created(group, sample)),
            Role::Part { distribution, part } => drop(self.add_part(distribution, part, sample)),
            Role::Dropped | Role::Rejected(_) | Role::TargetInfo { .. } => {}
        }
    }

    /// Whether a number group has a point of this scrape.
    pub(super) fn has_point(&self, group: u32) -> bool {
        let state = &self.numbers[group as usize];
        state.round == self.round && state.point != super::NONE
    }

    fn has_live_point(&self, group: u32) -> bool {
        self.has_point(group) && self.columns.numbers[self.numbers[group as usize].point as usize].flags == 0
    }
}
