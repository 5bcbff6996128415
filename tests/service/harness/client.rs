//! A caller of the service.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::{Answer, Submission, text};

/// How long a small attack may take on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// Speaks to one service, with a key or without. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    key: Option<String>,
}

impl Client {
    pub(super) fn new() -> Result<Self> {
        // a proxy of the environment has no business on the loopback
        segprobe::tls::install();
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        Ok(Self { http, base: String::new(), key: None })
    }

    pub(super) fn at(&self, base: &str) -> Self {
        Self { base: base.into(), ..self.clone() }
    }

    /// The same with another key.
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: Some(key.into()), ..self.clone() }
    }

    /// The same without a key.
    pub fn without_key(&self) -> Self {
        Self { key: None, ..self.clone() }
    }

    /// `127.0.0.1:PORT`.
    pub fn authority(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// A request to be completed and sent.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// A GET request to be sent.
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// A POST request to be completed and sent.
    pub fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    /// A DELETE request to be sent.
    pub fn delete(&self, path: &str) -> RequestBuilder {
        self.request(Method::DELETE, path)
    }

    /// `POST /attacks` as a form, to be sent.
    pub fn attack(&self, submission: &Submission) -> RequestBuilder {
        self.post("/attacks").multipart(submission.form())
    }

    /// `POST /attacks` as JSON, to be sent.
    pub fn attack_as_json(&self, submission: &Submission) -> RequestBuilder {
        self.post("/attacks").json(&submission.json())
    }

    /// What a GET answers with status 200.
    pub async fn get_json(&self, path: &str) -> Result<Value> {
        Answer::to(self.get(path)).await?.with_status(200)?.json()
    }

    /// The bytes of an artifact.
    pub async fn artifact(&self, id: &str, name: &str) -> Result<Vec<u8>> {
        let answer = Answer::to(self.get(&format!("/attacks/{id}/artifacts/{name}"))).await?;
        Ok(answer.with_status(200)?.body.to_vec())
    }

    /// Submits and answers the job's id.
    pub async fn submit(&self, submission: &Submission) -> Result<String> {
        let accepted = Answer::to(self.attack(submission)).await?.with_status(202)?.json()?;
        Ok(text(&accepted, "id").to_owned())
    }

    /// Submits and waits for the end, which must be a success.
    pub async fn succeed(&self, submission: &Submission) -> Result<Value> {
        let id = self.submit(submission).await?;
        self.succeeded(&id).await
    }

    /// Waits for the end of a job, which must be a success.
    pub async fn succeeded(&self, id: &str) -> Result<Value> {
        let ended = self.ended(id).await?;
        ensure!(ended["state"] == "succeeded", "{ended}");
        Ok(ended)
    }

    /// The job as it stands.
    pub async fn job(&self, id: &str) -> Result<Value> {
        self.get_json(&format!("/attacks/{id}")).await
    }

    /// Waits for the end of a job.
    pub async fn ended(&self, id: &str) -> Result<Value> {
        self.job_when(id, |job| ["succeeded", "failed", "cancelled"].contains(&text(job, "state"))).await
    }

    /// Waits until a job runs and has made a few steps.
    pub async fn running(&self, id: &str) -> Result<Value> {
        self.job_when(id, |job| job["state"] == "running" && job["progress"]["step"].as_u64() > Some(2)).await
    }

    /// Asks a job to stop and waits until it has.
    pub async fn cancelled(&self, id: &str) -> Result<Value> {
        let asked = Answer::to(self.post(&format!("/attacks/{id}/cancel"))).await?;
        ensure!([200, 202].contains(&asked.status), "{asked:?}");
        let ended = self.ended(id).await?;
        ensure!(ended["state"] == "cancelled", "{ended}");
        Ok(ended)
    }

    async fn job_when(&self, id: &str, condition: impl Fn(&Value) -> bool) -> Result<Value> {
        let began = Instant::now();
        loop {
            let job = self.job(id).await?;
            if condition(&job) {
                return Ok(job);
            }
            ensure!(began.elapsed() < PATIENCE, "waited too long: {job}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
