//! Users with their password hashes, as `htpasswd` writes them. What a hash says is in `hash`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use config::Secret;

use super::config::Htpasswd;
use super::hash::Hash;
use crate::credentials::same;

/// Known users.
pub(super) struct Users {
    stored: HashMap<String, Hash>,
    /// The password of each user once it was found right: bcrypt takes a tenth of a second, each time.
    proven: Mutex<HashMap<String, Secret>>,
}

impl Users {
    /// Reads the file and the inline lines; a user of the latter wins.
    ///
    /// # Errors
    /// What could not be read or is not supported, naming line or user.
    pub(super) fn read(settings: &Htpasswd) -> Result<Users, String> {
        let mut stored = HashMap::new();
        let path = settings.file.as_str();
        if !path.is_empty() {
            let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read {path}: {e}"))?;
            add(&mut stored, path, &text)?;
        }
        add(&mut stored, "inline", settings.inline.expose())?;
        Ok(Users { stored, proven: Mutex::default() })
    }

    /// Whether this is the user's password.
    pub(super) fn knows(&self, user: &str, password: &str) -> bool {
        let Some(stored) = self.stored.get(user) else { return false };
        let proven = || self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        if proven().get(user).is_some_and(|known| same(known.expose().as_bytes(), password.as_bytes())) {
            return true;
        }
        let right = stored.is_of(password);
        if right && stored.is_slow() {
            proven().insert(user.to_owned(), Secret::new(password));
        }
        right
    }
}

/// Adds `user:hash` lines; empty ones and those that begin with `#` are skipped.
fn add(stored: &mut HashMap<String, Hash>, source: &str, text: &str) -> Result<(), String> {
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((user, hash)) = line.split_once(':') else {
            return Err(format!("line {} of {source} has no colon", i + 1));
        };
        let Some(hash) = Hash::read(hash) else {
            let hint = "make a bcrypt one with htpasswd -B";
            return Err(format!("the hash of user {user:?} is of a kind that is not supported, or broken; {hint}"));
        };
        stored.insert(user.to_owned(), hash);
    }
    Ok(())
}
