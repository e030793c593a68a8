//! Expressions of a kind over the columns in scope.

use super::Generator;
use crate::fuzz::features::Feature;
use crate::fuzz::tables::Kind;

/// The type of a kind's NULL, and of casts to it.
pub(super) fn type_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Int => "bigint",
        Kind::Money => "decimal(12,2)",
        Kind::Text => "varchar",
        Kind::Date => "date",
        Kind::Time => "timestamp",
        Kind::Bool => "boolean",
        Kind::Float => "double",
    }
}

impl Generator<'_> {
    /// An expression; with `depth` 0 a column or a constant.
    pub(super) fn expression(&mut self, kind: Kind, depth: u32) -> String {
        if depth == 0 || self.choices.below(100) < 45 {
            return self.plain(kind);
        }
        let depth = depth - 1;
        match self.choices.below(5) {
            0 => {
                let (value, other) = (self.plain(kind), self.constant(kind));
                format!("coalesce({value}, {other})")
            }
            1 => self.case_of(kind, depth),
            2 if !matches!(kind, Kind::Bool) => {
                let (value, other) = (self.plain(kind), self.constant(kind));
                format!("nullif({value}, {other})")
            }
            _ => self.operation(kind, depth),
        }
    }

    /// A column, or else a constant.
    pub(super) fn plain(&mut self, kind: Kind) -> String {
        if self.choices.below(100) < 88
            && let Some(name) = self.column(kind)
        {
            return name;
        }
        self.constant(kind)
    }

    pub(super) fn constant(&mut self, kind: Kind) -> String {
        if self.choices.chance(4) {
            return format!("cast(null as {})", type_of(kind));
        }
        match kind {
            Kind::Int => self
                .pick(&["1", "0", "2", "3", "5", "7", "10", "100", "(-1)"])
                .to_owned(),
            Kind::Money => self.money(),
            Kind::Text => {
                let text = self.pick(&[
                    "web", "shop", "app", "food", "toys", "CA", "", "a_b", "O''Neil",
                ]);
                format!("'{text}'")
            }
            Kind::Date => {
                let day = self.pick(&[
                    "2024-02-29",
                    "2024-02-28",
                    "2024-03-01",
                    "2024-03-31",
                    "2023-12-31",
                ]);
                format!("date '{day}'")
            }
            Kind::Time => {
                let time = self.pick(&[
                    "2024-02-29 00:00:00",
                    "2024-02-28 09:30:00",
                    "2024-03-01 12:00:00",
                ]);
                format!("timestamp '{time}'")
            }
            Kind::Bool => self.pick(&["true", "false"]).to_owned(),
            Kind::Float => {
                let number = self.pick(&["0.5", "0.25", "2.5", "-1.25"]);
                format!("cast('{number}' as double)")
            }
        }
    }

    /// An amount with a point: exact, though binary fractions have no such number.
    fn money(&mut self) -> String {
        let number = self.pick(&["8.55", "129.99", "0.10", "19.99", "9.99", "50.00", "1.10"]);
        if self.on(Feature::MoneyLiteral) {
            number.to_owned()
        } else {
            format!("cast('{number}' as decimal(12,2))")
        }
    }

    fn case_of(&mut self, kind: Kind, depth: u32) -> String {
        let when = self.predicate(depth, false);
        let (then, otherwise) = (self.plain(kind), self.expression(kind, depth));
        match self.choices.below(3) {
            0 => format!("case when {when} then {then} else {otherwise} end"),
            1 => format!("case when {when} then {then} end"),
            _ => {
                let second = self.predicate(0, false);
                let last = self.constant(kind);
                format!(
                    "case when {when} then {then} when {second} then {otherwise} else {last} end"
                )
            }
        }
    }

    fn operation(&mut self, kind: Kind, depth: u32) -> String {
        match kind {
            Kind::Int => self.integer(depth),
            Kind::Money => self.amount(depth),
            Kind::Text => self.text(depth),
            Kind::Date => self.date(depth),
            Kind::Time => self.time(depth),
            Kind::Bool => format!("({})", self.predicate(depth, false)),
            Kind::Float => {
                let (a, b) = (self.plain(kind), self.plain(kind));
                let operator = self.pick(&["+", "-"]);
                format!("({a} {operator} {b})")
            }
        }
    }

    fn integer(&mut self, depth: u32) -> String {
        let of = [
            (30, "sum"),
            (8, "times"),
            (8, "abs"),
            (8, "rest"),
            (8, "part of a date"),
            (6, "length"),
            (6, "greatest"),
            (self.weight(6, Feature::CastRounds), "rounded"),
            (self.weight(6, Feature::DateDifference), "days"),
        ];
        match self.choices.weighted(&of).unwrap_or("sum") {
            "times" => format!(
                "({} * {})",
                self.plain(Kind::Int),
                self.pick(&["2", "3", "-1"])
            ),
            "abs" => format!("abs({})", self.expression(Kind::Int, depth)),
            "rest" => format!(
                "({} % {})",
                self.plain(Kind::Int),
                self.pick(&["2", "3", "4"])
            ),
            "part of a date" => {
                let part = self.pick(&["month", "year", "day", "quarter", "dow", "doy"]);
                let of = if self.choices.chance(30) {
                    Kind::Time
                } else {
                    Kind::Date
                };
                format!(
                    "cast(extract({part} from {}) as bigint)",
                    self.expression(of, depth)
                )
            }
            "length" => format!("length({})", self.expression(Kind::Text, depth)),
            "greatest" => {
                let function = self.pick(&["greatest", "least"]);
                let (a, b) = (self.plain(Kind::Int), self.plain(Kind::Int));
                format!("{function}({a}, {b})")
            }
            "rounded" => format!("cast({} as bigint)", self.expression(Kind::Money, depth)),
            "days" => {
                let (a, b) = (self.plain(Kind::Date), self.plain(Kind::Date));
                format!("({a} - {b})")
            }
            _ => {
                let (a, b) = (self.plain(Kind::Int), self.expression(Kind::Int, depth));
                let operator = self.pick(&["+", "-"]);
                format!("({a} {operator} {b})")
            }
        }
    }

    fn amount(&mut self, depth: u32) -> String {
        match self.choices.below(7) {
            0 => format!(
                "({} * {})",
                self.plain(Kind::Money),
                self.pick(&["2", "3", "-1"])
            ),
            1 => {
                let rate = self.constant(Kind::Money);
                format!("round({} * {rate}, 2)", self.plain(Kind::Money))
            }
            2 => format!("abs({})", self.expression(Kind::Money, depth)),
            3 => {
                let function = self.pick(&["greatest", "least"]);
                let (a, b) = (self.plain(Kind::Money), self.plain(Kind::Money));
                format!("{function}({a}, {b})")
            }
            4 => format!("cast({} as decimal(12,2))", self.plain(Kind::Int)),
            _ => {
                let (a, b) = (self.plain(Kind::Money), self.expression(Kind::Money, depth));
                let operator = self.pick(&["+", "-"]);
                format!("({a} {operator} {b})")
            }
        }
    }

    fn text(&mut self, depth: u32) -> String {
        match self.choices.below(7) {
            0 => format!("upper({})", self.plain(Kind::Text)),
            1 => format!("lower({})", self.plain(Kind::Text)),
            2 => {
                let (a, b) = (self.plain(Kind::Text), self.constant(Kind::Text));
                format!("({a} || {b})")
            }
            3 => format!(
                "substring({}, 1, {})",
                self.expression(Kind::Text, depth),
                self.pick(&["1", "2", "3"])
            ),
            4 => format!("cast({} as varchar)", self.plain(Kind::Int)),
            5 => format!("replace({}, 'o', '0')", self.plain(Kind::Text)),
            _ => format!("trim({})", self.plain(Kind::Text)),
        }
    }

    fn date(&mut self, depth: u32) -> String {
        let of = [
            (4, "month"),
            (3, "day"),
            (2, "greatest"),
            (self.weight(4, Feature::Interval), "later"),
        ];
        match self.choices.weighted(&of).unwrap_or("day") {
            "month" => {
                let part = self.pick(&["month", "week", "year", "quarter"]);
                format!(
                    "cast(date_trunc('{part}', {}) as date)",
                    self.expression(Kind::Date, depth)
                )
            }
            "greatest" => {
                let function = self.pick(&["greatest", "least"]);
                let (a, b) = (self.plain(Kind::Date), self.plain(Kind::Date));
                format!("{function}({a}, {b})")
            }
            "later" => {
                let (day, operator) = (self.expression(Kind::Date, depth), self.pick(&["+", "-"]));
                format!("cast({day} {operator} interval '{}' as date)", self.span())
            }
            _ => format!("cast({} as date)", self.expression(Kind::Time, depth)),
        }
    }

    fn time(&mut self, depth: u32) -> String {
        let of = [
            (3, "hour"),
            (2, "start of day"),
            (self.weight(4, Feature::Interval), "later"),
        ];
        match self.choices.weighted(&of).unwrap_or("hour") {
            "start of day" => format!("cast({} as timestamp)", self.expression(Kind::Date, depth)),
            "later" => {
                let (time, operator) = (self.expression(Kind::Time, depth), self.pick(&["+", "-"]));
                format!("({time} {operator} interval '{}')", self.span())
            }
            _ => {
                let part = self.pick(&["hour", "day", "month", "minute"]);
                // DuckDB's result is a date where ours stays a timestamp.
                format!(
                    "cast(date_trunc('{part}', {}) as timestamp)",
                    self.expression(Kind::Time, depth)
                )
            }
        }
    }

    fn span(&mut self) -> &'static str {
        self.pick(&[
            "1 day",
            "7 days",
            "1 month",
            "36 hours",
            "90 minutes",
            "1 year",
        ])
    }
}
