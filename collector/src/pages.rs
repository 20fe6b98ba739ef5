//! Gives back the pages of the binary and its libraries that only the start needed: reading the configuration, building
//! components, the first TLS and DNS set-up. The kernel keeps a page of code in the process's memory once it was used,
//! with its neighbours, and takes it away under pressure only; half of what an idle collector seems to use was that.

use std::time::Duration;

/// By then every target was scraped and every destination was sent to for the first time.
const FIRST_ROUND: Duration = Duration::from_secs(60);

/// Gives pages back now that everything is started, and once more after the first round of work.
pub(crate) async fn release_after_start() {
    release();
    tokio::time::sleep(FIRST_ROUND).await;
    release();
}

/// Unmaps the read-only pages of the binary and its libraries. What is used again is mapped again from the page cache,
/// at the cost of a minor fault for 16 pages. Does nothing on systems without this interface.
fn release() {
    #[cfg(target_os = "linux")]
    linux::release();
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "the kernel's interface to a process's own mappings has no safe form")]
mod linux {
    use std::ffi::{CStr, c_int, c_void};

    pub(super) fn release() {
        // SAFETY: the callback has the type that the function asks for, keeps nothing and does not unwind.
        unsafe { libc::dl_iterate_phdr(Some(release_one), std::ptr::null_mut()) };
    }

    /// Called with the binary first, which has no name here, then with the libraries; 0 goes on.
    unsafe extern "C" fn release_one(info: *mut libc::dl_phdr_info, _size: usize, _data: *mut c_void) -> c_int {
        // SAFETY: the loader hands over a valid description, valid during this call, whose headers are an array of
        // `dlpi_phnum` elements and whose name is a string or missing.
        let (name, base, headers) = unsafe {
            let info = &*info;
            let name = if info.dlpi_name.is_null() { c"" } else { CStr::from_ptr(info.dlpi_name) };
            (name, info.dlpi_addr, std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)))
        };
        // What the kernel puts beside the libraries is not a file.
        if !name.is_empty() && !name.to_bytes().starts_with(b"/") {
            return 0;
        }
        // SAFETY: asks for a number that is always there.
        let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
        for header in headers.iter().filter(|h| h.p_type == libc::PT_LOAD && h.p_flags & libc::PF_W == 0) {
            // Whole pages only: the first and the last may belong to a neighbour as well.
            let start = (base + header.p_vaddr).next_multiple_of(page);
            let end = (base + header.p_vaddr + header.p_memsz) / page * page;
            if start < end {
                // SAFETY: these pages are a private mapping of a file that is never written to (no PF_W; the linker
                // makes no text relocations), so that what is mapped again has the same content.
                unsafe { libc::madvise(start as *mut c_void, (end - start) as usize, libc::MADV_DONTNEED) };
            }
        }
        0
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    /// KiB of the process's memory that are pages of files, as the kernel counts them.
    fn resident_file_kib() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
        let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).expect("it has that line");
        line.trim().trim_end_matches(" kB").parse().expect("a number of kB")
    }

    #[test]
    fn pages_of_the_binary_are_given_back_and_it_goes_on_working() {
        let before = resident_file_kib();
        super::release();
        let after = resident_file_kib();
        assert!(after < before, "{after} KiB of files are in memory, {before} before");
    }
}
