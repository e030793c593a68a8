//! The nearest name to a mistyped one.

/// The candidate a person most likely meant, if one is near enough to be worth saying.
pub fn nearest<'a, I>(name: &str, candidates: I) -> Option<&'a str>
where
    I: IntoIterator<Item = &'a str>,
{
    let wanted = name.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| *candidate != name)
        .map(|candidate| (closeness(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(score, _)| *score >= 0.75)
        .max_by(|(a, x), (b, y)| a.total_cmp(b).then_with(|| y.cmp(x)))
        .map(|(_, candidate)| candidate)
}

/// `; did you mean x?`, or nothing: the tail of a cause.
pub fn did_you_mean<'a, I>(name: &str, candidates: I) -> String
where
    I: IntoIterator<Item = &'a str>,
{
    match nearest(name, candidates) {
        Some(candidate) => format!("; did you mean {candidate}?"),
        None => String::new(),
    }
}

/// 0 to 1. Edits count most; a name that is the other without a prefix (`orders`, `stg_orders`) is near too.
fn closeness(wanted: &str, candidate: &str) -> f64 {
    if wanted == candidate {
        return 1.0;
    }
    let edits = strsim::normalized_damerau_levenshtein(wanted, candidate);
    let winkler = strsim::jaro_winkler(wanted, candidate) - 0.1;
    let contained = if wanted.len() >= 4
        && (candidate.ends_with(&format!("_{wanted}"))
            || candidate.starts_with(&format!("{wanted}_")))
    {
        0.8
    } else {
        0.0
    };
    // One slip in a short name weighs too much above.
    let slip = if wanted.len() >= 3 && strsim::damerau_levenshtein(wanted, candidate) == 1 {
        0.76
    } else {
        0.0
    };
    edits.max(winkler).max(contained).max(slip)
}
