//! One of something for each layer.

/// One of something for each layer, by the layer's number.
///
/// Most handles have one layer, so the first has its place here: a list would be one more thing to make for each change.
#[derive(Debug, Clone, Default)]
pub(super) struct PerLayer<M> {
    first: M,
    more: Vec<M>,
}

impl<M: Default> PerLayer<M> {
    pub(super) fn get(&self, layer: usize) -> Option<&M> {
        match layer.checked_sub(1) {
            None => Some(&self.first),
            Some(at) => self.more.get(at),
        }
    }

    /// Makes room for a layer that was not spoken of yet.
    #[expect(clippy::indexing_slicing, reason = "the line before makes the list long enough")]
    pub(super) fn entry(&mut self, layer: usize) -> &mut M {
        let Some(at) = layer.checked_sub(1) else { return &mut self.first };
        if self.more.len() <= at {
            self.more.resize_with(layer, M::default);
        }
        &mut self.more[at]
    }

    /// How many layers were spoken of, the first included.
    pub(super) fn len(&self) -> usize {
        1 + self.more.len()
    }

    /// From general to specific.
    pub(super) fn iter(&self) -> impl Iterator<Item = &M> {
        std::iter::once(&self.first).chain(&self.more)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut M> {
        std::iter::once(&mut self.first).chain(&mut self.more)
    }
}
