//! What each maker's connector believes of its protocol, as it goes over the wire.

use crate::desk::stage::{MARKER, OURS, Stage, desk, file, theirs, ticket};
use offboard_sim::face::DeskFace;

/// The lines of a ticket, as they were asked for; ids left out.
async fn asked(maker: DeskFace) -> Vec<String> {
    let s = Stage::kind(maker).await;
    s.desk().put(4710, theirs(OURS, "Printer"));
    let connector = s.open();
    let psa = desk(connector.as_ref());
    psa.marked(&mut s.reading(), MARKER).await.unwrap();
    let id = psa.open(&mut s.writing(), &ticket()).await.unwrap().unwrap();
    psa.ticket(&mut s.reading(), &id).await.unwrap();
    psa.noted(&mut s.reading(), &id, "[x]").await.unwrap();
    psa.note(&mut s.writing(), &id, "n").await.unwrap();
    psa.files(&mut s.reading(), &id).await.unwrap();
    psa.attach(&mut s.writing(), &id, &file(b"{}")).await.unwrap();
    psa.close(&mut s.writing(), &id).await.unwrap();
    let asked = s.desk().asked.clone();
    asked.into_iter().map(|line| line.replace(&id.0, "ID")).collect()
}

/// The paths of tickets and actions, and their parameters, are in the vendor's
/// description; that files are at `/Attachment` is believed.
#[tokio::test]
async fn halopsa_is_believed_to_be_asked_so() {
    assert_eq!(
        asked(DeskFace::Halo).await,
        [
            "GET /api/Tickets?pageinate=true&page_size=50&page_no=1&client_id=12&includeclosed=true&search=OB-c-00112233445566778899",
            "POST /api/Tickets",
            "GET /api/Tickets/ID?includedetails=true",
            "GET /api/Actions?ticket_id=ID&count=1000&excludesys=true&includehtmlnote=true",
            "POST /api/Actions",
            "GET /api/Attachment?ticket_id=ID&count=1000",
            "POST /api/Attachment",
            "POST /api/Tickets",
        ]
    );
}

/// That notes are below the ticket, and that a status is changed with a patch, is
/// believed; how a document is sent is known.
#[tokio::test]
async fn connectwise_is_believed_to_be_asked_so() {
    const TICKETS: &str = "/v4_6_release/apis/3.0/service/tickets";
    const DOCUMENTS: &str = "/v4_6_release/apis/3.0/system/documents";
    let wanted = "conditions=summary%20contains%20%22OB-c-00112233445566778899%22%20and%20company%2Fid%3D12";
    assert_eq!(
        asked(DeskFace::ConnectWise).await,
        [
            format!("GET {TICKETS}?{wanted}&orderBy=id%20asc&pageSize=1000"),
            format!("POST {TICKETS}"),
            format!("GET {TICKETS}/ID"),
            format!("GET {TICKETS}/ID/notes?pageSize=1000"),
            format!("POST {TICKETS}/ID/notes"),
            format!("GET {DOCUMENTS}?recordType=Ticket&recordId=ID&pageSize=1000"),
            format!("POST {DOCUMENTS}"),
            format!("PATCH {TICKETS}/ID"),
        ]
    );
}

/// That a query is sent so, and that a file is found by its `parentID`, is
/// believed; what is created where is known. The zone is asked for once.
#[tokio::test]
async fn autotask_is_believed_to_be_asked_so() {
    const V1: &str = "/ATServicesRest/V1.0";
    assert_eq!(
        asked(DeskFace::Autotask).await,
        [
            format!("POST {V1}/Tickets/query"),
            format!("POST {V1}/Tickets"),
            format!("GET {V1}/Tickets/ID"),
            format!("POST {V1}/TicketNotes/query"),
            format!("POST {V1}/Tickets/ID/Notes"),
            format!("POST {V1}/TicketAttachments/query"),
            format!("POST {V1}/Tickets/ID/Attachments"),
            format!("PATCH {V1}/Tickets"),
        ]
    );
}

#[tokio::test]
async fn an_immediate_departure_s_ticket_is_urgent_where_that_is_set_up() {
    for maker in crate::desk::stage::MAKERS.iter().copied() {
        let s = Stage::kind(maker).await;
        let connector = s.open();
        let urgent = s.opened(connector.as_ref()).await;
        let mut planned = ticket();
        planned.urgent = false;
        let psa = desk(connector.as_ref());
        let planned = psa.open(&mut s.writing(), &planned).await.unwrap().unwrap();
        let desk = s.desk();
        let of = |id: &offboard_domain::ObjectId| desk.tickets()[&id.0.parse().unwrap()].priority;
        assert_eq!((of(&urgent), of(&planned)), (Some(1), Some(3)), "{maker:?}");
    }
}
