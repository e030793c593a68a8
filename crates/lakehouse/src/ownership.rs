//! The ownership of a catalog's database: claimed, renewed, released.

use crate::catalog::owner::{self, Claim, Lease, Owner, Process};
use crate::error::Result;
use crate::lakehouse::Lakehouse;

impl Lakehouse {
    /// Takes the ownership where it is free, where the owner's process is proven gone, or from `expired`: an owner
    /// whose beat the caller has watched standing still for its lease.
    ///
    /// # Errors
    /// The catalog cannot be read or written.
    pub async fn claim(
        &self,
        described: &str,
        lease_ms: u64,
        expired: Option<&Owner>,
    ) -> Result<Claim> {
        let db = self.db();
        db.check_present()?;
        let claim = async {
            let mut connection = db.scratch().await?;
            let me = Process::this();
            let claim = owner::take(&mut connection, described, &me, lease_ms, expired).await?;
            connection.done();
            Ok(claim)
        };
        let claim = db.answered(claim).await;
        claim.map_err(|e| db.failed("claim the ownership", &e))
    }

    /// Renews the lease. False when somebody else is the owner now.
    ///
    /// # Errors
    /// The catalog does not answer: the ownership is what it was.
    pub async fn renew(&self, lease: Lease) -> Result<bool> {
        let db = self.db();
        db.check_present()?;
        let renew = async {
            let mut connection = db.scratch().await?;
            let renewed = owner::holds(&mut connection, lease).await?;
            connection.done();
            Ok(renewed)
        };
        let renewed = db.answered(renew).await;
        renewed.map_err(|e| db.failed("renew the ownership", &e))
    }

    /// Gives the ownership up, so that the next one need not wait.
    ///
    /// # Errors
    /// The catalog does not answer; the lease expires by itself.
    pub async fn release(&self, lease: Lease) -> Result<()> {
        let db = self.db();
        let release = async {
            let mut connection = db.scratch().await?;
            owner::release(&mut connection, lease).await?;
            connection.done();
            Ok(())
        };
        let released = db.answered(release).await;
        released.map_err(|e| db.failed("release the ownership", &e))
    }

    /// The owner of the database now; `None` before the first one and after the last one released it.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn owner(&self) -> Result<Option<Owner>> {
        let db = self.db();
        let read = async {
            let mut connection = db.scratch().await?;
            let row = owner::read(&mut connection).await?;
            connection.done();
            Ok(row)
        };
        let row = db.answered(read).await;
        let row = row.map_err(|e| db.failed("read the owner", &e))?;
        Ok(row.and_then(|row| row.unreleased()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Harness, stage_all};
    use crate::{LakehouseError, Publish};

    fn granted(claim: Claim) -> Lease {
        match claim {
            Claim::Granted(lease) => lease,
            Claim::Held(owner) => panic!("held by {owner:?}"),
        }
    }

    /// Makes the row one of a process that cannot be seen from here.
    async fn owned_from_elsewhere(harness: &Harness) {
        harness
            .execute("UPDATE retail_owner SET process = '' WHERE name = 'scheduler'")
            .await;
    }

    #[tokio::test]
    async fn one_owns_and_the_other_learns_who_until_it_is_released() {
        let harness = Harness::in_a_file().await;
        let (one, other) = (&harness.lakehouse, harness.another().await);
        let lease = granted(one.claim("one", 5_000, None).await.unwrap());
        let Claim::Held(owner) = other.claim("other", 5_000, None).await.unwrap() else {
            panic!("two owners");
        };
        assert_eq!((owner.described.as_str(), owner.lease_ms), ("one", 5_000));
        assert!(owner.is_alive_here && owner.since_us > 0);
        assert!(one.renew(lease).await.unwrap());
        one.release(lease).await.unwrap();
        assert_eq!(one.owner().await.unwrap(), None);
        let next = granted(other.claim("other", 5_000, None).await.unwrap());
        assert_eq!(next.epoch, lease.epoch + 1);
        assert!(!one.renew(lease).await.unwrap());
        assert!(other.renew(next).await.unwrap());
    }

    #[tokio::test]
    async fn an_owner_that_renewed_meanwhile_is_not_expired() {
        let harness = Harness::in_a_file().await;
        let other = harness.another().await;
        let lease = granted(harness.lakehouse.claim("one", 1, None).await.unwrap());
        owned_from_elsewhere(&harness).await;
        let Claim::Held(seen) = other.claim("other", 1, None).await.unwrap() else {
            panic!("two owners");
        };
        assert!(!seen.is_alive_here);
        harness.lakehouse.renew(lease).await.unwrap();
        let again = other.claim("other", 1, Some(&seen)).await.unwrap();
        let Claim::Held(seen) = again else {
            panic!("it has just renewed");
        };
        granted(other.claim("other", 1, Some(&seen)).await.unwrap());
    }

    #[tokio::test]
    async fn the_owner_that_was_replaced_publishes_nothing() {
        let harness = Harness::in_a_file().await;
        let lease = granted(harness.lakehouse.claim("one", 1, None).await.unwrap());
        let first = stage_all(&harness.lakehouse, &["marts.a", "marts.b"], 1).await;
        let publish = Publish {
            lease: Some(lease),
            ..Publish::of("job1")
        };
        harness
            .lakehouse
            .publish_as(&publish, &first)
            .await
            .unwrap();

        owned_from_elsewhere(&harness).await;
        let other = harness.another().await;
        let Claim::Held(seen) = other.claim("other", 1, None).await.unwrap() else {
            panic!("two owners");
        };
        let next = granted(other.claim("other", 1, Some(&seen)).await.unwrap());
        let before = harness.rows().await;
        let late = stage_all(&harness.lakehouse, &["marts.a", "marts.b"], 2).await;
        let publish = Publish {
            lease: Some(lease),
            ..Publish::of("job2")
        };
        let error = harness
            .lakehouse
            .publish_as(&publish, &late)
            .await
            .unwrap_err();
        assert!(matches!(error, LakehouseError::OwnershipLost), "{error}");
        assert_eq!(harness.rows().await, before);
        let publish = Publish {
            lease: Some(next),
            ..Publish::of("job3")
        };
        harness.lakehouse.publish_as(&publish, &late).await.unwrap();
    }
}
