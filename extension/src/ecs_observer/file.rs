//! Writing the result file: whole or not at all, and only when the text changed. The text is [`super::yaml_text`]'s.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio::fs;

/// Mode of a new file, as the reference writes it. An existing file keeps its own.
const NEW_FILE_MODE: u32 = 0o600;

/// The file and what is known to be in it.
#[derive(Debug)]
pub(crate) struct ResultFile {
    path: PathBuf,
    written: Option<String>,
}

impl ResultFile {
    pub(crate) fn new(path: &str) -> ResultFile {
        ResultFile { path: path.into(), written: None }
    }

    /// Writes the text unless it is there already; true if it wrote.
    pub(crate) async fn update(&mut self, text: &str) -> Result<bool, String> {
        if self.written.is_none() {
            // What an earlier run left. Not readable, not there, not text: then it is written anew.
            self.written = fs::read_to_string(&self.path).await.ok();
        }
        if self.written.as_deref() == Some(text) {
            return Ok(false);
        }
        self.written = None;
        replace(&self.path, text).await.map_err(|e| format!("cannot write {}: {e}", self.path.display()))?;
        self.written = Some(text.to_owned());
        Ok(true)
    }
}

/// Replaces the file by renaming a complete one over it. Where that is not possible, because the folder is not
/// writable or the file itself is a mount, it is written in place.
async fn replace(path: &Path, text: &str) -> io::Result<()> {
    // A link stays a link: its target is replaced.
    let path = fs::canonicalize(path).await.unwrap_or_else(|_| path.to_owned());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).await?;
    }
    let existing = fs::metadata(&path).await.ok();
    let mode = existing.as_ref().map_or(NEW_FILE_MODE, |m| m.permissions().mode() & 0o7777);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push("_temp");
    let temp = path.with_file_name(name);
    let renamed = async {
        create(&temp, text, mode).await?;
        fs::rename(&temp, &path).await
    };
    let Err(error) = renamed.await else { return Ok(()) };
    // It may never have existed.
    drop(fs::remove_file(&temp).await);
    if existing.is_none() {
        return Err(error);
    }
    fs::write(&path, text).await
}

/// A new file with this mode from its first byte on.
async fn create(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    // A leftover could be somebody else's or a link.
    match fs::remove_file(path).await {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(path).await?;
    tokio::io::AsyncWriteExt::write_all(&mut file, text.as_bytes()).await?;
    file.set_permissions(std::fs::Permissions::from_mode(mode)).await?;
    file.sync_data().await
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[tokio::test]
    async fn a_new_file_is_private_and_its_folder_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/targets.yaml");
        let mut file = ResultFile::new(path.to_str().unwrap());
        assert!(file.update("[]\n").await.unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[]\n");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file is left");
    }

    #[tokio::test]
    async fn only_a_change_is_written_and_it_replaces_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("targets.yaml");
        std::fs::write(&path, "old\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let inode = || std::fs::metadata(&path).unwrap().ino();
        let before = inode();
        let mut file = ResultFile::new(path.to_str().unwrap());
        assert!(!file.update("old\n").await.unwrap(), "an earlier run wrote the same");
        assert_eq!(inode(), before);
        assert!(file.update("new\n").await.unwrap());
        assert_ne!(inode(), before, "the file is replaced, not rewritten");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o644, "the mode stays");
        assert!(!file.update("new\n").await.unwrap());
    }

    #[tokio::test]
    async fn a_link_stays_and_its_target_changes() {
        let dir = tempfile::tempdir().unwrap();
        let (link, real) = (dir.path().join("link.yaml"), dir.path().join("real.yaml"));
        std::fs::write(&real, "old\n").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        ResultFile::new(link.to_str().unwrap()).update("new\n").await.unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "new\n");
    }

    #[tokio::test]
    async fn where_no_file_can_be_made_the_error_names_the_path() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        let path = dir.path().join("file/targets.yaml");
        let error = ResultFile::new(path.to_str().unwrap()).update("x").await.unwrap_err();
        assert!(error.starts_with(&format!("cannot write {}: ", path.display())), "{error}");
    }

    #[tokio::test]
    async fn where_no_temporary_file_can_be_made_the_file_is_written_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("targets.yaml");
        std::fs::write(&path, "old\n").unwrap();
        // A folder in the temporary file's place.
        std::fs::create_dir(dir.path().join("targets.yaml_temp")).unwrap();
        assert!(ResultFile::new(path.to_str().unwrap()).update("new\n").await.unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new\n");
    }
}
