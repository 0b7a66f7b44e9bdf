//! What some of many numbers have: in pages, each made when the first of its numbers gets something.

/// A table by number, so many to a page: the larger these are the less is looked at to find one, and the more room is taken
/// where only a few have something. What was never changed is as by default.
#[derive(Debug)]
pub(super) struct Paged<T, const PAGE: usize> {
    pages: Vec<Option<Box<[T; PAGE]>>>,
}

impl<T, const PAGE: usize> Default for Paged<T, PAGE> {
    fn default() -> Self {
        Self { pages: Vec::new() }
    }
}

impl<T: Default, const PAGE: usize> Paged<T, PAGE> {
    /// What a number has; none where its page was never needed.
    pub(super) fn get(&self, number: u32) -> Option<&T> {
        let (page, at) = Self::place(number);
        self.pages.get(page)?.as_ref().map(|page| &page[at])
    }

    /// The same, to be changed.
    pub(super) fn get_mut(&mut self, number: u32) -> &mut T {
        let (page, at) = Self::place(number);
        if page >= self.pages.len() {
            self.pages.resize_with(page + 1, || None);
        }
        let page = self.pages[page].get_or_insert_with(|| Box::new(std::array::from_fn(|_| T::default())));
        &mut page[at]
    }

    fn place(number: u32) -> (usize, usize) {
        (number as usize / PAGE, number as usize % PAGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_is_found_and_nothing_else_takes_room() {
        let mut paged = Paged::<_, 4>::default();
        for number in [0, 3, 4, 1_000_003] {
            *paged.get_mut(number) = number + 1;
        }
        let found = [0, 1, 3, 4, 5, 8, 1_000_003, 1_000_004, u32::MAX].map(|number| paged.get(number).copied());
        assert_eq!(found, [Some(1), Some(0), Some(4), Some(5), Some(0), None, Some(1_000_004), None, None]);
        assert_eq!(paged.pages.iter().flatten().count(), 3);
    }
}
