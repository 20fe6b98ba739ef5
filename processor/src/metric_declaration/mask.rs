//! Sets of declarations as bits. Knows nothing of what the declarations say.

use smallvec::SmallVec;

/// A set of declarations, by their index in configuration order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct DeclarationMask(SmallVec<[u64; 2]>);

impl DeclarationMask {
    /// The empty set.
    pub fn empty() -> DeclarationMask {
        DeclarationMask::default()
    }

    /// Adds a declaration.
    pub fn insert(&mut self, index: usize) {
        let word = index / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (index % 64);
    }

    /// What both sets hold.
    #[must_use]
    pub fn and(&self, other: &DeclarationMask) -> DeclarationMask {
        let mut words: SmallVec<[u64; 2]> = self.0.iter().zip(&other.0).map(|(a, b)| a & b).collect();
        while words.last() == Some(&0) {
            words.pop();
        }
        DeclarationMask(words)
    }

    /// Whether the set holds nothing.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// The declarations in it, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0
            .iter()
            .enumerate()
            .flat_map(|(at, word)| (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at * 64 + bit))
    }
}

impl FromIterator<usize> for DeclarationMask {
    fn from_iter<T: IntoIterator<Item = usize>>(indexes: T) -> DeclarationMask {
        let mut mask = DeclarationMask::empty();
        indexes.into_iter().for_each(|index| mask.insert(index));
        mask
    }
}
