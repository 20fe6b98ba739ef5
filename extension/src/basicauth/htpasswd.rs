//! Users with their password hashes, as `htpasswd` writes them. What a hash says is in `hash`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use config::Secret;
use proto::auth::{Check, Denied, User};
use tokio::sync::Semaphore;

use super::config::Htpasswd;
use super::hash::Hash;
use crate::credentials::same;

/// How long a password waits for its turn to be compared with a slow hash.
const PATIENCE: Duration = Duration::from_secs(5);

/// Known users.
pub(super) struct Users {
    stored: HashMap<Arc<str>, Arc<Hash>>,
    /// Compared with the passwords of unknown users, so that the time does not tell who is known: the slowest one.
    decoy: Option<Arc<Hash>>,
    /// The password of each user once it was found right: bcrypt takes a tenth of a second, each time.
    proven: Mutex<HashMap<Arc<str>, Secret>>,
    /// Slow hashes are compared one at a time, so that whoever guesses passwords takes one processor at most.
    turns: Arc<Semaphore>,
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
        let decoy = stored.values().filter(|hash| hash.is_slow()).max_by_key(|hash| hash.cost()).cloned();
        Ok(Users { stored, decoy, proven: Mutex::default(), turns: Arc::new(Semaphore::new(1)) })
    }

    /// Whether this is the user's password.
    pub(super) fn check(&self, user: &str, password: &str) -> Check<'_> {
        let (known, stored) = self.stored.get_key_value(user).map(|(user, hash)| (user.clone(), hash)).unzip();
        match stored.or(self.decoy.as_ref()) {
            Some(hash) if hash.is_slow() => {
                if self.is_proven(user, password) {
                    return Check::Done(Ok(known));
                }
                Check::Later(Box::pin(self.compare(known, password.to_owned(), hash.clone())))
            }
            Some(hash) => Check::Done(verdict(known.filter(|_| hash.is_of(password)))),
            None => Check::Done(verdict(None)),
        }
    }

    /// Compares on a blocking thread, when it is the request's turn.
    async fn compare(&self, known: User, password: String, hash: Arc<Hash>) -> Result<User, Denied> {
        let Ok(turn) = tokio::time::timeout(PATIENCE, self.turns.clone().acquire_owned()).await else {
            return Err(Denied::Busy("too many passwords are being checked, try again later".to_owned()));
        };
        // Another request of the user may have had its turn meanwhile.
        if known.as_ref().is_some_and(|user| self.is_proven(user, &password)) {
            return Ok(known);
        }
        // The turn is the comparison's: it goes on when the client has gone.
        let comparing = tokio::task::spawn_blocking(move || {
            let right = hash.is_of(&password);
            drop(turn);
            right.then_some(password)
        });
        let right = comparing.await.ok().flatten();
        let user = known.zip(right).map(|(user, password)| {
            self.proven().insert(user.clone(), Secret::new(password));
            user
        });
        verdict(user)
    }

    fn is_proven(&self, user: &str, password: &str) -> bool {
        self.proven().get(user).is_some_and(|known| same(known.expose().as_bytes(), password.as_bytes()))
    }

    fn proven(&self) -> MutexGuard<'_, HashMap<Arc<str>, Secret>> {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the user in whose password was right.
fn verdict(user: User) -> Result<User, Denied> {
    if user.is_some() { Ok(user) } else { Err(Denied::Unauthenticated("invalid credentials".to_owned())) }
}

/// Adds `user:hash` lines; empty ones and those that begin with `#` are skipped.
fn add(stored: &mut HashMap<Arc<str>, Arc<Hash>>, source: &str, text: &str) -> Result<(), String> {
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
        stored.insert(user.into(), Arc::new(hash));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ann` and `bob` with slow hashes of `secret` and `hidden`, `tom` with a fast one of `open`.
    fn users() -> Users {
        let hash = |password| bcrypt::hash_with_result(password, 4).unwrap().to_string();
        let lines = format!("ann:{}\nbob:{}\ntom:open", hash("secret"), hash("hidden"));
        let (node, _) = config::parse_yaml("test.yaml", &format!("{{htpasswd: {{inline: {lines:?}}}}}"));
        let (settings, _) = super::super::config::read(&node.unwrap());
        Users::read(&settings.unwrap().htpasswd.unwrap()).unwrap()
    }

    fn at_once(check: Check<'_>) -> Option<bool> {
        match check {
            Check::Done(answer) => Some(answer.is_ok()),
            Check::Later(_) => None,
        }
    }

    #[tokio::test]
    async fn a_slow_hash_is_compared_elsewhere_and_once_for_a_right_password() {
        let users = users();
        assert_eq!(at_once(users.check("tom", "open")), Some(true));
        assert_eq!(at_once(users.check("tom", "shut")), Some(false));
        assert_eq!(at_once(users.check("ann", "secret")), None);
        assert_eq!(users.check("ann", "wrong").answer().await, verdict(None));
        assert_eq!(at_once(users.check("ann", "wrong")), None);
        assert_eq!(users.check("ann", "secret").answer().await, Ok(Some("ann".into())));
        assert_eq!(at_once(users.check("ann", "secret")), Some(true));
        assert_eq!(at_once(users.check("bob", "secret")), None);
    }

    #[tokio::test]
    async fn an_unknown_user_takes_as_long_as_a_known_one_and_no_password_helps() {
        let users = users();
        for password in ["secret", "hidden", "open"] {
            assert_eq!(at_once(users.check("eve", password)), None);
            assert_eq!(users.check("eve", password).answer().await, verdict(None));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_for_a_turn_is_told_to_come_again() {
        let users = users();
        let turn = users.turns.clone().acquire_owned().await.unwrap();
        let denied = users.check("ann", "secret").answer().await.unwrap_err();
        assert!(matches!(denied, Denied::Busy(_)));
        // Whoever is known, or is cheap to check, does not wait.
        assert_eq!(at_once(users.check("tom", "open")), Some(true));
        drop(turn);
        assert_eq!(users.check("ann", "secret").answer().await, Ok(Some("ann".into())));
    }
}
