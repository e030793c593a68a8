//! A physical plan in one line: what it scans, joins and aggregates, and how many stages that is.

use std::collections::BTreeMap;

/// `scan 3, hash join 2, aggregate 2, write 1; 2 exchanges`; empty for an empty plan.
pub(crate) fn summary(physical_plan: &str) -> String {
    let mut counts: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    let mut exchanges = 0;
    for line in physical_plan.lines() {
        let node = line
            .trim_start()
            .trim_start_matches(|c: char| !c.is_ascii_alphabetic());
        let name: &str = node
            .split(|c: char| !c.is_ascii_alphanumeric())
            .next()
            .unwrap_or_default();
        // The final half of an aggregate belongs to its partial half.
        let final_half = node.contains("mode=Final");
        let kind = match name {
            // An explained model reads relations of which only the columns are known.
            "DataSourceExec" | "EmptyExec" => (0, "scan"),
            "HashJoinExec" if node.contains("mode=CollectLeft") => (1, "broadcast join"),
            "HashJoinExec" => (2, "hash join"),
            "SortMergeJoinExec" => (3, "merge join"),
            "NestedLoopJoinExec" | "CrossJoinExec" => (4, "nested loop join"),
            "AggregateExec" if !final_half => (5, "aggregate"),
            "BoundedWindowAggExec" | "WindowAggExec" => (6, "window"),
            "SortExec" => (7, "sort"),
            "UnionExec" => (8, "union"),
            "TableWriteExec" => (9, "write"),
            "RepartitionExec" if !node.contains("RoundRobin") => {
                exchanges += 1;
                continue;
            }
            "ShuffleReaderExec" | "UnresolvedShuffleExec" => {
                exchanges += 1;
                continue;
            }
            _ => continue,
        };
        *counts.entry(kind).or_default() += 1;
    }
    let mut out = counts
        .iter()
        .map(|((_, name), n)| format!("{name} {n}"))
        .collect::<Vec<_>>()
        .join(", ");
    if exchanges > 0 {
        let s = if exchanges == 1 { "" } else { "s" };
        out.push_str(&format!(
            "{}{exchanges} exchange{s}",
            if out.is_empty() { "" } else { "; " }
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_counted_by_what_its_nodes_do() {
        let plan = "\
TableWriteExec: marts.x
  AggregateExec: mode=FinalPartitioned, gby=[a]
    RepartitionExec: partitioning=Hash([a], 4), input_partitions=4
      AggregateExec: mode=Partial, gby=[a]
        HashJoinExec: mode=CollectLeft, join_type=Inner
          DataSourceExec: file_groups={1 group}
          RepartitionExec: partitioning=RoundRobinBatch(4), input_partitions=1
            DataSourceExec: file_groups={1 group}";
        assert_eq!(
            summary(plan),
            "scan 2, broadcast join 1, aggregate 1, write 1; 1 exchange"
        );
        assert_eq!(summary(""), "");
    }
}
