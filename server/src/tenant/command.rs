//! A command on its way: waiting, computed, durable, answered.

use std::collections::VecDeque;
use std::mem::size_of;
use std::sync::{Mutex, PoisonError};

use cube::Change;
use cube::change::{DatedValue, MemberWrite, SourceRun};
use cube::value::KeyPart;
use protocol::error::SqlError;
use protocol::tenant::{Command, NewBranch, OldBranch, Receipt};
use tokio::sync::oneshot;

use crate::limits::{
    GROUP_COMMANDS_MAX, PROMPT_COMMAND_BYTES_MAX, QUEUE_BYTES_MAX, QUEUE_COMMANDS_MAX,
};
use protocol::pools::Pool;

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It was made for a head that is not the head any more.
    Moved,
    /// Anything else.
    Error(SqlError),
}

impl From<SqlError> for Refusal {
    fn from(error: SqlError) -> Self {
        Self::Error(error)
    }
}

/// What a command's author learns in the end.
pub type Answer = Result<Receipt, Refusal>;

/// What a tenant's actor is asked for.
#[derive(Debug)]
pub enum Task {
    /// Changes of a branch.
    Change(Command),
    /// A branch more.
    CreateBranch(NewBranch),
    /// A branch less.
    DropBranch(OldBranch),
}

impl Task {
    /// About how much memory it holds.
    fn estimated_bytes(&self) -> usize {
        match self {
            Self::Change(command) => estimated_bytes(&command.changes),
            Self::CreateBranch(_) | Self::DropBranch(_) => size_of::<Self>(),
        }
    }

    /// Where it is computed: cells that somebody typed at once, what a file or a rule brings in the background.
    pub fn pool(&self) -> Pool {
        let is_prompt = match self {
            Self::Change(command) => {
                let is_model = |change: &Change| matches!(change, Change::Model(_));
                self.estimated_bytes() <= PROMPT_COMMAND_BYTES_MAX
                    && !command.changes.iter().any(is_model)
            }
            Self::CreateBranch(_) | Self::DropBranch(_) => true,
        };
        if is_prompt { Pool::Prompt } else { Pool::Background }
    }
}

/// A task that waits.
pub struct Job {
    /// What is asked for.
    pub task: Task,
    /// The sequence that the branch's head must have, where a command depends on all of it.
    pub expected: Option<u64>,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Answer>,
}

/// The commands of one tenant that wait, within limits.
#[derive(Default)]
pub struct Queue {
    state: Mutex<QueueState>,
}

#[derive(Default)]
struct QueueState {
    jobs: VecDeque<Job>,
    size_bytes: usize,
    closed: Option<SqlError>,
}

impl Queue {
    /// Adds a command, or says why it cannot wait here.
    pub fn push(&self, job: Job) -> Result<(), SqlError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reason) = &state.closed {
            return Err(reason.clone());
        }
        let size_bytes = job.task.estimated_bytes();
        let is_full = state.jobs.len() >= QUEUE_COMMANDS_MAX
            || (!state.jobs.is_empty() && state.size_bytes + size_bytes > QUEUE_BYTES_MAX);
        if is_full {
            return Err(SqlError::new("53300", "too many commands are waiting")
                .with_detail(format!(
                    "{} commands of about {} bytes wait for this tenant",
                    state.jobs.len(),
                    state.size_bytes
                ))
                .with_hint("try again later, or put more changes into one command"));
        }
        state.size_bytes += size_bytes;
        state.jobs.push_back(job);
        Ok(())
    }

    /// The next commands, at most a group.
    pub fn take_group(&self) -> Vec<Job> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let count = state.jobs.len().min(GROUP_COMMANDS_MAX);
        let group: Vec<Job> = state.jobs.drain(..count).collect();
        let taken: usize = group.iter().map(|job| job.task.estimated_bytes()).sum();
        state.size_bytes -= taken;
        group
    }

    /// Puts commands back to where they were taken from.
    pub fn put_back(&self, jobs: Vec<Job>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for job in jobs.into_iter().rev() {
            state.size_bytes += job.task.estimated_bytes();
            state.jobs.push_front(job);
        }
    }

    /// Takes no more commands, for a reason; those that wait stay.
    pub fn close(&self, reason: SqlError) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed.get_or_insert(reason);
    }

    /// Refuses all commands that wait.
    pub fn refuse_waiting(&self, reason: &SqlError) {
        let jobs = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.size_bytes = 0;
            std::mem::take(&mut state.jobs)
        };
        for job in jobs {
            // An author who went away needs no answer.
            let _ = job.reply.send(Err(Refusal::Error(reason.clone())));
        }
    }
}

/// About how much memory some changes hold.
fn estimated_bytes(changes: &[Change]) -> usize {
    let size = |change: &Change| match change {
        Change::Rows(write) => {
            write.values.size_bytes()
                + write.coordinates.len() * size_of::<cube::MemberId>()
                + write.keys.len() * size_of::<KeyPart>()
        }
        // Keys, names and attributes are short texts.
        Change::Members(write) => write.members.len() * 2 * size_of::<MemberWrite>(),
        Change::Dated(write) => write.values.len() * 2 * size_of::<DatedValue>(),
        Change::Model(_) => 1024,
        Change::Source(note) => note.runs.len() * size_of::<SourceRun>(),
        Change::Texts(texts) => {
            texts.iter().map(|text| text.len() + size_of::<std::sync::Arc<str>>()).sum()
        }
    };
    changes.iter().map(|change| size_of::<Change>() + size(change)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> (Job, oneshot::Receiver<Answer>) {
        let (reply, receiver) = oneshot::channel();
        let command = Command {
            author: "ana".into(),
            origin: "test".into(),
            reason: String::new(),
            branch: "main".into(),
            branch_number: None,
            changes: Vec::new(),
            base: None,
        };
        (Job { task: Task::Change(command), expected: None, reply }, receiver)
    }

    #[test]
    fn a_full_queue_refuses_and_goes_on_once_taken_from() {
        let queue = Queue::default();
        let mut waiting = Vec::new();
        for _ in 0..QUEUE_COMMANDS_MAX {
            let (job, receiver) = job();
            queue.push(job).unwrap();
            waiting.push(receiver);
        }
        assert_eq!(queue.push(job().0).unwrap_err().sqlstate, "53300");
        assert_eq!(queue.take_group().len(), GROUP_COMMANDS_MAX);
        queue.push(job().0).unwrap();
    }

    #[test]
    fn a_closed_queue_says_why_and_keeps_what_waits() {
        let queue = Queue::default();
        let (waiting, mut receiver) = job();
        queue.push(waiting).unwrap();
        queue.close(SqlError::new("57P03", "closing"));
        assert_eq!(queue.push(job().0).unwrap_err().sqlstate, "57P03");
        assert!(receiver.try_recv().is_err());
        queue.refuse_waiting(&SqlError::new("57P03", "closed"));
        assert!(matches!(receiver.try_recv(), Ok(Err(Refusal::Error(_)))));
    }
}
