//! The open file: whole messages, and rotation as Go's lumberjack does it. Knows nothing of what is written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use super::config::{FileSettings, Rotation};

/// An open file. Not shared: callers take turns.
pub(super) struct Writer {
    path: PathBuf,
    rotation: Option<Rotation>,
    file: File,
    written_bytes: u64,
}

impl Writer {
    /// Opens the file, and creates its folders when asked to.
    pub(super) fn open(settings: &FileSettings) -> Result<Writer, String> {
        let path = settings.path.clone();
        if let (Some(mode), Some(folder)) = (settings.create_mode, path.parent()) {
            let made = fs::DirBuilder::new().recursive(true).mode(mode).create(folder);
            made.map_err(|e| format!("cannot create directory {folder:?}: {e}"))?;
        }
        let keep = settings.append || settings.rotation.is_some();
        let (file, written_bytes) = open(&path, keep).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => {
                format!("cannot open {path:?}: {e}; create its directory or set create_directory: true")
            }
            _ => format!("cannot open {path:?}: {e}"),
        })?;
        Ok(Writer { path, rotation: settings.rotation, file, written_bytes })
    }

    /// Appends a whole message, with rotation to one file. When this returns the operating system has it, or nothing of
    /// it is in the file.
    pub(super) fn write(&mut self, message: &[u8], now: SystemTime) -> io::Result<()> {
        let size = message.len() as u64;
        if let Some(rotation) = self.rotation {
            if size > rotation.max_bytes {
                let text = format!("message of {size} bytes exceeds the maximum file size {}", rotation.max_bytes);
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
            if self.written_bytes + size > rotation.max_bytes {
                self.rotate(now)?;
                // What cannot be removed now is removed next time.
                drop(remove_old(&self.path, rotation, now));
            }
        }
        if let Err(error) = self.file.write_all(message) {
            // The next message must not be glued to half of this one. A device or a pipe cannot be cut.
            drop(cut(&mut self.file, self.written_bytes, size));
            return Err(error);
        }
        self.written_bytes += size;
        Ok(())
    }

    fn rotate(&mut self, now: SystemTime) -> io::Result<()> {
        let mut at = now;
        let mut backup = backup_path(&self.path, at);
        while backup.exists() {
            at += Duration::from_millis(1);
            backup = backup_path(&self.path, at);
        }
        fs::rename(&self.path, backup)?;
        (self.file, self.written_bytes) = open(&self.path, true)?;
        Ok(())
    }
}

fn open(path: &Path, keep: bool) -> io::Result<(File, u64)> {
    let mut options = OpenOptions::new();
    options.create(true).mode(0o644);
    match keep {
        true => options.append(true),
        false => options.write(true).truncate(true),
    };
    let file = options.open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

/// Takes off what is beyond `length`, unless it is more than a message of ours: then somebody else writes here too.
fn cut(file: &mut File, length: u64, message: u64) -> io::Result<()> {
    let beyond = file.metadata()?.len().checked_sub(length);
    if beyond.is_some_and(|beyond| beyond <= message) {
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
    }
    Ok(())
}

/// `metrics-2026-01-02T15-04-05.000.json`
fn backup_path(path: &Path, at: SystemTime) -> PathBuf {
    let (stem, extension) = parts(path);
    path.with_file_name(format!("{stem}-{}{extension}", stamp(at)))
}

fn parts(path: &Path) -> (String, String) {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let extension = path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
    (stem, extension)
}

fn stamp(at: SystemTime) -> String {
    let ms = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let seconds = i64::try_from(ms / 1000).unwrap_or(0);
    let text = DateTime::from_secs(seconds).fmt(Format::DateTime).unwrap_or_default();
    format!("{}.{:03}", text.trim_end_matches('Z').replace(':', "-"), ms % 1000)
}

/// Removes full files beyond the limits, oldest first.
fn remove_old(path: &Path, rotation: Rotation, now: SystemTime) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (stem, extension) = parts(path);
    let mut backups: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?.path();
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let middle = name.strip_prefix(&stem).and_then(|n| n.strip_suffix(&extension));
        if middle.and_then(|m| m.strip_prefix('-')).is_some_and(is_stamp) {
            backups.push(entry);
        }
    }
    // The stamp sorts by time.
    backups.sort_unstable_by(|a, b| b.cmp(a));
    let oldest = rotation.max_age.and_then(|age| now.checked_sub(age)).map(|t| backup_path(path, t));
    for (i, backup) in backups.iter().enumerate() {
        let too_many = rotation.max_backups.is_some_and(|most| i >= most);
        let too_old = oldest.as_ref().is_some_and(|o| backup.file_name() < o.file_name());
        if too_many || too_old {
            fs::remove_file(backup)?;
        }
    }
    Ok(())
}

fn is_stamp(text: &str) -> bool {
    const FORM: &[u8] = b"dddd-dd-ddTdd-dd-dd.ddd";
    text.len() == FORM.len()
        && text.bytes().zip(FORM).all(|(c, form)| if *form == b'd' { c.is_ascii_digit() } else { c == *form })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(path: PathBuf, rotation: Option<Rotation>) -> FileSettings {
        FileSettings {
            path,
            append: false,
            rotation,
            format: super::super::config::Format { proto: false, zstd: false },
            create_mode: None,
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_full_file_is_renamed_and_old_ones_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.json");
        let rotation = Rotation { max_bytes: 10, max_age: Some(Duration::from_secs(86_400)), max_backups: Some(2) };
        let mut writer = Writer::open(&settings(path.clone(), Some(rotation))).unwrap();
        let t = |s: u64| UNIX_EPOCH + Duration::from_millis(1_700_000_000_000 + s * 1000);
        for n in 0..4 {
            writer.write(b"12345678\n", t(n)).unwrap();
        }
        writer.write(b"x", t(9)).unwrap();
        let expected = ["m-2023-11-14T22-13-22.000.json", "m-2023-11-14T22-13-23.000.json", "m.json"];
        assert_eq!(names(folder.path()), expected);
        assert_eq!(fs::read_to_string(&path).unwrap(), "12345678\nx");
        writer.write(b"12345678\n", t(3 * 86_400)).unwrap();
        assert_eq!(names(folder.path()).len(), 2, "older than a day is removed, the one just filled is kept");
        assert!(writer.write(b"12345678901", t(1)).is_err());
    }

    #[test]
    fn files_of_one_moment_do_not_overwrite_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let rotation = Rotation { max_bytes: 1, max_age: None, max_backups: None };
        let mut writer = Writer::open(&settings(folder.path().join("m"), Some(rotation))).unwrap();
        for _ in 0..4 {
            writer.write(b"1", UNIX_EPOCH).unwrap();
        }
        assert_eq!(names(folder.path()).len(), 4);
    }

    #[test]
    fn a_file_is_emptied_at_start_unless_it_is_appended_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m");
        for (append, expected) in [(false, "a"), (true, "aa"), (false, "a")] {
            let settings = FileSettings { append, ..settings(path.clone(), None) };
            let mut writer = Writer::open(&settings).unwrap();
            writer.write(b"a", UNIX_EPOCH).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        }
    }

    #[test]
    fn half_a_message_is_cut_off_and_the_next_one_follows_the_last_whole_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m");
        for append in [false, true] {
            let mut writer = Writer::open(&FileSettings { append, ..settings(path.clone(), None) }).unwrap();
            let before = fs::metadata(&path).unwrap().len();
            writer.write(b"whole\n", UNIX_EPOCH).unwrap();
            let before_half = writer.written_bytes;
            writer.file.write_all(b"ha").unwrap();
            cut(&mut writer.file, writer.written_bytes, 1).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().len(), before_half + 2, "more than a message is not ours");
            cut(&mut writer.file, writer.written_bytes, 5).unwrap();
            writer.write(b"next\n", UNIX_EPOCH).unwrap();
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(&text[before as usize..], "whole\nnext\n", "append: {append}");
        }
    }

    #[test]
    fn a_missing_folder_is_an_error_or_created() {
        let folder = tempfile::tempdir().unwrap();
        let missing = settings(folder.path().join("a/b/m"), None);
        let error = Writer::open(&missing).err().unwrap();
        assert!(error.ends_with("create its directory or set create_directory: true"), "{error}");
        Writer::open(&FileSettings { create_mode: Some(0o750), ..missing }).unwrap();
    }
}
