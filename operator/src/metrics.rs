//! The operator's metrics, which are in the one list of all (`retail_telemetry::metrics`).

#[cfg(test)]
mod tests {
    use retail_telemetry::metrics::SCALING;

    use crate::scale::Reason;

    #[test]
    fn every_reason_to_scale_is_a_label_that_the_list_knows() {
        for reason in Reason::ALL {
            assert!(SCALING.contains(&reason.name()), "{}", reason.name());
        }
        assert_eq!(SCALING.len(), Reason::ALL.len());
    }
}
