//! Kubernetes quantities: `1500m`, `512Mi`, `4G`, `1e9`.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// A quantity in its base unit, such as bytes or cores; `None` when it cannot be read.
pub(crate) fn parse(quantity: &IntOrString) -> Option<f64> {
    match quantity {
        IntOrString::Int(n) => Some(f64::from(*n)),
        IntOrString::String(text) => parse_text(text.trim()),
    }
}

fn parse_text(text: &str) -> Option<f64> {
    const SUFFIXES: [(&str, f64); 13] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
    ];
    let (number, factor) = SUFFIXES
        .iter()
        .find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, *factor)))
        .unwrap_or((text, 1.0));
    let plain = number
        .chars()
        .all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    let value: f64 = number.parse().ok().filter(|_| plain)?;
    (value >= 0.0).then_some(value * factor)
}

/// A number of bytes as a person reads it.
pub(crate) fn bytes(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    if bytes < 10 * MIB {
        format!("{} KiB", bytes >> 10)
    } else {
        format!("{} MiB", bytes / MIB)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        for (text, value) in [
            ("512Mi", 536_870_912.0),
            ("1.5Gi", 1_610_612_736.0),
            ("4G", 4e9),
            ("1e9", 1e9),
            ("1500m", 1.5),
            ("7", 7.0),
        ] {
            assert_eq!(parse(&IntOrString::String(text.to_owned())), Some(value));
        }
        assert_eq!(parse(&IntOrString::Int(2)), Some(2.0));
        for text in ["", "Mi", "-1Gi", "1 Gi", "lots", "inf", "NaN"] {
            assert_eq!(parse(&IntOrString::String(text.to_owned())), None, "{text}");
        }
    }
}
