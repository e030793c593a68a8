//! The Flight port: Ballista's service for shuffle files and results, for tickets that name files in the work folder only.
//!
//! Ballista joins a ticket's job id to the work folder as a path. One with `..` or a leading slash would read whatever
//! file of that name lies elsewhere, another executor's among them.

use arrow_flight::flight_service_server::FlightService;
use arrow_flight::{
    Action, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, PollInfo,
    SchemaResult, Ticket,
};
use ballista_core::JobId;
use ballista_core::serde::decode_protobuf;
use ballista_core::serde::scheduler::Action as Fetch;
use ballista_executor::flight_service::BallistaFlightService;
use tonic::{Request, Response, Status, Streaming};

/// Longest id of a query that Ballista gives out, with room.
const JOB_ID_MAX: usize = 64;

/// Whether an id of a query names a folder in the work folder, and no path.
pub(crate) fn is_name(id: &JobId) -> bool {
    let id = id.as_str();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !id.is_empty() && id.len() <= JOB_ID_MAX && id.chars().all(is_plain)
}

/// Refuses a ticket that does not decode, or whose id is no name.
fn check(ticket: &[u8]) -> Result<(), Status> {
    let Ok(Fetch::FetchPartition { job_id, .. }) = decode_protobuf(ticket) else {
        return Err(Status::invalid_argument("this is no ticket of a shuffle"));
    };
    match is_name(&job_id) {
        true => Ok(()),
        false => Err(Status::invalid_argument(
            "the ticket's query id is no name: letters, digits, - and _",
        )),
    }
}

/// Ballista's service behind that check.
pub(crate) struct ShuffleFlight {
    ballista: BallistaFlightService,
}

impl ShuffleFlight {
    /// Serves the files in `work_dir`.
    pub(crate) fn new(work_dir: String) -> Self {
        Self {
            ballista: BallistaFlightService::new(work_dir),
        }
    }
}

type Ballista = BallistaFlightService;

#[tonic::async_trait]
impl FlightService for ShuffleFlight {
    type DoActionStream = <Ballista as FlightService>::DoActionStream;
    type DoExchangeStream = <Ballista as FlightService>::DoExchangeStream;
    type DoGetStream = <Ballista as FlightService>::DoGetStream;
    type DoPutStream = <Ballista as FlightService>::DoPutStream;
    type HandshakeStream = <Ballista as FlightService>::HandshakeStream;
    type ListActionsStream = <Ballista as FlightService>::ListActionsStream;
    type ListFlightsStream = <Ballista as FlightService>::ListFlightsStream;

    async fn do_get(
        &self,
        request: Request<Ticket>,
    ) -> Result<Response<Self::DoGetStream>, Status> {
        check(&request.get_ref().ticket)?;
        self.ballista.do_get(request).await
    }

    async fn do_action(
        &self,
        request: Request<Action>,
    ) -> Result<Response<Self::DoActionStream>, Status> {
        // The one action that there is takes a ticket, and Ballista refuses every other by its name.
        if request.get_ref().r#type == "IO_BLOCK_TRANSPORT" {
            check(&request.get_ref().body)?;
        }
        self.ballista.do_action(request).await
    }

    async fn get_schema(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<SchemaResult>, Status> {
        self.ballista.get_schema(request).await
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.ballista.get_flight_info(request).await
    }

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        self.ballista.handshake(request).await
    }

    async fn list_flights(
        &self,
        request: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        self.ballista.list_flights(request).await
    }

    /// Ballista reads all that is sent before it refuses.
    async fn do_put(
        &self,
        _: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        Err(Status::unimplemented("do_put"))
    }

    async fn list_actions(
        &self,
        request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        self.ballista.list_actions(request).await
    }

    async fn do_exchange(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        self.ballista.do_exchange(request).await
    }

    async fn poll_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        self.ballista.poll_flight_info(request).await
    }
}

#[cfg(test)]
mod tests {
    use ballista_core::serde::protobuf;
    use prost::Message;

    use super::*;

    fn ticket(job_id: &str) -> Vec<u8> {
        let fetch = protobuf::FetchPartition {
            job_id: job_id.to_owned(),
            file_id: Some(0),
            ..Default::default()
        };
        let action_type = Some(protobuf::action::ActionType::FetchPartition(fetch));
        protobuf::Action {
            action_type,
            settings: vec![],
        }
        .encode_to_vec()
    }

    #[tokio::test]
    async fn a_ticket_reads_no_file_outside_of_the_work_folder() {
        let shared = tempfile::tempdir().unwrap();
        let own = shared.path().join("own");
        let other = shared.path().join("other/query/0/0");
        for folder in [&own.join("query/0/0"), &other] {
            std::fs::create_dir_all(folder).unwrap();
            std::fs::write(folder.join("data-0.arrow"), b"rows").unwrap();
        }
        let flight = ShuffleFlight::new(own.display().to_string());
        let absolute = shared.path().join("other/query").display().to_string();
        for path in [
            "../other/query",
            &absolute,
            "query/../../other/query",
            "..",
            ".",
            "",
        ] {
            let get = flight.do_get(Request::new(Ticket::new(ticket(path)))).await;
            assert!(
                get.is_err_and(|status| status.message().contains("no name")),
                "{path}"
            );
            let action = Action::new("IO_BLOCK_TRANSPORT", ticket(path));
            let action = flight.do_action(Request::new(action)).await;
            assert!(
                action.is_err_and(|status| status.message().contains("no name")),
                "{path}"
            );
        }
        let action = Action::new("IO_BLOCK_TRANSPORT", ticket("query"));
        assert!(flight.do_action(Request::new(action)).await.is_ok());
        let nonsense = Ticket::new(vec![0xff; 40]);
        let get = flight.do_get(Request::new(nonsense)).await;
        assert!(get.is_err_and(|status| status.message().contains("no ticket")));
    }

    #[test]
    fn ids_as_ballista_gives_them_out_are_names() {
        for id in ["hX3kQ9z", "018f3c5e-7b2a-7c31-9d5e-0123456789ab", "job_1"] {
            assert!(is_name(&id.to_owned().into()), "{id}");
        }
        assert!(!is_name(&"a".repeat(65).into()));
    }
}
