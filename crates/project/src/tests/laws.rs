//! What holds for every project: places in YAML, places in templates, and selectors as sets.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use crate::select::select;
use crate::testing::project;
use crate::yaml::{Doc, Node};
use crate::{ModelName, Project};

/// Block YAML to be written.
#[derive(Debug, Clone)]
enum Tree {
    Text(String),
    List(Vec<Tree>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone)]
struct Entry {
    key: String,
    is_quoted: bool,
    has_comment: bool,
    value: Tree,
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = "v[a-zé]{0,6}( [a-z]{1,4})?".prop_map(Tree::Text);
    leaf.prop_recursive(4, 24, 4, |inner| {
        let entry = ("[a-zé]{1,4}", any::<(bool, bool)>(), inner.clone());
        let entries = prop::collection::vec(entry, 1..4).prop_map(|entries| {
            let entries = entries.into_iter().enumerate();
            let entries = entries.map(|(at, (word, (is_quoted, has_comment), value))| Entry {
                key: format!("{word}{at}"),
                is_quoted,
                has_comment,
                value,
            });
            Tree::Map(entries.collect())
        });
        prop_oneof![
            prop::collection::vec(inner, 1..4).prop_map(Tree::List),
            entries
        ]
    })
}

/// YAML as it is written, with the 1-based place of every key and item, in order.
#[derive(Default)]
struct Written {
    text: String,
    places: Vec<(u32, u32)>,
}

impl Written {
    fn line(&self) -> u32 {
        self.text.matches('\n').count() as u32 + 1
    }

    /// `is_inline`: the first line is begun already, by a dash.
    fn write(&mut self, tree: &Tree, indent: usize, is_inline: bool) {
        let blanks = |first: bool| " ".repeat(if first && is_inline { 0 } else { indent });
        match tree {
            Tree::Text(text) => self.text.push_str(&format!("{text}\n")),
            Tree::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.text.push_str(&format!("{}- ", blanks(at == 0)));
                    self.places.push((self.line(), indent as u32 + 3));
                    self.write(item, indent + 2, true);
                }
            }
            Tree::Map(entries) => {
                for (at, entry) in entries.iter().enumerate() {
                    if entry.has_comment && !(at == 0 && is_inline) {
                        self.text.push_str("# key: none\n\n");
                    }
                    let quote = if entry.is_quoted { "\"" } else { "" };
                    let key = format!("{}{quote}{}{quote}:", blanks(at == 0), entry.key);
                    self.text.push_str(&key);
                    self.places.push((self.line(), indent as u32 + 1));
                    match &entry.value {
                        Tree::Text(text) => self.text.push_str(&format!(" {text}\n")),
                        nested => {
                            self.text.push('\n');
                            self.write(nested, indent + 2, false);
                        }
                    }
                }
            }
        }
    }
}

fn place_of(node: &Node<'_>) -> (u32, u32) {
    let failure = node.fail("here");
    (failure.line, failure.column)
}

/// The places that a document gives for the keys and items of `tree`, in order.
fn read_places(tree: &Tree, node: &Node<'_>, places: &mut Vec<(u32, u32)>) {
    match tree {
        Tree::Text(text) => assert_eq!(&node.text().unwrap(), text),
        Tree::List(items) => {
            for (item, node) in items.iter().zip(node.items().unwrap()) {
                places.push(place_of(&node));
                read_places(item, &node, places);
            }
        }
        Tree::Map(entries) => {
            for (entry, (key, node)) in entries.iter().zip(node.entries().unwrap()) {
                assert_eq!(key, entry.key);
                places.push(place_of(&node));
                read_places(&entry.value, &node, places);
            }
        }
    }
}

/// A piece of a template.
#[derive(Debug, Clone)]
enum Piece {
    Word,
    Line,
    Printed(String),
    Comment(String),
    If(bool),
}

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        4 => Just(Piece::Word),
        2 => Just(Piece::Line),
        1 => "[a-zé \n]{0,6}".prop_map(Piece::Printed),
        1 => "[a-zé \n]{0,6}".prop_map(Piece::Comment),
        1 => any::<bool>().prop_map(Piece::If),
    ]
}

/// The 1-based line and column of a text's end.
fn end_of(text: &str) -> (u32, u32) {
    let line = text.rsplit('\n').next().unwrap_or_default();
    let lines = text.matches('\n').count() as u32;
    (lines + 1, line.chars().count() as u32 + 1)
}

fn shop() -> Project {
    project(
        &[
            (
                "models/staging/a.sql",
                "{{ config(tags=['raw']) }} select 1",
            ),
            ("models/staging/b.sql", "select 1"),
            (
                "models/marts/c.sql",
                "select * from {{ ref('a') }}, {{ ref('b') }}",
            ),
            (
                "models/marts/d.sql",
                "{{ config(tags=['raw']) }} select * from {{ ref('c') }}",
            ),
            ("models/marts/e.sql", "select * from {{ ref('b') }}"),
        ],
        json!({}),
    )
    .unwrap()
}

fn selector() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "b+",
        "+c",
        "+d",
        "1+d",
        "c+",
        "e",
        "@b",
        "tag:raw",
        "path:models/marts",
        "staging",
        "*",
        "d",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_key_and_item_of_yaml_knows_its_place(tree in tree()) {
        let mut written = Written::default();
        written.write(&tree, 0, false);
        let doc = Doc::parse("a.yml", &written.text).unwrap();
        let mut places = vec![];
        read_places(&tree, &doc.root(), &mut places);
        prop_assert_eq!(places, written.places, "{}", written.text);
    }

    #[test]
    fn a_word_of_rendered_sql_leads_to_its_place_in_the_template(pieces in prop::collection::vec(piece(), 1..20)) {
        let mut template = "select".to_string();
        let mut words = vec![];
        for piece in pieces {
            match piece {
                Piece::Word => {
                    let word = format!("w{}q", words.len());
                    template.push(' ');
                    let place = end_of(&template);
                    words.push((word.clone(), place, true));
                    template.push_str(&word);
                }
                Piece::Line => template.push('\n'),
                Piece::Printed(text) => template.push_str(&format!("{{{{ '{}' }}}}", text.replace('\n', "\\n"))),
                Piece::Comment(text) => template.push_str(&format!("{{# {text} #}}")),
                Piece::If(holds) => {
                    let word = format!("w{}q", words.len());
                    template.push_str(&format!("{{% if {holds} %}} "));
                    words.push((word.clone(), end_of(&template), holds));
                    template.push_str(&format!("{word}{{% endif %}}"));
                }
            }
        }
        let project = project(&[("models/m.sql", &template)], json!({})).unwrap();
        let model = project.model(&"m".into()).unwrap();
        for (word, place, is_rendered) in words {
            let at = model.sql.find(&word);
            prop_assert_eq!(at.is_some(), is_rendered, "{}", template);
            if let Some(at) = at {
                let (line, column) = end_of(&model.sql[..at]);
                prop_assert_eq!(model.locate(line, column, &word), place, "{} in {}", word, template);
            }
        }
    }

    #[test]
    fn words_of_selectors_are_a_union_commas_an_intersection_and_exclude_a_difference(one in selector(), other in selector()) {
        let shop = shop();
        let picked = |chosen: &[String], without: &[String]| select(&shop, chosen, without).ok();
        let set = |word: &str| -> BTreeSet<ModelName> {
            picked(&[word.to_string()], &[]).unwrap().into_iter().collect()
        };
        let in_order = |set: BTreeSet<ModelName>| -> Option<Vec<ModelName>> {
            let all = picked(&["*".to_string()], &[]).unwrap();
            let chosen: Vec<_> = all.into_iter().filter(|name| set.contains(name)).collect();
            (!chosen.is_empty()).then_some(chosen)
        };
        let (a, b) = (set(one), set(other));
        let (one, other) = (one.to_string(), other.to_string());
        prop_assert_eq!(picked(&[format!("{one} {other}")], &[]), in_order(&a | &b));
        prop_assert_eq!(picked(&[one.clone(), other.clone()], &[]), in_order(&b | &a));
        prop_assert_eq!(picked(&[format!("{one},{other}")], &[]), in_order(&a & &b));
        prop_assert_eq!(picked(&[one], &[other]), in_order(&a - &b));
    }
}
