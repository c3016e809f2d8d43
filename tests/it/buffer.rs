//! Logs, kept in memory.

use std::sync::{Arc, OnceLock};

use tracing::Dispatch;

/// What is written in memory, through the layer that a program with a subscriber of its own uses.
#[derive(Clone)]
pub(crate) struct Buffer(Arc<std::sync::Mutex<Vec<u8>>>);

impl Default for Buffer {
    fn default() -> Self {
        // While a process has a single subscriber, tracing asks only the thread that first comes to an event whether
        // anybody wants it: that may be another test's, which wants none. With a second one it asks all of them.
        static SECOND: OnceLock<Dispatch> = OnceLock::new();
        SECOND.get_or_init(|| Dispatch::new(tracing_subscriber::registry()));
        Self(Arc::default())
    }
}

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
