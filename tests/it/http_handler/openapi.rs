//! What `openapi.json` says, held against the code.
