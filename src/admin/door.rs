//! Who is let in: whoever shows the token. Wrong ones are not looked at for as long as anybody likes.

use std::sync::{Mutex, PoisonError};

use secrecy::{ExposeSecret, SecretString};

use super::views::ApiError;
use crate::message::secret::{Guesses, bearer, same_token};

/// So many wrong tokens are looked at in one second.
const GUESSES: usize = 10;

/// The door of the operator's API.
pub(super) struct Door {
    token: SecretString,
    guesses: Mutex<Guesses>,
}

impl Door {
    pub(super) fn new(token: SecretString) -> Self {
        Self { token, guesses: Mutex::new(Guesses::in_a_second(GUESSES)) }
    }

    /// Lets in whoever shows the token in this `authorization` header.
    pub(super) fn admit(&self, authorization: Option<&str>) -> Result<(), ApiError> {
        let mut guesses = self.guesses.lock().unwrap_or_else(PoisonError::into_inner);
        if !guesses.may() {
            return Err(ApiError::new(429, "too many wrong tokens: wait a second"));
        }
        if authorization.and_then(bearer).is_some_and(|shown| same_token(shown, self.token.expose_secret())) {
            return Ok(());
        }
        guesses.wrong();
        Err(ApiError::new(401, "show the operator's token: `authorization: Bearer …`"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn status(door: &Door, header: &str) -> u16 {
        door.admit(Some(header).filter(|header| !header.is_empty())).map_or_else(|refusal| refusal.status, |()| 200)
    }

    #[tokio::test(start_paused = true)]
    async fn ten_wrong_tokens_close_it_for_the_rest_of_a_second() {
        let (door, right) = (Door::new(TOKEN.to_owned().into()), format!("Bearer {TOKEN}"));
        for _ in 0..1000 {
            assert_eq!(status(&door, &right), 200);
        }
        tokio::time::advance(Duration::from_millis(1)).await;
        for number in 0..GUESSES {
            assert_eq!(status(&door, &format!("Bearer {number}")), 401);
        }
        assert_eq!((status(&door, "Bearer 1"), status(&door, &right)), (429, 429));
        tokio::time::advance(Duration::from_millis(999)).await;
        assert_eq!(status(&door, &right), 429);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(status(&door, &right), 200);
    }

    #[test]
    fn only_the_whole_token_opens_it() {
        for header in ["", "Bearer", "Bearer ", TOKEN, "Basic 0123456789abcdef0123456789abcdef"] {
            assert_eq!(status(&Door::new(TOKEN.to_owned().into()), header), 401, "{header}");
        }
        for token in [&TOKEN[1..], &TOKEN[..31], &TOKEN.to_uppercase(), &format!("{TOKEN}0"), &format!("{TOKEN} x")] {
            assert_eq!(status(&Door::new(TOKEN.to_owned().into()), &format!("Bearer {token}")), 401, "{token}");
        }
        assert_eq!(status(&Door::new(TOKEN.to_owned().into()), &format!("bearer {TOKEN}")), 200);
    }
}
