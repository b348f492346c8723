//! Operations that check and tell, and change nothing: `$validate` and `$schema`.

use actix_web::HttpRequest;
use actix_web::web::Payload;

use super::{Front, body, form, overloaded};
use crate::bars::outcome;
use crate::bars::search::Params;
use crate::intake::examine::Question;
use crate::intake::{self, Caller, Reply};
use crate::issue::{CLIENT_UNKNOWN, Issue, Issues, RESOURCE_UNKNOWN};
use crate::profile::schema;

impl Front {
    /// `POST /$validate` and `POST /{type}/$validate`: all problems, with status 200 whatever they are.
    pub(super) async fn validate(
        &self,
        request: &HttpRequest,
        payload: Payload,
        caller: Option<&Caller>,
        mut issues: Issues,
        kind: &str,
    ) -> Reply {
        let Some(caller) = caller else { return intake::refusal(&Issue::new(&CLIENT_UNKNOWN, "").into(), "Onward") };
        let body = match body::read(request, payload, &self.limits).await {
            Ok(body) => body,
            Err(issue) => return intake::refusal(&issue.into(), "Onward"),
        };
        form::agrees(request, &body).err().into_iter().for_each(|issue| issues.push(issue));
        if issues.has_errors() {
            return intake::refusal(&issues, "Onward");
        }
        let Ok(_pass) = self.turn(Some(caller)).await else { return overloaded() };
        let params = Params::read(request.query_string());
        let question = Question {
            kind: kind.to_owned(),
            mode: params.first("mode").map(str::to_owned),
            profiles: params.all("profile").into_iter().map(str::to_owned).collect(),
        };
        match self.intake.examine(caller, question, &body) {
            Ok(found) => Reply { status: 200, body: outcome::findings(&found) },
            Err(issues) => intake::refusal(&issues, "Onward"),
        }
    }

    /// `GET /StructureDefinition/{id}/$schema`
    pub(super) fn schema(&self, id: &str) -> Result<Vec<u8>, Issues> {
        let library = self.intake.library();
        let found = schema::by_id(library.whole(), id).and_then(|it| schema::of(library.whole(), it));
        match found {
            Some(schema) => Ok(schema.to_string().into_bytes()),
            None => Err(Issue::new(&RESOURCE_UNKNOWN, "http.path").into()),
        }
    }
}
