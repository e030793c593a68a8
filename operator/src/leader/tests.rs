use super::*;

fn lease(holder: &str, renewed: i64) -> Lease {
    Lease {
        spec: Some(LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            renew_time: Some(MicroTime(Timestamp::from_second(renewed).unwrap())),
            ..LeaseSpec::default()
        }),
        ..Lease::default()
    }
}

#[test]
fn a_lease_is_made_renewed_or_taken_when_nobody_holds_it() {
    let (mut seen, now) = (LastRecord::default(), Instant::now());
    assert_eq!(judge(None, "me", &mut seen, now), Verdict::Create);
    assert_eq!(
        judge(Some(&lease("me", 1)), "me", &mut seen, now),
        Verdict::Renew
    );
    assert_eq!(
        judge(Some(&lease("", 1)), "me", &mut seen, now),
        Verdict::Take
    );
    assert_eq!(
        judge(Some(&Lease::default()), "me", &mut seen, now),
        Verdict::Take
    );
}

#[test]
fn a_lease_of_another_is_taken_only_after_it_stood_still_for_its_time() {
    let (mut seen, start) = (LastRecord::default(), Instant::now());
    let at = |s| start + Duration::from_secs(s);
    // However old its time stamp is: clocks are not compared.
    assert_eq!(
        judge(Some(&lease("you", 1)), "me", &mut seen, at(0)),
        Verdict::Wait
    );
    assert_eq!(
        judge(Some(&lease("you", 1)), "me", &mut seen, at(14)),
        Verdict::Wait
    );
    assert_eq!(
        judge(Some(&lease("you", 2)), "me", &mut seen, at(15)),
        Verdict::Wait
    );
    assert_eq!(
        judge(Some(&lease("you", 2)), "me", &mut seen, at(29)),
        Verdict::Wait
    );
    assert_eq!(
        judge(Some(&lease("you", 2)), "me", &mut seen, at(30)),
        Verdict::Take
    );
}
