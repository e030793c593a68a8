use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::generate::Format;
use crate::generate::rows::OrderRow;

fn options(out: &Path, format: Format) -> GenerateOptions {
    GenerateOptions {
        orders: 400,
        days: 2,
        seed: 7,
        format,
        out: out.to_path_buf(),
        only_day: None,
    }
}

/// Path below `out` to content.
fn files(out: &Path) -> BTreeMap<String, Vec<u8>> {
    walkdir::WalkDir::new(out)
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let path = entry
                .path()
                .strip_prefix(out)
                .unwrap()
                .display()
                .to_string();
            (path, fs::read(entry.path()).unwrap())
        })
        .collect()
}

/// A folder of this process that is deleted with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("retail-generate-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_same_options_write_the_same_bytes() {
    for format in [Format::Parquet, Format::Csv] {
        let (a, b) = (Folder::new("same-a"), Folder::new("same-b"));
        generate(&options(&a.0, format), &mut |_| {}).unwrap();
        generate(&options(&b.0, format), &mut |_| {}).unwrap();
        let found = files(&a.0);
        assert_eq!(found.len(), 2 * 5 + 3, "{:?}", found.keys());
        assert!(found == files(&b.0), "{format:?}");
    }
}

#[test]
fn deliveries_written_one_at_a_time_are_those_written_together() {
    let (together, apart) = (Folder::new("together"), Folder::new("apart"));
    generate(&options(&together.0, Format::Csv), &mut |_| {}).unwrap();
    let alone = options(&apart.0, Format::Csv);
    generate_day(&alone, 2, &mut |_| {}).unwrap();
    generate(
        &GenerateOptions {
            only_day: Some(1),
            ..alone
        },
        &mut |_| {},
    )
    .unwrap();
    assert!(files(&together.0) == files(&apart.0));
}

#[test]
fn a_shorter_run_leaves_no_delivery_of_a_longer_one() {
    let folder = Folder::new("shorter");
    generate(&options(&folder.0, Format::Csv), &mut |_| {}).unwrap();
    generate(
        &GenerateOptions {
            days: 1,
            ..options(&folder.0, Format::Csv)
        },
        &mut |_| {},
    )
    .unwrap();
    let found = files(&folder.0);
    assert!(
        found
            .keys()
            .all(|path| !path.contains("day=2") && !path.contains("day_2")),
        "{:?}",
        found.keys()
    );
}

#[test]
fn deliveries_of_somebody_else_are_not_touched() {
    let folder = Folder::new("foreign");
    fs::create_dir_all(folder.0.join("day=9")).unwrap();
    fs::write(folder.0.join("day=9/orders.csv"), "order_id\n").unwrap();
    let failure = generate(&options(&folder.0, Format::Csv), &mut |_| {}).unwrap_err();
    assert!(failure.cause.contains("day=9"), "{failure}");
    assert_eq!(files(&folder.0).len(), 1);
}

#[test]
fn an_empty_wish_is_refused() {
    let folder = Folder::new("empty");
    let none = GenerateOptions {
        orders: 0,
        ..options(&folder.0, Format::Csv)
    };
    assert!(generate(&none, &mut |_| {}).is_err());
    let no_day = GenerateOptions {
        only_day: Some(3),
        ..options(&folder.0, Format::Csv)
    };
    assert!(
        generate(&no_day, &mut |_| {})
            .unwrap_err()
            .cause
            .contains("no day 3 of 2")
    );
}

#[test]
fn the_second_delivery_goes_on_where_the_first_ended() {
    let world = World::new(4_000, 2, 1);
    let (mut progressed, mut stale, mut twice, mut new) = (0, 0, 0, 0);
    for index in 0..world.orders {
        let plan = world.order(index);
        let (mut first, mut second) = (vec![], vec![]);
        plan.order_rows(1, &mut first);
        plan.order_rows(2, &mut second);
        twice += usize::from(first.len() == 2);
        let steps = |row: &OrderRow| {
            [row.approved, row.carrier, row.delivered]
                .iter()
                .flatten()
                .count()
        };
        match (first.first(), second.first()) {
            (Some(a), Some(b)) if steps(b) > steps(a) => progressed += 1,
            (Some(a), Some(b)) if steps(b) < steps(a) => stale += 1,
            (None, Some(_)) => new += 1,
            _ => {}
        }
    }
    assert!(
        progressed > 100 && stale > 5 && twice > 20 && new >= 20,
        "{progressed} {stale} {twice} {new}"
    );
}
