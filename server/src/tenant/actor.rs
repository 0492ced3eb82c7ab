//! The actor that sequences and commits one tenant's commands, and the supervisor of all of them.
//!
//! While one group of commands is being made durable, the next is computed on top of it; so every
//! group that forms meanwhile costs one sync. Computing and syncing run on threads for blocking work, large commands
//! on a pool in the background, nothing on an async worker.
//!
//! Invariant: an answer is sent after the sync of its group returned and the state is published.
//! An actor that fails is started again from what the ledger holds; no other tenant notices.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use protocol::branches::Branches;
use protocol::error::SqlError;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use storage::{LedgerWriter, StorageError};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::error::sql_of_storage;
use crate::limits::{BACKGROUND_APPEND_BYTES, RESTARTS_MAX};
use crate::tenant::OpenTenant;
use crate::tenant::command::Job;
use crate::tenant::store::{Group, Opened};
use protocol::pools::{Pool, in_background, panic_text};

/// What a tenant's actor is told.
pub enum TenantMessage {
    /// Commands wait in the queue.
    Work,
    /// Read the ledger again, after a failure.
    Reopen,
}

/// Sequences and commits the commands of one tenant.
pub struct TenantActor {
    tenant: Arc<OpenTenant>,
}

/// How far the commands are.
#[derive(Default)]
pub struct TenantState {
    writer: Option<LedgerWriter>,
    /// The branches on which the next command is computed; ahead of what is published while a
    /// group is being made durable.
    candidate: Branches,
    in_flight: Option<InFlight>,
}

/// A group that is being made durable.
type InFlight = JoinHandle<Result<Settled, Box<Panicked>>>;

/// The ledger after a group was made durable; the error says why it was not.
struct Settled {
    writer: LedgerWriter,
    done: Result<(), SqlError>,
}

/// A group of which nobody knows whether it is durable. Who asked learns it when the actor does, so that what comes
/// next waits for the ledger to be read again.
struct Panicked {
    _group: Group,
    text: String,
}

impl Actor for TenantActor {
    type Msg = TenantMessage;
    type State = TenantState;
    type Arguments = Option<Opened>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        opened: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let mut state = TenantState::default();
        match opened {
            Some(opened) => state.adopt(&self.tenant, opened),
            // Reading takes long; whoever starts this actor must not wait for it.
            None => myself.cast(TenantMessage::Reopen)?,
        }
        Ok(state)
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let TenantMessage::Reopen = message {
            self.reopen(state).await?;
        }
        self.work(state).await
    }
}

impl TenantActor {
    async fn reopen(&self, state: &mut TenantState) -> Result<(), ActorProcessingErr> {
        let device = Arc::clone(&self.tenant.device);
        let reading = Pool::Background.run(move || Opened::read(device));
        match reading.await.map_err(panic_text)? {
            Ok(opened) => state.adopt(&self.tenant, opened),
            Err(error) => {
                tracing::error!(tenant = self.tenant.name, %error, "cannot read the ledger again");
                self.tenant.refuse_writes(&error.to_sql());
            }
        }
        Ok(())
    }

    /// Computes what waits and makes it durable, until nothing waits.
    async fn work(&self, state: &mut TenantState) -> Result<(), ActorProcessingErr> {
        if state.writer.is_none() {
            return Ok(());
        }
        loop {
            let jobs = self.tenant.queue.take_group();
            if jobs.is_empty() {
                if state.in_flight.is_none() {
                    return Ok(());
                }
                // Refused commands were answered on the way.
                let _ = state.settle(&self.tenant).await?;
                continue;
            }
            let (engine, branches) = (self.tenant.engine, state.candidate.clone());
            let is_slow = jobs.iter().any(|job| job.task.pool() == Pool::Background);
            // it is there as long as nothing is being made durable
            if !is_slow && let Some(writer) = state.writer.take() {
                self.compute_and_append(state, writer, jobs).await?;
                continue;
            }
            let pool = if is_slow { Pool::Background } else { Pool::Prompt };
            let computed = pool.run(move || engine.compute(&branches, jobs)).await;
            // Settled first in any case: two writers must never be at one ledger.
            let settled = state.settle(&self.tenant).await?;
            let (group, left) = computed.map_err(panic_text)?;
            self.tenant.queue.put_back(left);
            match settled {
                Ok(()) => state.begin(&self.tenant, group),
                // It was computed on commands that did not become durable.
                Err(error) => group.refuse(&error),
            }
        }
    }
}

impl TenantActor {
    /// Computes commands and makes them durable on one thread, where nothing is being made durable: whoever is
    /// alone waits for few threads to wake up.
    async fn compute_and_append(
        &self,
        state: &mut TenantState,
        writer: LedgerWriter,
        jobs: Vec<Job>,
    ) -> Result<(), ActorProcessingErr> {
        let (tenant, branches) = (Arc::clone(&self.tenant), state.candidate.clone());
        let (sender, computed) = oneshot::channel();
        let in_flight = tokio::task::spawn_blocking(move || {
            let (group, left) = tenant.engine.compute(&branches, jobs);
            // the next commands are computed meanwhile
            let _ = sender.send((group.after.clone(), left));
            make_durable(&tenant, writer, group)
        });
        state.in_flight = Some(in_flight);
        // where it panicked, whoever waits for it learns why
        if let Ok((after, left)) = computed.await {
            self.tenant.queue.put_back(left);
            state.candidate = after;
        }
        Ok(())
    }
}

/// Makes a group durable, publishes its state and answers.
fn make_durable(
    tenant: &OpenTenant,
    mut writer: LedgerWriter,
    mut group: Group,
) -> Result<Settled, Box<Panicked>> {
    let made = catch_unwind(AssertUnwindSafe(|| {
        let ids = writer.append_batch(&std::mem::take(&mut group.records))?;
        if let Some(last) = ids.last() {
            let sequence = group.after.sequence;
            assert_eq!(last.sequence.0, sequence, "sequences are known before the write");
            tenant.publish(group.after.clone(), std::mem::take(&mut group.entries));
        }
        Ok(())
    }));
    let done = match made {
        Ok(made) => made.map_err(|error: StorageError| {
            tracing::error!(tenant = tenant.name, %error, "commands did not become durable");
            sql_of_storage(&error)
        }),
        Err(panic) => return Err(Box::new(Panicked { _group: group, text: panic_text(panic) })),
    };
    match &done {
        Ok(()) => group.answer(),
        Err(error) => group.refuse(error),
    }
    Ok(Settled { writer, done })
}

impl TenantState {
    /// Takes a ledger over and publishes its state.
    fn adopt(&mut self, tenant: &OpenTenant, opened: Opened) {
        self.candidate = opened.replay.branches.clone();
        tenant.publish(self.candidate.clone(), opened.replay.entries);
        self.writer = Some(opened.writer);
    }

    /// Starts to make a group durable.
    fn begin(&mut self, tenant: &Arc<OpenTenant>, group: Group) {
        if group.records.is_empty() {
            group.answer();
            return;
        }
        let Some(writer) = self.writer.take() else {
            group.refuse(&sql_of_storage(&StorageError::Poisoned));
            return;
        };
        self.candidate = group.after.clone();
        let size_bytes: usize = group.records.iter().map(|record| record.payload.len()).sum();
        let tenant = Arc::clone(tenant);
        let append = move || make_durable(&tenant, writer, group);
        self.in_flight = Some(tokio::task::spawn_blocking(move || match size_bytes {
            ..BACKGROUND_APPEND_BYTES => append(),
            _ => in_background(append),
        }));
    }

    /// Waits for the group that is being made durable. The inner error says why it did not become durable.
    async fn settle(
        &mut self,
        tenant: &OpenTenant,
    ) -> Result<Result<(), SqlError>, ActorProcessingErr> {
        let Some(in_flight) = self.in_flight.take() else {
            return Ok(Ok(()));
        };
        let Settled { writer, done } = in_flight.await?.map_err(|panicked| panicked.text)?;
        self.writer = Some(writer);
        if done.is_err() {
            self.candidate = tenant.branches().as_ref().clone();
        }
        Ok(done)
    }
}

/// What the supervisor is told.
pub enum SupervisorMessage {
    /// Start the actor of a tenant on its ledger, and answer when it takes commands.
    Start(Box<(Arc<OpenTenant>, Opened)>, RpcReplyPort<Result<(), String>>),
}

/// Starts the actors of tenants, and those that fail again.
pub struct Supervisor;

/// The tenants by the id of their actor, with the number of restarts so far.
pub type Supervised = HashMap<ActorId, (Arc<OpenTenant>, u32)>;

impl Actor for Supervisor {
    type Msg = SupervisorMessage;
    type State = Supervised;
    type Arguments = ();

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        (): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(HashMap::new())
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let SupervisorMessage::Start(start, reply) = message;
        let (tenant, opened) = *start;
        let started = spawn(&myself, tenant, Some(opened), 0, state).await;
        // Whoever asked may have gone away.
        let _ = reply.send(started);
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let (id, error) = match event {
            SupervisionEvent::ActorFailed(actor, error) => (actor.get_id(), error),
            SupervisionEvent::ActorTerminated(actor, ..) => {
                state.remove(&actor.get_id());
                return Ok(());
            }
            _ => return Ok(()),
        };
        let Some((tenant, restarts)) = state.remove(&id) else { return Ok(()) };
        tracing::error!(tenant = tenant.name, %error, restarts, "a tenant's actor failed");
        if restarts >= RESTARTS_MAX {
            tenant.refuse_writes(&failed_for_good());
            return Ok(());
        }
        if let Err(error) = spawn(&myself, Arc::clone(&tenant), None, restarts + 1, state).await {
            tracing::error!(tenant = tenant.name, error, "a tenant's actor cannot be restarted");
            tenant.refuse_writes(&failed_for_good());
        }
        Ok(())
    }
}

async fn spawn(
    supervisor: &ActorRef<SupervisorMessage>,
    tenant: Arc<OpenTenant>,
    opened: Option<Opened>,
    restarts: u32,
    state: &mut Supervised,
) -> Result<(), String> {
    let actor = TenantActor { tenant: Arc::clone(&tenant) };
    let spawned = TenantActor::spawn_linked(None, actor, opened, supervisor.get_cell()).await;
    let (actor, _) = spawned.map_err(|error| error.to_string())?;
    state.insert(actor.get_id(), (Arc::clone(&tenant), restarts));
    tenant.set_actor(actor);
    Ok(())
}

fn failed_for_good() -> SqlError {
    SqlError::new("58030", "the tenant takes no more writes: it failed too often")
        .with_hint("reads go on; see the server's log and restart it")
}
