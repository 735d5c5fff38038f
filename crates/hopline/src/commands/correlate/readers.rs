//! Files are read and dissected by two threads, a few batches ahead of the join.

use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;

use model::sighting::Sighting;

use super::source::Source;
use crate::failure::Failure;

/// The join is a third thread, and no more of them would have work.
const THREADS: usize = 2;
/// Batches of a source that may wait for the join.
const WAITING_MAX: usize = 4;
/// Batches of each source that are read before anything is joined.
pub(super) const LOOK_AHEAD: usize = 8;

/// A source with the batch that was read of it.
type Read = (usize, Source, Vec<Sighting>);

/// All sources, wherever each is just now: with a thread, or at rest.
pub(super) struct Readers {
    jobs: Sender<(usize, Source)>,
    done: Receiver<Read>,
    lines: Vec<Line>,
}

/// A source as the join sees it.
struct Line {
    waiting: VecDeque<Vec<Sighting>>,
    at_rest: Option<Source>,
    names: Vec<String>,
    is_over: bool,
}

impl Readers {
    /// Starts the threads; they end when the readers are dropped.
    pub(super) fn start(sources: Vec<Source>) -> Readers {
        let (jobs, queue) = mpsc::channel::<(usize, Source)>();
        let (results, done) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..THREADS {
            let (queue, results) = (Arc::clone(&queue), results.clone());
            thread::spawn(move || work(&queue, &results));
        }
        let mut lines = Vec::new();
        for (index, source) in sources.into_iter().enumerate() {
            // Where no thread is left to take it, `next` says so.
            let _ = jobs.send((index, source));
            lines.push(Line { waiting: VecDeque::new(), at_rest: None, names: Vec::new(), is_over: false });
        }
        Readers { jobs, done, lines }
    }

    /// The next batch of a source, empty at its end.
    pub(super) fn next(&mut self, source: usize) -> Result<Vec<Sighting>, Failure> {
        loop {
            let Some(line) = self.lines.get_mut(source) else { return Ok(Vec::new()) };
            if let Some(batch) = line.waiting.pop_front() {
                if let Some(resting) = line.at_rest.take_if(|_| !line.is_over) {
                    let _ = self.jobs.send((source, resting));
                }
                return Ok(batch);
            }
            if line.is_over {
                return Ok(Vec::new());
            }
            self.receive()?;
        }
    }

    fn receive(&mut self) -> Result<(), Failure> {
        let failed = |_| Failure::new("a thread that reads captures has ended; this is an error in hopline");
        let (index, source, batch) = self.done.recv().map_err(failed)?;
        let Some(line) = self.lines.get_mut(index) else { return Ok(()) };
        if line.names.len() < source.names().len() {
            line.names = source.names().to_vec();
        }
        line.is_over = batch.is_empty();
        if !line.is_over {
            line.waiting.push_back(batch);
        }
        if line.is_over || line.waiting.len() >= WAITING_MAX {
            line.at_rest = Some(source);
        } else {
            let _ = self.jobs.send((index, source));
        }
        Ok(())
    }

    /// What a vantage of a source is called.
    pub(super) fn name(&self, source: usize, local: u16) -> String {
        let name = self.lines.get(source).and_then(|line| line.names.get(usize::from(local)));
        name.cloned().unwrap_or_default()
    }

    /// The sources, read to their ends.
    pub(super) fn finish(self) -> Vec<Source> {
        self.lines.into_iter().filter_map(|line| line.at_rest).collect()
    }
}

fn work(queue: &Mutex<Receiver<(usize, Source)>>, results: &Sender<Read>) {
    loop {
        let job = queue.lock().ok().and_then(|queue| queue.recv().ok());
        let Some((index, mut source)) = job else { return };
        let batch = source.batch();
        if results.send((index, source, batch)).is_err() {
            return;
        }
    }
}
