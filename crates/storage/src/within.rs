//! The requests of one piece of work, in its span.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreRegistry;
use object_store::ObjectStore;
use tracing::Span;
use url::Url;

use crate::instrumented;

/// The same stores, whose requests are made within `span` wherever they are made: parts of a plan run on tasks of the
/// runtime's own, which do not have the span that they are part of.
pub fn stores_within(
    stores: Arc<dyn ObjectStoreRegistry>,
    span: Span,
) -> Arc<dyn ObjectStoreRegistry> {
    Arc::new(Within { stores, span })
}

#[derive(Debug)]
struct Within {
    stores: Arc<dyn ObjectStoreRegistry>,
    span: Span,
}

impl ObjectStoreRegistry for Within {
    fn register_store(
        &self,
        url: &Url,
        store: Arc<dyn ObjectStore>,
    ) -> Option<Arc<dyn ObjectStore>> {
        self.stores.register_store(url, store)
    }

    fn deregister_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        self.stores.deregister_store(url)
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        let store = self.stores.get_store(url)?;
        Ok(instrumented::within(store, self.span.clone()))
    }
}
