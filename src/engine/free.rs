//! Memory that is free now: on a GPU, or on the host as far as the control groups around this process allow.

use std::fs::read_to_string;
use std::path::Path;

use candle_core::Device;

/// Where Linux shows control groups, and the files of a group: its limit, and what it uses. Version 2, then version 1.
const VERSIONS: [(&str, [&str; 2]); 2] = [
    ("/sys/fs/cgroup", ["memory.max", "memory.current"]),
    ("/sys/fs/cgroup/memory", ["memory.limit_in_bytes", "memory.usage_in_bytes"]),
];

/// Bytes; `None` if the system does not say.
pub(super) fn bytes(device: &Device) -> Option<u64> {
    match device {
        Device::Cpu => host(),
        _ => card(device),
    }
}

#[cfg(feature = "cuda")]
fn card(device: &Device) -> Option<u64> {
    let (free, _) = device.as_cuda_device().ok()?.cuda_stream().context().mem_get_info().ok()?;
    Some(free as u64)
}

#[cfg(not(feature = "cuda"))]
fn card(_: &Device) -> Option<u64> {
    None
}

fn host() -> Option<u64> {
    let groups = read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = VERSIONS.into_iter().filter_map(|(root, files)| in_groups(Path::new(root), files, &groups)).min();
    [available(&read_to_string("/proc/meminfo").ok()?), group].into_iter().flatten().min()
}

/// What the kernel could give to a new process.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// The least that is left in any group of this process and the groups around it. Inside a container the innermost
/// group is often shown as `root` itself.
fn in_groups(root: &Path, [limit, usage]: [&str; 2], groups: &str) -> Option<u64> {
    let left = |folder: &Path| {
        let number = |file: &str| read_to_string(folder.join(file)).ok()?.trim().parse::<u64>().ok();
        Some((number(limit)?).saturating_sub(number(usage)?.saturating_sub(reclaimable(folder))))
    };
    // `0::/path` in version 2, `4:memory:/path` in version 1.
    let mine = groups.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        matches!(fields.next()?, "" | "memory").then(|| fields.next()).flatten()
    });
    let mine = mine.flat_map(|path| Path::new(path.trim_start_matches('/')).ancestors());
    mine.filter_map(|path| left(&root.join(path))).min()
}

/// File pages that the kernel drops before it refuses memory.
fn reclaimable(folder: &Path) -> u64 {
    let stat = read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let value = |name: &str| stat.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value("total_inactive_file ").or_else(|| value("inactive_file ")).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir_all, write};

    use super::*;

    #[test]
    fn the_tightest_group_counts_and_its_file_cache_is_free() {
        let root = tempfile::tempdir().unwrap();
        let group = |path: &str, limit: &str, usage: &str, stat: &str| {
            let folder = root.path().join(path);
            create_dir_all(&folder).unwrap();
            write(folder.join("memory.max"), limit).unwrap();
            write(folder.join("memory.current"), usage).unwrap();
            write(folder.join("memory.stat"), stat).unwrap();
        };
        let left = || in_groups(root.path(), VERSIONS[0].1, "0::/slice/service\n");
        assert_eq!(left(), None, "no group has a limit");
        group("slice", "1000\n", "300\n", "anon 5\ninactive_file 100\n");
        group("slice/service", "max\n", "200\n", "");
        assert_eq!(left(), Some(800));
        group("slice/service", "500\n", "200\n", "");
        assert_eq!(left(), Some(300));
        group("slice/service", "500\n", "900\n", "");
        assert_eq!(left(), Some(0));
    }

    #[test]
    fn a_group_of_version_one_is_found_by_its_controller() {
        let root = tempfile::tempdir().unwrap();
        create_dir_all(root.path().join("a/b")).unwrap();
        write(root.path().join("a/b/memory.limit_in_bytes"), "700").unwrap();
        write(root.path().join("a/b/memory.usage_in_bytes"), "200").unwrap();
        assert_eq!(in_groups(root.path(), VERSIONS[1].1, "8:pids:/\n4:memory:/a/b\n0::/\n"), Some(500));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_has_memory_left() {
        assert_eq!(available("MemFree: 1 kB\nMemAvailable:   7 kB\n"), Some(7 << 10));
        let free = bytes(&Device::Cpu).unwrap();
        assert!(free > 1 << 20, "{free}");
    }
}
