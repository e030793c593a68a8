use super::*;

#[test]
fn a_registration_is_repeated_unless_it_can_never_be_accepted() {
    for code in [
        Code::Unavailable,
        Code::Internal,
        Code::Unknown,
        Code::DeadlineExceeded,
        Code::Cancelled,
    ] {
        assert!(may_pass(&GrpcStatus::new(code, "")), "{code:?}");
    }
    for code in [
        Code::Unimplemented,
        Code::InvalidArgument,
        Code::PermissionDenied,
        Code::Unauthenticated,
    ] {
        assert!(!may_pass(&GrpcStatus::new(code, "")), "{code:?}");
    }
}

#[tokio::test]
async fn a_scheduler_that_is_no_address_is_named() {
    let refused = connect("scheduler 50050").await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "scheduler 50050 is no scheduler address; use http://host:port"
    );
}
