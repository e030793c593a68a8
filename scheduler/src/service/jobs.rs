//! `retail.v1.Jobs`: submits, watches and steers jobs.

#![allow(
    clippy::result_large_err,
    reason = "a failure ends the work: it is made once, on no hot path"
)]

use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use retail_api::{Failure, FailureKind, JobId, codec};
use retail_engine::Cluster;
use retail_lakehouse::Lakehouse;
use retail_project::{ModelName, Project, ProjectFile, select};
use retail_proto::v1;
use tonic::{Code, Request, Response, Status};

use super::{explain, traceparent, unavailable};
use crate::jobs::{JobManager, Submission, SubmitError};

/// Jobs listed when a client gives no limit.
const LIST_DEFAULT: u32 = 20;

pub(super) struct JobsService {
    jobs: Arc<JobManager>,
    lake: Lakehouse,
    cluster: Arc<dyn Cluster>,
}

impl JobsService {
    pub(super) fn new(jobs: Arc<JobManager>, lake: Lakehouse, cluster: Arc<dyn Cluster>) -> Self {
        Self {
            jobs,
            lake,
            cluster,
        }
    }

    /// The job that a client means with `typed`.
    async fn find(&self, typed: &str) -> Result<JobId, Status> {
        let found = self.jobs.find(typed).await;
        let found = found.map_err(|e| unavailable("read the job", &e))?;
        match found.as_slice() {
            [] => Err(no_such_job(typed)),
            [id] => Ok(id.clone()),
            several => Err(codec::status_of(ambiguous(typed, several))),
        }
    }
}

#[tonic::async_trait]
impl v1::jobs_server::Jobs for JobsService {
    type WatchStream = BoxStream<'static, Result<v1::JobEvent, Status>>;

    async fn submit(
        &self,
        request: Request<v1::SubmitRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        let traceparent = traceparent(&request);
        let request = request.into_inner();
        let (project, selected) = checked(
            request.files,
            request.vars_json,
            request.select,
            request.exclude,
        )
        .await
        .map_err(codec::status_of)?;
        for warning in &project.warnings {
            tracing::warn!(project = %project.name, %warning, "project has a warning");
        }
        let submission = Submission {
            project,
            selected,
            submitted_by: request.submitted_by,
            executor_timeout: (request.executor_timeout_ms > 0)
                .then(|| Duration::from_millis(request.executor_timeout_ms)),
            tests_only: request.tests_only,
            traceparent,
            allow_removed_files: request.allow_removed_files,
            keep_foreign_rows: request.keep_foreign_rows,
        };
        match self.jobs.submit(submission).await {
            Ok(id) => Ok(Response::new(v1::SubmitResponse { job_id: id.into() })),
            Err(SubmitError::NotOwner(owner)) => Err(codec::status(
                Code::FailedPrecondition,
                Failure::new(FailureKind::Storage, "cannot run jobs on this catalog")
                    .cause(owner)
                    .note("nothing was run; the tables can be read meanwhile")
                    .note("hand the job to that scheduler with --scheduler URL, or wait until it has stopped")
                    .retryable(true),
            )),
            Err(SubmitError::Stopping) => Err(Status::unavailable("scheduler is stopping")),
            Err(error) => Err(unavailable("store the job", &error)),
        }
    }

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let v1::WatchRequest { job_id, after_seq } = request.into_inner();
        let id = self.find(&job_id).await?;
        let events = self
            .jobs
            .watch(&id, after_seq)
            .await
            .map_err(|e| unavailable("read the job", &e))?;
        let events = events.ok_or_else(|| no_such_job(&job_id))?;
        let events = events
            .map_ok(v1::JobEvent::from)
            .map_err(|e| unavailable("read the job's events", &e));
        Ok(Response::new(events.boxed()))
    }

    async fn get(&self, request: Request<v1::GetJobRequest>) -> Result<Response<v1::Job>, Status> {
        let typed = request.into_inner().job_id;
        let id = self.find(&typed).await?;
        match self
            .jobs
            .get(&id)
            .await
            .map_err(|e| unavailable("read the job", &e))?
        {
            Some(job) => Ok(Response::new(job.into())),
            None => Err(no_such_job(&typed)),
        }
    }

    async fn list(
        &self,
        request: Request<v1::ListJobsRequest>,
    ) -> Result<Response<v1::ListJobsResponse>, Status> {
        let limit = match request.into_inner().limit {
            0 => LIST_DEFAULT,
            limit => limit,
        };
        let jobs = self
            .jobs
            .list(limit)
            .await
            .map_err(|e| unavailable("list jobs", &e))?;
        Ok(Response::new(v1::ListJobsResponse {
            jobs: jobs.into_iter().map(v1::Job::from).collect(),
        }))
    }

    async fn cancel(
        &self,
        request: Request<v1::CancelJobRequest>,
    ) -> Result<Response<v1::CancelJobResponse>, Status> {
        let typed = request.into_inner().job_id;
        let id = self.find(&typed).await?;
        match self
            .jobs
            .cancel(&id)
            .await
            .map_err(|e| unavailable("read the job", &e))?
        {
            Some(state) => Ok(Response::new(v1::CancelJobResponse {
                state: v1::JobState::from(state).into(),
            })),
            None => Err(no_such_job(&typed)),
        }
    }

    async fn explain(
        &self,
        request: Request<v1::ExplainRequest>,
    ) -> Result<Response<v1::ExplainResponse>, Status> {
        let request = request.into_inner();
        let (project, selected) = checked(request.files, request.vars_json, request.select, vec![])
            .await
            .map_err(codec::status_of)?;
        let (lake, cluster) = (self.lake.clone(), Arc::clone(&self.cluster));
        // Planning many models takes longer than a thread of the server should be held.
        let runtime = tokio::runtime::Handle::current();
        let explain =
            move || runtime.block_on(explain::models(&project, &selected, &lake, &cluster));
        let models = tokio::task::spawn_blocking(explain)
            .await
            .unwrap_or_else(|e| Err(defect(&e)));
        let models = models.map_err(codec::status_of)?;
        let models = models.into_iter().map(v1::ModelExplanation::from).collect();
        Ok(Response::new(v1::ExplainResponse { models }))
    }
}

/// Reads, renders and orders a project, and picks the models. All of it before anything is stored.
async fn checked(
    files: Vec<v1::ProjectFile>,
    vars_json: String,
    select: Vec<String>,
    exclude: Vec<String>,
) -> Result<(Arc<Project>, Vec<ModelName>), Failure> {
    let check = move || {
        let project = retail_project::load(&project_files(files), &vars(&vars_json)?)?;
        let selected = select::select(&project, &select, &exclude)?;
        if selected.is_empty() {
            return Err(Failure::new(
                FailureKind::Project,
                format!("project {} has no models", project.name),
            ));
        }
        Ok((Arc::new(project), selected))
    };
    // Rendering a large project takes longer than a thread of the server should be held.
    tokio::task::spawn_blocking(check)
        .await
        .unwrap_or_else(|e| Err(defect(&e)))
}

/// A project's files as they came.
fn project_files(files: Vec<v1::ProjectFile>) -> Vec<ProjectFile> {
    let file = |v1::ProjectFile { path, content }| ProjectFile { path, content };
    files.into_iter().map(file).collect()
}

fn defect(error: &tokio::task::JoinError) -> Failure {
    Failure::new(
        FailureKind::Internal,
        "the project's check ended in a defect",
    )
    .note("the scheduler's log has the place; please report it")
    .caused_by(error)
}

fn vars(json: &str) -> Result<serde_json::Map<String, serde_json::Value>, Failure> {
    if json.trim().is_empty() {
        return Ok(serde_json::Map::new());
    }
    serde_json::from_str(json).map_err(|e| {
        Failure::new(FailureKind::Project, "the vars are not one JSON object")
            .cause(e.to_string())
            .note(r#"write them as --vars '{"day": 2}' or --vars day=2"#)
    })
}

fn ambiguous(typed: &str, jobs: &[JobId]) -> Failure {
    let shorts: Vec<&str> = jobs.iter().map(JobId::short).collect();
    Failure::new(
        FailureKind::Project,
        format!("the ids of several jobs begin with {typed}"),
    )
    .cause(shorts.join(", "))
    .note("give more of the id; retail-submit jobs lists them")
}

fn no_such_job(id: &str) -> Status {
    Status::not_found(format!("no job {id}; retail-submit jobs lists them"))
}
