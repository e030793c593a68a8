//! Passwords in URIs of databases: hidden where one is shown, known where a driver may quote one.

use url::Url;

/// The URI as messages and logs may show it.
///
/// Works on text that no parser accepts, too: a password with reserved characters is the likely reason.
pub fn redact_uri(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else {
        return match uri.contains('@') {
            true => "***".to_owned(),
            false => uri.to_owned(),
        };
    };
    if scheme == "sqlite" {
        return uri.to_owned();
    }
    let rest = match rest.rsplit_once('@') {
        Some((user_info, host)) => match user_info.split_once(':') {
            Some((user, _)) => format!("{user}:***@{host}"),
            None => format!("{user_info}@{host}"),
        },
        None => rest.to_owned(),
    };
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest.to_owned(), Some(query.to_owned())),
        None => (rest, None),
    };
    let mut shown = format!("{scheme}://{rest}");
    for (index, pair) in query.iter().flat_map(|q| q.split('&')).enumerate() {
        shown.push(if index == 0 { '?' } else { '&' });
        match pair.split_once('=') {
            Some((key, _)) if key.to_ascii_lowercase().contains("password") => {
                shown.push_str(key);
                shown.push_str("=***");
            }
            _ => shown.push_str(pair),
        }
    }
    shown
}

/// Every form in which a URI's password could turn up in a driver's message.
pub fn passwords(uri: &str) -> Vec<String> {
    let mut found = Vec::new();
    let rest = uri.split_once("://").map_or("", |(_, rest)| rest);
    if let Some((user_info, _)) = rest.rsplit_once('@')
        && let Some((_, password)) = user_info.split_once(':')
    {
        found.push(password.to_owned());
        // A query parameter's decoding undoes percent signs as a driver would.
        let decoded =
            url::form_urlencoded::parse(format!("p={}", password.replace('+', "%2B")).as_bytes())
                .next()
                .map(|(_, value)| value.into_owned());
        found.extend(decoded);
    }
    if let Ok(url) = Url::parse(uri) {
        let pairs = url.query_pairs();
        found.extend(
            pairs
                .filter(|(key, _)| key.to_ascii_lowercase().contains("password"))
                .map(|(_, value)| value.into_owned()),
        );
    }
    found.retain(|password| !password.is_empty());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_hidden_however_it_is_written() {
        for (uri, shown) in [
            (
                "postgresql://etl:s3cret@db:5432/lake",
                "postgresql://etl:***@db:5432/lake",
            ),
            (
                "postgresql://etl:s3/c#r@et@db/lake",
                "postgresql://etl:***@db/lake",
            ),
            (
                "postgresql://db/lake?user=etl&password=s3cret",
                "postgresql://db/lake?user=etl&password=***",
            ),
            ("postgresql://etl@db/lake", "postgresql://etl@db/lake"),
            (
                "sqlite:///home/a@b:c/catalog.db",
                "sqlite:///home/a@b:c/catalog.db",
            ),
        ] {
            assert_eq!(redact_uri(uri), shown);
        }
    }

    #[test]
    fn both_spellings_of_a_password_are_known() {
        let known = passwords("postgresql://etl:a%2Fb@db/lake?sslpassword=x%20y");
        assert_eq!(known, ["a%2Fb", "a/b", "x y"]);
    }
}
