//! The shipped project, inside the binary: `demo` works from any folder.

use crate::project::ProjectFile;

/// The files of `jobs/retail/`, by path.
macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/retail/", $path)))),*]
    };
}

const FILES: &[(&str, &[u8])] = files![
    "analyses/average_order_value_by_state.sql",
    "analyses/customer_lifetime_value.sql",
    "analyses/monthly_sales_growth.sql",
    "analyses/rfm.sql",
    "analyses/seller_performance.sql",
    "analyses/top_products_per_seller.sql",
    "dbt_project.yml",
    "macros/keys.sql",
    "macros/money.sql",
    "macros/versions.sql",
    "models/marts/dim_customer.sql",
    "models/marts/dim_customer.yml",
    "models/marts/dim_date.sql",
    "models/marts/dim_date.yml",
    "models/marts/dim_product.sql",
    "models/marts/dim_product.yml",
    "models/marts/dim_seller.sql",
    "models/marts/dim_seller.yml",
    "models/marts/fact_order_items.sql",
    "models/marts/fact_order_items.yml",
    "models/marts/fact_order_summary.sql",
    "models/marts/fact_order_summary.yml",
    "models/marts/obt_customers_reporting.sql",
    "models/marts/obt_customers_reporting.yml",
    "models/marts/obt_sellers_reporting.sql",
    "models/marts/obt_sellers_reporting.yml",
    "models/quarantine/customers.sql",
    "models/quarantine/customers.yml",
    "models/quarantine/order_items.sql",
    "models/quarantine/order_items.yml",
    "models/quarantine/orders.sql",
    "models/quarantine/orders.yml",
    "models/quarantine/products.sql",
    "models/quarantine/products.yml",
    "models/quarantine/row_counts.sql",
    "models/quarantine/row_counts.yml",
    "models/quarantine/sellers.sql",
    "models/quarantine/sellers.yml",
    "models/sources.yml",
    "models/staging/customers_checked.sql",
    "models/staging/customers_checked.yml",
    "models/staging/order_items_checked.sql",
    "models/staging/order_items_checked.yml",
    "models/staging/orders_checked.sql",
    "models/staging/orders_checked.yml",
    "models/staging/products_checked.sql",
    "models/staging/products_checked.yml",
    "models/staging/sellers_checked.sql",
    "models/staging/sellers_checked.yml",
    "models/staging/stg_customers.sql",
    "models/staging/stg_customers.yml",
    "models/staging/stg_order_items.sql",
    "models/staging/stg_order_items.yml",
    "models/staging/stg_orders.sql",
    "models/staging/stg_orders.yml",
    "models/staging/stg_products.sql",
    "models/staging/stg_products.yml",
    "models/staging/stg_sellers.sql",
    "models/staging/stg_sellers.yml",
];

/// The retail project as a client would read it from its folder.
pub fn project_files() -> Vec<ProjectFile> {
    FILES
        .iter()
        .map(|(path, content)| ProjectFile {
            path: (*path).to_string(),
            content: content.to_vec(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_embedded_project_is_the_folder() {
        let folder =
            crate::project::read_dir(&Path::new(env!("CARGO_MANIFEST_DIR")).join("retail"))
                .unwrap();
        let names = |files: &[ProjectFile]| {
            files
                .iter()
                .map(|file| file.path.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&project_files()), names(&folder));
        assert!(project_files() == folder);
    }

    #[test]
    fn the_project_is_read_without_a_warning() {
        let vars = serde_json::json!({"input": "/data"});
        let project = crate::project::load(&project_files(), vars.as_object().unwrap()).unwrap();
        assert_eq!(project.warnings, vec![]);
        assert_eq!(project.analyses.len(), 6);
        let undescribed: Vec<String> = project
            .models
            .iter()
            .filter(|m| m.description.is_empty())
            .map(|m| m.table.to_string())
            .collect();
        assert_eq!(undescribed, Vec::<String>::new());
        let fact = project
            .models
            .iter()
            .find(|m| m.table.to_string() == "marts.fact_order_items")
            .unwrap();
        assert_eq!(fact.config.partition_by, ["month(order_date)"]);
        assert!(fact.sql.contains("dim_product"), "{}", fact.sql);
        assert!(
            fact.sql.contains("items.order_date < products.valid_until"),
            "{}",
            fact.sql
        );
        assert!(
            !project
                .models
                .iter()
                .any(|m| m.sql.contains("{{") || m.sql.contains("{%"))
        );
    }
}
