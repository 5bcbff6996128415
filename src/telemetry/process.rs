//! What the operating system knows of this process.

/// Resident memory in bytes; `None` where there is no `/proc`.
pub fn resident_bytes() -> Option<u64> {
    status("VmRSS:")
}

/// The most resident memory so far in bytes; `None` where there is no `/proc`.
pub fn peak_resident_bytes() -> Option<u64> {
    status("VmHWM:")
}

/// Lets [`peak_resident_bytes`] begin anew at the present value; where the kernel has no such
/// switch the peak stays that of the whole process.
pub fn forget_peak() {
    // The peak is then too high, never too low.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn status(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_runs_has_memory() {
        assert!(resident_bytes().unwrap() > 1 << 20);
    }

    #[test]
    fn the_peak_remembers_what_was_freed() {
        const LARGE: usize = 256 << 20;
        let before = peak_resident_bytes().unwrap();
        drop(std::hint::black_box(vec![1u8; LARGE]));
        assert!(peak_resident_bytes().unwrap() >= before.max(LARGE as u64));
    }
}
