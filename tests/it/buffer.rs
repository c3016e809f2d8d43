//! Logs, kept in memory.

use std::sync::Arc;

/// What is written in memory, through the layer that a program with a subscriber of its own uses.
#[derive(Clone, Default)]
pub(crate) struct Buffer(Arc<std::sync::Mutex<Vec<u8>>>);

impl Buffer {
    /// All of it.
    pub(crate) fn written(&self) -> String {
        String::from_utf8(self.0.lock().expect("no test panics in here").clone()).expect("text")
    }
}

impl std::io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no test panics in here").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
