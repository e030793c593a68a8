//! Descriptions that call for a block of a Markdown file: whether it is there. What descriptions say changes no rows.

use super::project::Warning;
use super::render::next_tag;
use super::yaml::Node;
use retail_api::Failure;
use retail_api::suggest::did_you_mean;

/// The names of a Markdown file's `{% docs %}` blocks.
pub(super) fn blocks(text: &str) -> Vec<String> {
    let mut names = vec![];
    let mut at = 0;
    while let Some(tag) = next_tag(text, at) {
        at = tag.end;
        let mut words = tag.inner.split_whitespace();
        if words.next() == Some("docs") {
            names.extend(words.next().map(str::to_string));
        }
    }
    names
}

/// Reports which descriptions below `node` name a block that is not there.
///
/// # Errors
/// A key that is no text.
pub(super) fn check(
    node: &Node<'_>,
    blocks: &[String],
    warnings: &mut Vec<Warning>,
) -> Result<(), Failure> {
    if node.is_list() {
        return node
            .items()?
            .iter()
            .try_for_each(|item| check(item, blocks, warnings));
    }
    if !node.is_mapping() {
        return Ok(());
    }
    for (key, value) in node.entries()? {
        match value.text() {
            Ok(text) if key == "description" => {
                for name in called(&text).filter(|name| !blocks.iter().any(|b| b == name)) {
                    let near = did_you_mean(name, blocks.iter().map(String::as_str));
                    let text = format!("description: there is no docs block {name}{near}");
                    warnings.push(Warning::new(text, value.at()));
                }
            }
            Ok(_) => {}
            Err(_) => check(&value, blocks, warnings)?,
        }
    }
    Ok(())
}

/// The blocks that a description names: `{{ doc('orders') }}`, `{{ doc('shop', 'orders') }}`.
fn called(text: &str) -> impl Iterator<Item = &str> {
    text.split("{{").skip(1).filter_map(|tag| {
        let inside = tag.split("}}").next()?.trim().strip_prefix("doc")?;
        let arguments = inside.trim().strip_prefix('(')?.strip_suffix(')')?;
        let last = arguments.rsplit(',').next()?.trim();
        Some(last.trim_matches(['\'', '"']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_names_blocks_of_this_project_or_of_another() {
        let named: Vec<&str> =
            called("see {{ doc('a') }} and {{doc(\"shop\", \"b\")}}, {{ var('x') }}").collect();
        assert_eq!(named, ["a", "b"]);
        assert_eq!(
            blocks("{% docs a %} x {% enddocs %}\n{%- docs b -%}"),
            ["a", "b"]
        );
    }
}
