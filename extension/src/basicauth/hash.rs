//! Password hashes as they stand in `htpasswd` files: bcrypt, Apache's MD5, SHA-1 with and without salt, and plain text.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use config::Secret;
use md5::Md5;
use sha1::{Digest, Sha1};

use crate::credentials::same;

/// A stored password.
pub(super) enum Hash {
    Bcrypt(Secret),
    /// `$apr1$`: salt and text of the digest.
    Apr1(String, Secret),
    /// `{SHA}` and `{SSHA}`: digest and salt.
    Sha1([u8; 20], Vec<u8>),
    Plain(Secret),
}

impl Hash {
    /// Reads what stands behind the user's name. `None` for kinds that are not supported and for broken ones.
    pub(super) fn read(text: &str) -> Option<Hash> {
        if ["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|start| text.starts_with(start)) {
            return Some(Hash::Bcrypt(Secret::new(text)));
        }
        if let Some(rest) = text.strip_prefix("$apr1$") {
            let (salt, digest) = rest.split_once('$')?;
            let fits = (1..=8).contains(&salt.len()) && digest.len() == 22;
            return fits.then(|| Hash::Apr1(salt.to_owned(), Secret::new(digest)));
        }
        if let Some(encoded) = text.strip_prefix("{SHA}").or_else(|| text.strip_prefix("{SSHA}")) {
            let bytes = BASE64_STANDARD.decode(encoded).ok()?;
            let (digest, salt) = bytes.split_first_chunk()?;
            let fits = text.starts_with("{SSHA}") || salt.is_empty();
            return fits.then(|| Hash::Sha1(*digest, salt.to_vec()));
        }
        (!text.starts_with(['$', '{'])).then(|| Hash::Plain(Secret::new(text)))
    }

    /// Whether it is the hash of this password.
    pub(super) fn is_of(&self, password: &str) -> bool {
        match self {
            Hash::Bcrypt(hash) => bcrypt::verify(password, hash.expose()).unwrap_or(false),
            Hash::Apr1(salt, digest) => same(digest.expose().as_bytes(), apr1(password, salt).as_bytes()),
            Hash::Sha1(digest, salt) => same(digest, &Sha1::new().chain_update(password).chain_update(salt).finalize()),
            Hash::Plain(known) => same(known.expose().as_bytes(), password.as_bytes()),
        }
    }

    /// Whether comparing takes so long that it should not be done for every request.
    pub(super) fn is_slow(&self) -> bool {
        self.cost() > 0
    }

    /// How long comparing takes, in steps of twice as long; 0 for what takes no time.
    pub(super) fn cost(&self) -> u32 {
        match self {
            // `$2b$12$`.
            Hash::Bcrypt(hash) => hash.expose().get(4..6).and_then(|cost| cost.parse().ok()).unwrap_or(1),
            Hash::Apr1(..) => 1,
            Hash::Sha1(..) | Hash::Plain(_) => 0,
        }
    }
}

/// Apache's variant of the MD5 `crypt`: a thousand rounds over password, salt and the digest before.
fn apr1(password: &str, salt: &str) -> String {
    let (password, salt) = (password.as_bytes(), salt.as_bytes());
    let other = Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize();
    let mut context = Md5::new().chain_update(password).chain_update(b"$apr1$").chain_update(salt);
    for block in password.chunks(16) {
        context.update(&other[..block.len()]);
    }
    let mut length = password.len();
    while length > 0 {
        context.update(if length & 1 == 1 { &[0][..] } else { &password[..1] });
        length >>= 1;
    }
    let mut digest = context.finalize();
    for round in 0..1000 {
        let (first, last) = if round % 2 == 1 { (password, &digest[..]) } else { (&digest[..], password) };
        let mut context = Md5::new().chain_update(first);
        if round % 3 != 0 {
            context.update(salt);
        }
        if round % 7 != 0 {
            context.update(password);
        }
        digest = context.chain_update(last).finalize();
    }
    let mut text = String::with_capacity(22);
    let mut put = |bytes: [usize; 3], digits: u32| {
        let value = bytes.iter().fold(0u32, |value, &at| value << 8 | u32::from(digest.get(at).copied().unwrap_or(0)));
        for digit in 0..digits {
            text.push(char::from(DIGITS[(value >> (6 * digit) & 63) as usize]));
        }
    };
    for first in 0..4 {
        put([first, first + 6, first + 12], 4);
    }
    put([4, 10, 5], 4);
    put([NONE, NONE, 11], 2);
    text
}

/// Digits of `crypt`'s numbers to the base 64, the lowest value first.
const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// A place behind the digest, which counts as zero.
const NONE: usize = usize::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_made_by_other_tools_are_those_of_their_passwords() {
        // From `openssl passwd -apr1` and `openssl dgst -sha1`.
        let long = "a much longer password than sixteen bytes, so that blocks repeat";
        for (hash, password) in [
            ("$apr1$lZL6Vci.$OKVcByRNLFzp8XZ3MPpGg0", "secret"),
            ("$apr1$ab$S8K6Sgp3W8c9Jb6LxgywZ.", ""),
            ("$apr1$12345678$.t.eKeJTHHJC10sVqMCyn.", long),
            ("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "secret"),
            ("{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0", "secret"),
            ("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"),
            ("plain:text", "plain:text"),
        ] {
            let read = Hash::read(hash).unwrap();
            assert!(read.is_of(password), "{hash}");
            for wrong in [format!("{password} "), format!("x{password}")] {
                assert!(!read.is_of(&wrong), "{hash} {wrong:?}");
            }
        }
    }

    #[test]
    fn other_kinds_and_broken_hashes_are_not_read() {
        for text in [
            "$6$ab$x",
            "$5$ab$x",
            "$1$ab$x",
            "$apr1$nodigest",
            "$apr1$$0123456789012345678901",
            "$apr1$ab$short",
            "{SHA}!",
            "{SHA}c2hvcnQ=",
            "{SSHA}c2hvcnQ=",
            "{MD5}x",
        ] {
            assert!(Hash::read(text).is_none(), "{text}");
        }
    }
}
