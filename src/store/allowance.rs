//! How much of a long row is read at once.

/// So many of a row's first records, and no more than so many bytes of them. Never less than one record: else what is
/// longer than that would never be read.
pub(super) struct Allowance {
    records: usize,
    bytes: usize,
    taken: usize,
}

impl Allowance {
    pub(super) fn new(records: usize, bytes: usize) -> Self {
        Self { records, bytes, taken: 0 }
    }

    /// Whether the next record, of this length in bytes, is one of them.
    pub(super) fn takes(&mut self, length: usize) -> bool {
        let fits = self.taken == 0 || self.taken + length <= self.bytes;
        if self.records == 0 || !fits {
            return false;
        }
        self.records -= 1;
        self.taken += length;
        true
    }

    /// How many bytes have been taken.
    pub(super) fn taken(&self) -> usize {
        self.taken
    }
}
