//! Queries with windows: ranks, neighbours, and aggregates over frames.

use super::{From, Generator, Select};
use crate::fuzz::features::Feature;
use crate::fuzz::tables::Kind;

impl Generator<'_> {
    pub(super) fn windows(&mut self, depth: u32, kinds: &[Kind]) -> Select {
        let from = self.from(depth);
        self.scope.push(from.columns.clone());
        let named = self.chance(15, Feature::NamedWindow).then(|| {
            let partition = self.partition();
            // DuckDB allows a name once in all of a statement.
            (
                self.name('w'),
                format!("{partition}order by {}", self.total_order(&from)),
            )
        });
        let name = named.as_ref().map(|(name, _)| name.as_str());
        let mut values = vec![];
        let mut has_one = false;
        for (at, kind) in kinds.iter().enumerate() {
            let last = at + 1 == kinds.len();
            // Rows that are equal in all columns may stand one way round in one window and the other way in another.
            let allowed = from.unique || !has_one;
            if (last && !has_one) || (self.choices.chance(40) && allowed) {
                has_one = true;
                values.push(self.window(*kind, &from, name));
            } else {
                values.push(self.expression(*kind, 1));
            }
        }
        let mut tail = self.filter(depth);
        if let Some((name, named)) = &named {
            tail += &format!(" window {name} as ({named})");
        }
        if from.unique && self.chance(8, Feature::Qualify) {
            let partition = self.partition();
            let order = self.total_order(&from);
            let most = self.pick(&["1", "2", "3"]);
            let qualify =
                format!(" qualify row_number() over ({partition}order by {order}) <= {most}");
            // Both engines read QUALIFY after WINDOW.
            tail += &qualify;
        }
        self.scope.pop();
        self.select_of(
            &values,
            kinds,
            "",
            &format!("{}{tail}", from.sql),
            from.rows,
        )
    }

    /// `partition by … `, or nothing.
    fn partition(&mut self) -> String {
        if !self.choices.chance(65) {
            return String::new();
        }
        let kind = self
            .choices
            .one_of(&[Kind::Int, Kind::Text, Kind::Date, Kind::Bool])
            .unwrap_or(Kind::Int);
        match self.column(kind) {
            Some(column) if self.choices.chance(15) => {
                let other = self.kind();
                let other = self.expression(other, 1);
                // A constant is no column to part by.
                if other.contains('.') {
                    format!("partition by {column}, {other} ")
                } else {
                    format!("partition by {column} ")
                }
            }
            Some(column) => format!("partition by {column} "),
            None => String::new(),
        }
    }

    fn window(&mut self, kind: Kind, from: &From, named: Option<&str>) -> String {
        let of: &[(u32, &str)] = match kind {
            Kind::Int => &[
                (6, "row_number"),
                (5, "rank"),
                (3, "dense_rank"),
                (2, "ntile"),
                (6, "aggregate"),
                (4, "neighbour"),
                (3, "edge"),
            ],
            Kind::Money | Kind::Float => &[(6, "aggregate"), (5, "neighbour"), (4, "edge")],
            _ => &[(5, "neighbour"), (4, "edge"), (3, "aggregate")],
        };
        let function = self.choices.weighted(of).unwrap_or("row_number");
        if kind == Kind::Bool && function == "aggregate" {
            return self.neighbour(kind, from, named);
        }
        match function {
            "row_number" => format!("row_number() over {}", self.totally(from, named)),
            "ntile" => {
                let parts = self.pick(&["2", "3", "4"]);
                format!(
                    "cast(ntile({parts}) over {} as bigint)",
                    self.totally(from, named)
                )
            }
            "rank" | "dense_rank" => {
                let partition = self.partition();
                let (value, down) = (self.some_key(from), self.direction());
                format!("{function}() over ({partition}order by {value}{down})")
            }
            "neighbour" => self.neighbour(kind, from, named),
            "edge" => self.edge(kind, from),
            _ => self.over_frame(kind, from, named),
        }
    }

    /// A window whose rows have one order.
    fn totally(&mut self, from: &From, named: Option<&str>) -> String {
        if let Some(name) = named
            && self.choices.chance(60)
        {
            return match self.choices.chance(30) {
                true => format!("({name})"),
                false => name.to_owned(),
            };
        }
        let partition = self.partition();
        format!("({partition}order by {})", self.total_order(from))
    }

    /// LAG and LEAD.
    fn neighbour(&mut self, kind: Kind, from: &From, named: Option<&str>) -> String {
        let function = self.pick(&["lag", "lead"]);
        let value = self.plain(kind);
        let arguments = match self.choices.below(4) {
            0 | 1 => value,
            2 => format!("{value}, {}", self.pick(&["2", "3", "1"])),
            _ => {
                let (away, other) = (self.pick(&["1", "2"]), self.constant(kind));
                format!("{value}, {away}, {other}")
            }
        };
        let call = if self.chance(25, Feature::IgnoreNulls) {
            Self::ignoring_nulls(function, &arguments)
        } else {
            format!("{function}({arguments})")
        };
        format!("{call} over {}", self.totally(from, named))
    }

    /// FIRST_VALUE, LAST_VALUE and NTH_VALUE of a frame.
    fn edge(&mut self, kind: Kind, from: &From) -> String {
        let function = self.pick(&["first_value", "last_value", "nth_value"]);
        let mut arguments = self.plain(kind);
        if function == "nth_value" {
            arguments = format!("{arguments}, {}", self.pick(&["2", "1", "3"]));
        }
        let call = if self.chance(30, Feature::IgnoreNulls) {
            Self::ignoring_nulls(function, &arguments)
        } else {
            format!("{function}({arguments})")
        };
        let partition = self.partition();
        let order = self.total_order(from);
        let frame = self.frame();
        format!("{call} over ({partition}order by {order}{frame})")
    }

    /// An aggregate over a frame.
    fn over_frame(&mut self, kind: Kind, from: &From, named: Option<&str>) -> String {
        let function = match kind {
            Kind::Int => self.pick(&["sum", "count", "max", "min", "count(*)"]),
            Kind::Money | Kind::Float => self.pick(&["sum", "max", "min"]),
            _ => self.pick(&["max", "min"]),
        };
        let call = match function {
            "count(*)" => function.to_owned(),
            "count" => {
                let of = self.kind();
                format!("count({})", self.plain(of))
            }
            function => format!("{function}({})", self.expression(kind, 1)),
        };
        let filter = if self.chance(18, Feature::WindowFilter) {
            format!(" filter (where {})", self.predicate(1, false))
        } else {
            String::new()
        };
        let partition = self.partition();
        let window = match self.choices.below(6) {
            0 => partition.trim_end().to_owned(),
            1 | 2 => {
                // Peers are in the frame together, whatever their order.
                let (value, down) = (self.some_key(from), self.direction());
                format!("{partition}order by {value}{down}")
            }
            3 if self.on(Feature::RangeInterval) => match self.column(Kind::Date) {
                Some(day) => {
                    let (before, after) = (
                        self.pick(&["1 day", "7 days", "1 month"]),
                        self.pick(&["current row", "interval '2 days' following"]),
                    );
                    format!(
                        "{partition}order by {day} range between interval '{before}' preceding and {after}"
                    )
                }
                None => partition.trim_end().to_owned(),
            },
            4 if self.on(Feature::GroupsFrame) => {
                let (value, down) = (self.some_key(from), self.direction());
                format!(
                    "{partition}order by {value}{down} groups between 1 preceding and 1 following"
                )
            }
            _ => {
                let frame = self.frame();
                match named {
                    Some(name) if self.choices.chance(50) => format!("{name}{frame}"),
                    _ => format!("{partition}order by {}{frame}", self.total_order(from)),
                }
            }
        };
        format!("{call}{filter} over ({window})")
    }

    /// Something to order by that is no constant.
    fn some_key(&mut self, from: &From) -> String {
        let kind = self.kind();
        match self.column(kind) {
            Some(column) if kind == Kind::Date && self.choices.chance(30) => {
                format!("date_trunc('month', {column})")
            }
            Some(column) if kind == Kind::Money && self.choices.chance(30) => {
                format!("abs({column})")
            }
            Some(column) => column,
            None => from
                .columns
                .first()
                .map_or_else(|| "1".to_owned(), |c| c.name.clone()),
        }
    }

    /// A frame of rows, or none.
    fn frame(&mut self) -> &'static str {
        if !self.on(Feature::Frame) {
            return "";
        }
        self.pick(&[
            "",
            " rows between unbounded preceding and current row",
            " rows between 2 preceding and current row",
            " rows between 1 preceding and 1 following",
            " rows between current row and unbounded following",
            " rows between unbounded preceding and unbounded following",
            " rows between 3 preceding and 1 preceding",
            " range between unbounded preceding and unbounded following",
        ])
    }
}
