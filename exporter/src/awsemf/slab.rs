//! A vector with holes: items keep their index until they are taken out.

/// Items by index.
pub(crate) struct Slab<T> {
    items: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(crate) fn new() -> Slab<T> {
        Slab { items: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn insert(&mut self, item: T) -> u32 {
        match self.free.pop() {
            Some(index) => {
                self.items[index as usize] = Some(item);
                index
            }
            None => {
                self.items.push(Some(item));
                u32::try_from(self.items.len() - 1).expect("caches are limited far below 2^32 entries")
            }
        }
    }

    /// The item, which whoever kept the index knows to be there.
    pub(crate) fn at(&self, index: u32) -> &T {
        self.items[index as usize].as_ref().expect("an index is kept only as long as its item")
    }

    pub(crate) fn at_mut(&mut self, index: u32) -> &mut T {
        self.items[index as usize].as_mut().expect("an index is kept only as long as its item")
    }

    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        self.items.get(index as usize)?.as_ref()
    }

    pub(crate) fn take(&mut self, index: u32) -> Option<T> {
        let item = self.items.get_mut(index as usize)?.take();
        if item.is_some() {
            self.free.push(index);
        }
        item
    }

    /// Items.
    pub(crate) fn len(&self) -> usize {
        self.items.len() - self.free.len()
    }

    /// Items and holes.
    pub(crate) fn slots(&self) -> u32 {
        self.items.len() as u32
    }
}
