//! Changes of plans that DataFusion's own rules do not make, or make wrongly.

pub(crate) mod filter_names;
pub(crate) mod order_claims;
pub(crate) mod sort_keys;
pub(crate) mod values_limit;
pub(crate) mod windows;

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;

/// A rule of the physical optimizer.
pub(crate) type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// One change of a whole plan.
pub(crate) type Rewrite = fn(Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>>;

/// A rewrite as a rule of the optimizer.
pub(crate) fn rule(name: &'static str, rewrite: Rewrite) -> Rule {
    Arc::new(RewriteRule { name, rewrite })
}

/// A rule of DataFusion that works on another plan than the one that runs: `before` puts nodes in that keep it from a
/// mistake, `after` takes them out again.
fn shielded(rule: Rule, before: Rewrite, after: Rewrite) -> Rule {
    Arc::new(ShieldedRule {
        rule,
        before,
        after,
    })
}

#[derive(Debug)]
struct RewriteRule {
    name: &'static str,
    rewrite: Rewrite,
}

impl PhysicalOptimizerRule for RewriteRule {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        (self.rewrite)(plan)
    }

    fn name(&self) -> &str {
        self.name
    }

    fn schema_check(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct ShieldedRule {
    rule: Rule,
    before: Rewrite,
    after: Rewrite,
}

impl PhysicalOptimizerRule for ShieldedRule {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        (self.after)(self.rule.optimize((self.before)(plan)?, config)?)
    }

    fn name(&self) -> &str {
        self.rule.name()
    }

    fn schema_check(&self) -> bool {
        self.rule.schema_check()
    }
}
