//! What this process may use: cores and memory, of a container where it runs in one.

use std::path::Path;

/// Share of the memory that operators may use; the rest is for buffers, shuffles and the process itself.
const SHARE: f64 = 0.7;
/// Where neither the container's limit nor the machine's memory can be read.
const UNKNOWN_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// Cores that this process may use; the standard library reads affinity and the container's quota.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// 70 % of the container's limit, or of the machine's memory, whichever is smaller.
pub(super) fn memory_bytes() -> u64 {
    let read = |path: &str| std::fs::read_to_string(Path::new(path)).ok();
    let limits = [
        read("/sys/fs/cgroup/memory.max"),
        read("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
    ];
    share(&limits, read("/proc/meminfo").as_deref())
}

fn share(limits: &[Option<String>], meminfo: Option<&str>) -> u64 {
    let limits = limits
        .iter()
        .flatten()
        .filter_map(|text| text.trim().parse::<u64>().ok());
    let machine = meminfo.and_then(total);
    let bytes = limits.chain(machine).min().unwrap_or(UNKNOWN_BYTES);
    (bytes as f64 * SHARE) as u64
}

fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// `4GiB`, `512MB`, `1.5g`, `1048576`.
pub(super) fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let number: f64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "ki" | "kib" => 1024.0,
        "m" | "mi" | "mib" => 1024.0 * 1024.0,
        "g" | "gi" | "gib" => 1024.0 * 1024.0 * 1024.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        _ => return None,
    };
    Some((number * unit) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_of_container_and_machine_counts() {
        let meminfo = "MemFree: 1 kB\nMemTotal:       1000 kB\n";
        assert_eq!(
            share(&[Some("max\n".to_owned()), None], Some(meminfo)),
            716_800
        );
        assert_eq!(
            share(&[Some("100000\n".to_owned()), None], Some(meminfo)),
            70_000
        );
        // A limit above the machine's memory is none.
        assert_eq!(
            share(
                &[None, Some("9223372036854771712".to_owned())],
                Some(meminfo)
            ),
            716_800
        );
        assert_eq!(
            share(&[None, None], None),
            (UNKNOWN_BYTES as f64 * SHARE) as u64
        );
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("1024", 1024),
            ("4GiB", 4 << 30),
            ("1.5g", 3 << 29),
            ("512 MB", 512_000_000),
            ("2Mi", 2 << 20),
        ] {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
        for text in ["", "GiB", "4 parsecs", "-1"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }
}
