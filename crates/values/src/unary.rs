//! What plan nodes over one input have in common.

/// The methods of a `datafusion::physical_plan::ExecutionPlan` that are alike in every node over one input, without
/// expressions of its own: its children, how it is built over another input, and that a repartitioned input is no gain.
///
/// The node has a field of the given name for its input, and a method
/// `fn over(&self, input: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>>`, itself over another input.
#[macro_export]
macro_rules! delegate_unary {
    ($input:ident) => {
        fn children(
            &self,
        ) -> ::std::vec::Vec<&::std::sync::Arc<dyn ::datafusion::physical_plan::ExecutionPlan>> {
            ::std::vec![&self.$input]
        }

        fn benefits_from_input_partitioning(&self) -> ::std::vec::Vec<bool> {
            ::std::vec![false]
        }

        fn apply_expressions(
            &self,
            _f: &mut dyn FnMut(
                &::std::sync::Arc<dyn ::datafusion::physical_plan::PhysicalExpr>,
            ) -> ::datafusion::error::Result<
                ::datafusion::common::tree_node::TreeNodeRecursion,
            >,
        ) -> ::datafusion::error::Result<::datafusion::common::tree_node::TreeNodeRecursion> {
            Ok(::datafusion::common::tree_node::TreeNodeRecursion::Continue)
        }

        fn with_new_children(
            self: ::std::sync::Arc<Self>,
            mut children: ::std::vec::Vec<
                ::std::sync::Arc<dyn ::datafusion::physical_plan::ExecutionPlan>,
            >,
        ) -> ::datafusion::error::Result<
            ::std::sync::Arc<dyn ::datafusion::physical_plan::ExecutionPlan>,
        > {
            match (children.pop(), children.is_empty()) {
                (Some(input), true) => self.over(input),
                _ => ::datafusion::common::internal_err!("{} has one input", self.name()),
            }
        }
    };
}
