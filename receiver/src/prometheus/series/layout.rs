//! Bounds of histograms and quantiles of summaries, shared by all distributions that have the same ones.

use hashbrown::HashMap;

/// The positions of a distribution's values, in the order in which they appeared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    /// Bounds or quantiles in order of appearance.
    pub(crate) values: Vec<f64>,
    /// Positions in ascending order of their value.
    pub(crate) sorted: Vec<u16>,
}

/// All layouts of a target: a tree in which each node adds one value to its parent; 0 is the empty layout.
///
/// A histogram walks down the tree while its buckets appear for the first time, so what lies on the way stays small:
/// only layouts that points were built with are spelled out.
pub(crate) struct Layouts {
    nodes: Vec<Node>,
    /// From a layout and the bits of one more value to the layout that has it too.
    next: HashMap<(u32, u64), u32>,
}

struct Node {
    parent: u32,
    len: u16,
    value: f64,
    spelled_out: Option<Box<Layout>>,
}

/// More buckets or quantiles than this in one distribution are rejected.
pub(crate) const MAX_VALUES: u16 = 2_000;

impl Default for Layouts {
    fn default() -> Layouts {
        let empty = Node { parent: 0, len: 0, value: 0.0, spelled_out: Some(Box::default()) };
        Layouts { nodes: vec![empty], next: HashMap::new() }
    }
}

impl Layouts {
    /// Number of values.
    pub(crate) fn len(&self, layout: u32) -> u16 {
        self.nodes[layout as usize].len
    }

    /// The position of a value in a layout, if it has it.
    pub(crate) fn position(&self, mut layout: u32, value: f64) -> Option<u16> {
        while layout != 0 {
            let node = &self.nodes[layout as usize];
            if node.value == value {
                return Some(node.len - 1);
            }
            layout = node.parent;
        }
        None
    }

    /// The layout with one more value at the end; `None` when it has too many.
    pub(crate) fn extend(&mut self, layout: u32, value: f64) -> Option<u32> {
        if let Some(&next) = self.next.get(&(layout, value.to_bits())) {
            return Some(next);
        }
        let len = self.len(layout) + 1;
        if len > MAX_VALUES {
            return None;
        }
        let id = u32::try_from(self.nodes.len()).expect("fewer layouts than series");
        self.nodes.push(Node { parent: layout, len, value, spelled_out: None });
        self.next.insert((layout, value.to_bits()), id);
        Some(id)
    }

    /// A layout spelled out.
    pub(crate) fn get(&mut self, layout: u32) -> &Layout {
        if self.nodes[layout as usize].spelled_out.is_none() {
            self.nodes[layout as usize].spelled_out = Some(Box::new(self.spell_out(layout)));
        }
        self.nodes[layout as usize].spelled_out.as_ref().expect("it was just put there")
    }

    /// Bytes held, roughly.
    #[cfg(test)]
    pub(crate) fn size_bytes(&self) -> usize {
        let spelled: usize =
            self.nodes.iter().filter_map(|n| n.spelled_out.as_ref()).map(|l| l.values.len() * 10 + 48).sum();
        spelled + self.nodes.capacity() * size_of::<Node>() + self.next.capacity() * 20
    }

    fn spell_out(&self, mut layout: u32) -> Layout {
        let mut values = Vec::with_capacity(usize::from(self.len(layout)));
        while layout != 0 {
            let node = &self.nodes[layout as usize];
            values.push(node.value);
            layout = node.parent;
        }
        values.reverse();
        let mut sorted: Vec<u16> = (0..MAX_VALUES).take(values.len()).collect();
        sorted.sort_by(|a, b| values[usize::from(*a)].total_cmp(&values[usize::from(*b)]));
        Layout { values, sorted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(layouts: &mut Layouts, bounds: &[f64]) -> u32 {
        bounds.iter().fold(0, |at, bound| layouts.extend(at, *bound).unwrap())
    }

    #[test]
    fn distributions_with_the_same_bounds_share_a_layout() {
        let mut layouts = Layouts::default();
        let one = build(&mut layouts, &[5.0, 1.0, f64::INFINITY]);
        assert_eq!(build(&mut layouts, &[5.0, 1.0, f64::INFINITY]), one);
        assert_ne!(build(&mut layouts, &[1.0, 5.0, f64::INFINITY]), one);
        assert_eq!(layouts.get(one).values, [5.0, 1.0, f64::INFINITY]);
        assert_eq!(layouts.get(one).sorted, [1, 0, 2]);
        assert_eq!(layouts.position(one, 1.0), Some(1));
        assert_eq!(layouts.position(one, 2.0), None);
    }

    #[test]
    fn a_layout_has_a_largest_size() {
        let mut layouts = Layouts::default();
        let full = build(&mut layouts, &(0..MAX_VALUES).map(f64::from).collect::<Vec<_>>());
        assert_eq!(layouts.extend(full, -1.0), None);
        assert_eq!(layouts.get(full).sorted.len(), usize::from(MAX_VALUES));
    }
}
