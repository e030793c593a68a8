use std::os::unix::fs::symlink;

use super::*;

fn refused(locations: &Locations, uri: &str) -> String {
    match locations.check(uri) {
        Err(error @ StorageError::NotAllowed { .. }) => error.to_string(),
        other => panic!("{uri}: {other:?}"),
    }
}

#[test]
fn a_folder_is_allowed_with_all_below_it_and_nothing_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let root = root.display();
    std::fs::create_dir_all(dir.path().join("landing/day=1")).unwrap();
    std::fs::write(dir.path().join("landing/day=1/a.csv"), "x").unwrap();
    let allowed = Locations::of([format!("{root}/landing")]).unwrap();
    for inside in [
        "landing",
        "landing/day=1/a.csv",
        "landing/day=2/not-there-yet.csv",
    ] {
        allowed.check(&format!("{root}/{inside}")).unwrap();
        allowed.check(&format!("file://{root}/{inside}")).unwrap();
        allowed.check(&format!("file:{root}/{inside}")).unwrap();
    }
    for outside in ["landing2/a.csv", "landing.csv", "", "other"] {
        let text = refused(&allowed, &format!("{root}/{outside}"));
        assert!(text.contains("outside"), "{text}");
    }
    assert_eq!(
        refused(&allowed, "/etc/shadow"),
        format!(
            "/etc/shadow may not be used: it lies outside of what may be read and written here; allowed: {root}/landing"
        )
    );
    refused(&allowed, "s3://bucket/landing/a.csv");
    assert!(allowed.check(&format!("{root}/landing/../x")).is_err());
    // A percent sign is a percent sign, and no way to write dots.
    allowed
        .check(&format!("{root}/landing/%2e%2e/secret"))
        .unwrap();
}

#[test]
fn links_are_followed_before_a_path_is_compared() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::create_dir_all(at("landing")).unwrap();
    std::fs::create_dir_all(at("secrets")).unwrap();
    std::fs::write(at("secrets/key"), "hunter2").unwrap();
    symlink(at("secrets"), at("landing/folder")).unwrap();
    symlink(at("secrets/key"), at("landing/file.csv")).unwrap();
    symlink(at("secrets/later"), at("landing/dangling.csv")).unwrap();
    symlink(at("landing"), at("also")).unwrap();
    std::fs::write(at("landing/a.csv"), "x").unwrap();
    let landing = at("landing").display().to_string();
    let allowed = Locations::of([&landing]).unwrap();
    for out in ["file.csv", "folder/key", "folder", "folder/new.csv"] {
        let text = refused(&allowed, &format!("{landing}/{out}"));
        assert!(text.contains("leads to"), "{text}");
    }
    let dangling = allowed
        .check(&format!("{landing}/dangling.csv"))
        .unwrap_err();
    assert!(
        matches!(dangling, StorageError::NotResolved { .. }),
        "{dangling}"
    );
    // By another name, and allowed by another name.
    allowed
        .check(&at("also/a.csv").display().to_string())
        .unwrap();
    let by_link = Locations::of([at("also").display().to_string()]).unwrap();
    by_link.check(&format!("{landing}/a.csv")).unwrap();
}

#[test]
fn what_is_never_read_stays_so_where_everything_is_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let mut allowed = Locations::of(["/"]).unwrap();
    let secret = dir.path().join("uri");
    std::fs::write(&secret, "postgresql://…").unwrap();
    allowed.deny(&secret);
    symlink(&secret, dir.path().join("innocent.csv")).unwrap();
    symlink("/proc", dir.path().join("data")).unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    for never in [
        "/proc/self/environ".to_owned(),
        "/sys/kernel/notes".to_owned(),
        "/run/secrets/kubernetes.io/serviceaccount/token".to_owned(),
        at("uri"),
        at("innocent.csv"),
        at("data/self/environ"),
    ] {
        let text = refused(&allowed, &never);
        assert!(text.contains("never"), "{text}");
    }
    allowed.check(&at("other")).unwrap();
}

#[test]
fn buckets_are_allowed_by_name_and_by_the_segments_of_their_keys() {
    let allowed = Locations::of(["s3://lake/raw", "s3a://orders", "s3://star/a*"]).unwrap();
    for inside in [
        "s3://lake/raw",
        "s3://lake/raw/day=1/a.csv",
        "s3a://lake/raw/a.csv",
        "s3://orders/x",
        "s3://orders",
        "s3://star/a*/x",
    ] {
        allowed.check(inside).unwrap();
    }
    for outside in [
        "s3://lake/rawest/a.csv",
        "s3://lake/a.csv",
        "s3://lake",
        "s3://lakes/raw/a.csv",
        "s3://star/abc/x",
        "/lake/raw/a.csv",
    ] {
        refused(&allowed, outside);
    }
    let every = Locations::of(["s3://"]).unwrap();
    every.check("s3://any/thing").unwrap();
    refused(&every, "/any/thing");
}

#[test]
fn a_place_that_is_none_is_refused_and_nothing_is_allowed_where_nothing_is_listed() {
    for text in ["data", "", "gs://bucket", "s3:bucket", "/a/../b"] {
        assert!(Locations::of([text]).is_err(), "{text}");
    }
    let text = refused(&Locations::default(), "/data/x");
    assert!(text.ends_with("allowed: nothing"), "{text}");
}

#[test]
fn a_folder_that_comes_into_being_meanwhile_is_no_reason_to_refuse() {
    let dir = tempfile::tempdir().unwrap();
    let allowed = Locations::of([dir.path().display().to_string()]).unwrap();
    for round in 0..200 {
        let folder = dir.path().join(format!("table-{round}/data"));
        let file = folder.join("a.parquet").display().to_string();
        std::thread::scope(|scope| {
            scope.spawn(|| std::fs::create_dir_all(&folder).unwrap());
            for _ in 0..20 {
                allowed.check(&file).unwrap();
            }
        });
    }
}
