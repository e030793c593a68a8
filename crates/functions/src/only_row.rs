//! The value of a subquery's only row.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{exec_err, plan_err};
use datafusion::logical_expr::ScalarUDF;

use super::function::{Function, no_such_call};

// It stays where it is: moved below a join, it would see rows that no outer row matches.
static ONLY_ROW: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Function {
        name: "only_row",
        aliases: &[],
        coerce: |types| match types {
            [DataType::List(_)] => Ok(types.to_vec()),
            _ => Err(no_such_call("only_row", types, "a list")),
        },
        answer: |types, _| match types {
            [DataType::List(item)] => Ok(item.data_type().clone()),
            _ => plan_err!("only_row takes a list"),
        },
        run: |args, _| {
            let [lists] = args else {
                return exec_err!("only_row takes one argument");
            };
            let lists = lists.as_list::<i32>();
            let mut at = Vec::with_capacity(lists.len());
            for row in 0..lists.len() {
                if lists.is_null(row) || lists.value_length(row) == 0 {
                    at.push(None);
                    continue;
                }
                if lists.value_length(row) > 1 {
                    return exec_err!(
                        "a subquery that stands for one value gives {} rows; aggregate it, such as max(…), or add ORDER BY … \
                         LIMIT 1",
                        lists.value_length(row)
                    );
                }
                at.push(u32::try_from(lists.value_offsets()[row]).ok());
            }
            let taken: ArrayRef =
                datafusion::arrow::compute::take(lists.values(), &UInt32Array::from(at), None)?;
            Ok(taken)
        },
        stays: true,
    }
    .udf()
});

/// `only_row(list)`: its element, NULL of none, an error of several.
pub fn only_row() -> &'static Arc<ScalarUDF> {
    &ONLY_ROW
}
