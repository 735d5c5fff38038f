//! Asks the ladder's questions, each wave chosen by what the last one showed.
//!
//! Nobody is waited for in vain: a question that takes longer than others took is reason enough to ask the next, and
//! goes on waiting meanwhile. Only the full patience makes a silence of it.

mod budget;
mod left_out;
mod more;
mod open;
mod patience;
mod spending;
mod turn;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddrV4;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use checks::next::{self, Choice, Stand};
use checks::{Purpose, Rung, Service};
use model::probe::{Holders, ProbeResult, SideEcho, SizesTried, Traced};
use model::snapshot::Gap;
use probe::as_instance::Asks;
use probe::dns;

use self::budget::Budget;
use self::more::Counted;
pub(crate) use self::more::MORE_TIMES;
pub(crate) use self::open::Open;
use self::patience::patience;
pub(crate) use self::turn::Turn;
use self::turn::turn;
use crate::gather::Facts;
use crate::probes::{self, Beside, Came, Job, Probe, Unasked, Unsent};
use crate::progress;

/// How much longer than the slowest answer so far is late, and between which bounds.
const LATE_TIMES: u32 = 4;
const LATE_MIN: Duration = Duration::from_millis(100);
const LATE_MAX: Duration = Duration::from_secs(1);
/// Jobs under way at the same time.
const AT_ONCE_MAX: usize = 32;

/// A question of the ladder, and the packets that ask it.
pub(crate) struct Question<'a> {
    pub(crate) rung: Rung,
    /// It is asked of itself; else only to part another's silence.
    pub(crate) is_own: bool,
    pub(crate) probes: Vec<Probe<'a>>,
    /// What is asked once the client's name was told without delay: see [`Talk::ask_then`].
    pub(crate) then: Vec<Probe<'a>>,
    /// The same again, many times, where some of them are lost; each time by a number of its own, so that no packet can
    /// be taken for one of another time.
    pub(crate) more: Vec<Probe<'a>>,
    /// What may be asked of its way once it is silent.
    pub(crate) beside: Option<Beside<'a>>,
}

/// What came of them all.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) results: Vec<ProbeResult>,
    pub(crate) turns: Vec<Turn>,
    /// What was possible when nothing more was asked; `None` where nothing was asked at all.
    pub(crate) left: Option<Vec<Open>>,
    /// Where several answered for one address.
    pub(crate) holders: Vec<Holders>,
    /// Which machines beyond the site silent questions pass.
    pub(crate) traces: Vec<Traced>,
    /// Which sizes live where a large packet was lost.
    pub(crate) sizes: Vec<SizesTried>,
    /// Each packet of both.
    pub(crate) sides: Vec<SideEcho>,
    /// What became of what others are known by, each time that frames were sent as an instance.
    pub(crate) others: BTreeSet<String>,
    /// Something that the ladder asks of itself was not asked, or not waited for, for the time was up.
    pub(crate) is_out_of_time: bool,
}

/// What a job tells of.
enum Event<'p, 'a> {
    /// The probe with this number was answered; its result will come.
    Answered(u16),
    /// The probe with this number would go on with so many packets more.
    Wants(u16, u32, Sender<bool>),
    Ended(Job<'p, 'a>, Result<Came, Unsent>),
}

/// Asks until nothing more can be learned, or the time is up. What could not be asked becomes a gap. `beside` is how
/// many packets are sent for each instance by others.
pub(crate) fn ask(questions: &[Question], facts: &mut Facts, timeout: Duration, beside: u32) -> Answers {
    let _progress = progress::start("waiting for answers");
    let deadline = Instant::now() + timeout;
    let mut talk = Talk::new(questions, beside, patience(timeout));
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        talk.choose_for_all();
        loop {
            while talk.under_way < AT_ONCE_MAX
                && let Some(job) = talk.waiting.pop_front()
            {
                let Some(patience) = talk.time_for(&job, deadline) else { continue };
                let Some(job) = talk.afforded(job) else { continue };
                talk.begin(&job);
                let tell = tell.clone();
                scope.spawn(move || {
                    let answered = |number| drop(tell.send(Event::Answered(number)));
                    let afforded = |number, packets| {
                        let (told, heard) = mpsc::channel();
                        drop(tell.send(Event::Wants(number, packets, told)));
                        heard.recv().unwrap_or(false)
                    };
                    let ran = AssertUnwindSafe(|| probes::run(&job, &patience, answered, afforded));
                    let (came, panic) = match panic::catch_unwind(ran) {
                        Ok(came) => (came, None),
                        Err(panic) => (Ok(Came::default()), Some(panic)),
                    };
                    // Told in any case, for the loop waits for it; the scope tells of the panic.
                    drop(tell.send(Event::Ended(job, came)));
                    panic.map(|panic| panic::resume_unwind(panic))
                });
            }
            if talk.under_way == 0 {
                break;
            }
            match told.recv_timeout(talk.until_next(Instant::now())) {
                Ok(Event::Answered(number)) => talk.answered(number),
                Ok(Event::Wants(number, packets, told)) => drop(told.send(talk.spends(number, packets))),
                Ok(Event::Ended(job, came)) => talk.ended(&job, came),
                Err(RecvTimeoutError::Timeout) => {
                    talk.note_late(Instant::now());
                    talk.ask_more_of_silent(Instant::now());
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    });
    talk.answers.left = (!talk.answers.turns.is_empty()).then(|| talk.left());
    facts.snapshot.gaps.extend(talk.gaps);
    facts.snapshot.gaps.extend(talk.unasked.into_iter().map(Unasked::gap));
    talk.answers
}

struct Talk<'q, 'a> {
    questions: &'q [Question<'a>],
    /// The questions of one instance, by which the next is chosen.
    groups: BTreeMap<usize, Vec<usize>>,
    stands: Vec<Stand>,
    /// A question's place among the turns.
    turn_of: Vec<Option<usize>>,
    asked_at: Vec<Option<Instant>>,
    /// Numbers of a question's probes that are not answered yet.
    open: Vec<Vec<u16>>,
    /// A question's jobs that have not ended.
    jobs: Vec<usize>,
    /// Which question a probe belongs to, by its number.
    owner: BTreeMap<u16, usize>,
    waves: BTreeMap<usize, usize>,
    /// The same of all of a question's probes, those beyond the first included.
    any_owner: BTreeMap<u16, usize>,
    /// How often many more were asked of some question of an instance.
    counted: BTreeMap<usize, Counted>,
    budget: Budget,
    waiting: VecDeque<Job<'q, 'a>>,
    /// Those that wait for what others may give back of the budget.
    held: Vec<Job<'q, 'a>>,
    /// What probes under way, that were answered at once, have given back already.
    spared: BTreeMap<u16, u32>,
    under_way: usize,
    /// Probes that are not waited for as long as they should be.
    cut: BTreeSet<u16>,
    slowest: Duration,
    /// How long an answer is waited for.
    patience: Duration,
    answers: Answers,
    gaps: Vec<Gap>,
    unasked: Vec<Unasked>,
}

impl<'q, 'a> Talk<'q, 'a> {
    fn new(questions: &'q [Question<'a>], beside: u32, patience: Duration) -> Talk<'q, 'a> {
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut owner = BTreeMap::new();
        let mut any_owner = BTreeMap::new();
        for (at, question) in questions.iter().enumerate().filter(|(_, question)| !question.probes.is_empty())
        {
            groups.entry(question.rung.instance).or_default().push(at);
            let all = || question.probes.iter().chain(&question.then);
            owner.extend(all().map(|probe| (probe.id, at)));
            any_owner.extend(all().chain(&question.more).map(|probe| (probe.id, at)));
        }
        Talk {
            questions,
            groups,
            stands: vec![Stand::NotAsked; questions.len()],
            turn_of: vec![None; questions.len()],
            asked_at: vec![None; questions.len()],
            open: questions.iter().map(|one| one.probes.iter().map(|probe| probe.id).collect()).collect(),
            jobs: vec![0; questions.len()],
            owner,
            waves: BTreeMap::new(),
            any_owner,
            counted: BTreeMap::new(),
            budget: Budget::new(beside),
            waiting: VecDeque::new(),
            held: Vec::new(),
            spared: BTreeMap::new(),
            under_way: 0,
            cut: BTreeSet::new(),
            slowest: Duration::ZERO,
            patience,
            answers: Answers::default(),
            gaps: Vec::new(),
            unasked: Vec::new(),
        }
    }

    fn choose_for_all(&mut self) {
        let instances: Vec<usize> = self.groups.keys().copied().collect();
        let chosen: Vec<usize> = instances.iter().flat_map(|instance| self.choose(*instance)).collect();
        self.line_up(&chosen);
    }

    /// The questions of an instance that are to be asked now.
    fn choose(&mut self, instance: usize) -> Vec<usize> {
        let of_it = self.groups.get(&instance).cloned().unwrap_or_default();
        let candidates = self.candidates(&of_it);
        let chosen = next::next(&candidates);
        if chosen.is_empty() {
            return Vec::new();
        }
        let left = next::left(&candidates);
        let wave = self.waves.entry(instance).or_default();
        *wave += 1;
        let wave = *wave;
        let mut asked = Vec::new();
        for Choice { candidate, after, why } in chosen {
            let Some((at, question)) =
                of_it.get(candidate).and_then(|at| Some((*at, self.questions.get(*at)?)))
            else {
                continue;
            };
            let possible = left.iter().find(|left| Some(left.candidate) == after);
            let possible = possible.map(|left| left.places.clone()).unwrap_or_default();
            let after = after.and_then(|after| *self.turn_of.get(*of_it.get(after)?)?);
            self.take_turn(at, turn(wave, after, question, (why, possible)));
            self.set(at, Stand::Asked);
            asked.push(at);
        }
        asked
    }

    fn line_up(&mut self, chosen: &[usize]) {
        let questions = chosen.iter().filter_map(|at| self.questions.get(*at));
        self.line_up_jobs(probes::jobs(questions.flat_map(|question| &question.probes)));
    }

    fn line_up_jobs(&mut self, jobs: Vec<Job<'q, 'a>>) {
        for job in jobs {
            for at in self.of_job(&job) {
                self.jobs.get_mut(at).into_iter().for_each(|jobs| *jobs += 1);
            }
            self.waiting.push_back(job);
        }
    }

    fn begin(&mut self, job: &Job<'_, '_>) {
        self.under_way += 1;
        for at in self.of_job(job) {
            if let Some(asked_at) = self.asked_at.get_mut(at) {
                asked_at.get_or_insert(Instant::now());
            }
        }
    }

    fn of_job(&self, job: &Job<'_, '_>) -> Vec<usize> {
        let mut of_it: Vec<usize> =
            job.probes().iter().filter_map(|probe| self.owner.get(&probe.id).copied()).collect();
        of_it.dedup();
        of_it
    }

    /// The instance that a job burdens: the one that it is about, also where hosts ask in its interest; of several
    /// questions all are of one.
    fn instance_of(&self, job: &Job<'_, '_>) -> Option<usize> {
        self.instance_of_probe(job.about()?.id)
    }

    fn instance_of_probe(&self, number: u16) -> Option<usize> {
        Some(self.questions.get(*self.any_owner.get(&number)?)?.rung.instance)
    }

    /// Asks what waits for the client's name to be told, by the probe of this number. Who takes his time for that would
    /// take it again, and all together would take longer than anybody waits; that it is late is told anyway.
    fn ask_then(&mut self, at: usize, number: u16) {
        let Some(question) = self.questions.get(at) else { return };
        let is_of_client = |probe: &&Probe| matches!(probe.asks, Asks::Name(dns::Question::NameOf(_)));
        let is_told = question.probes.iter().filter(is_of_client).any(|probe| probe.id == number);
        let is_soon = self.asked_at.get(at).copied().flatten().is_some_and(|at| at.elapsed() < LATE_MAX);
        if is_told && is_soon {
            self.line_up_jobs(probes::jobs(question.then.iter()));
        }
    }

    fn set(&mut self, at: usize, stand: Stand) {
        if let Some(known) = self.stands.get_mut(at) {
            *known = stand;
        }
    }

    /// A question is answered when all of its probes are.
    fn answered(&mut self, number: u16) {
        let Some(at) = self.owner.get(&number).copied() else { return };
        self.spare(at, number);
        self.ask_then(at, number);
        let Some(open) = self.open.get_mut(at) else { return };
        open.retain(|id| *id != number);
        if !open.is_empty() {
            return;
        }
        if let Some(asked_at) = self.asked_at.get(at).copied().flatten() {
            self.slowest = self.slowest.max(asked_at.elapsed());
        }
        self.set(at, Stand::Answered);
        self.go_on(&[at]);
    }

    fn ended(&mut self, job: &Job<'_, '_>, came: Result<Came, Unsent>) {
        self.under_way -= 1;
        self.waiting.extend(self.held.drain(..));
        let mut following = Vec::new();
        let stand = match came {
            Ok(came) => {
                let (Came { results, gaps, holders, traces, sizes, sides, others, packets }, silence) =
                    self.waited_for(job, came);
                self.settle(job, packets);
                following = results.iter().flat_map(|came| self.following(job, came)).collect();
                self.answers.holders.extend(holders);
                self.answers.traces.extend(traces);
                self.answers.sizes.extend(sizes);
                self.answers.sides.extend(sides);
                self.answers.others.extend(others);
                self.ask_more(job, &results);
                results.into_iter().for_each(|came| more::add(&mut self.answers.results, came));
                self.gaps.extend(gaps);
                silence
            }
            Err(unsent) => {
                self.settle(job, 0);
                Unasked::note(&mut self.unasked, job, unsent);
                Stand::Unsent
            }
        };
        let of_it = self.of_job(job);
        for at in &of_it {
            self.jobs.get_mut(*at).into_iter().for_each(|jobs| *jobs = jobs.saturating_sub(1));
            let is_over = self.jobs.get(*at) == Some(&0);
            if is_over && self.open.get(*at).is_some_and(|open| !open.is_empty()) {
                self.set(*at, stand);
            }
        }
        self.follow(&following, &of_it);
        self.go_on(&of_it);
    }

    /// Questions, not asked so far, which this result is reason to ask: of the same instance, or of all whose packets
    /// pass the host that asked for all of them.
    fn following(&self, job: &Job<'_, '_>, came: &ProbeResult) -> Vec<(usize, &'static str)> {
        let rung = |at: usize| self.questions.get(at).map(|question| &question.rung);
        let own: BTreeSet<usize> =
            self.of_job(job).into_iter().filter_map(|at| Some(rung(at)?.instance)).collect();
        let is_open = |at: &usize| self.stands.get(*at) == Some(&Stand::NotAsked);
        let why = |at: usize| {
            let other = rung(at)?;
            let why = next::follows(came, other)?;
            let mut group = self.groups.get(&other.instance)?.iter().filter(|at| !is_open(at));
            let is_meant = if let Purpose::UpstreamBy(..) = other.purpose {
                !group.any(|at| rung(*at).is_some_and(|known| next::is_same_by_another(known, other)))
            } else {
                own.contains(&other.instance)
            };
            is_meant.then_some((at, why))
        };
        self.groups.values().flatten().copied().filter(is_open).filter_map(why).collect()
    }

    /// The question is asked now.
    fn take_turn(&mut self, at: usize, turn: Turn) {
        self.turn_of.get_mut(at).into_iter().for_each(|own| *own = Some(self.answers.turns.len()));
        self.answers.turns.push(turn);
    }

    /// Asks these, each once, behind the one of this job that was answered too briefly.
    fn follow(&mut self, questions: &[(usize, &'static str)], job: &[usize]) {
        let chosen: BTreeMap<usize, &str> = questions.iter().copied().collect();
        let all = self.questions;
        let purpose = |at: &usize| all.get(*at).map(|question| question.rung.purpose);
        let mut asked = Vec::new();
        for (at, why) in chosen {
            let before = match purpose(&at) {
                Some(Purpose::MetadataAtHome(_)) => Purpose::Metadata,
                Some(Purpose::UpstreamBy(server, Service::Udp(port) | Service::Tcp(port))) => {
                    Purpose::Upstream(SocketAddrV4::new(server, port))
                }
                Some(_) | None => Purpose::Resolver,
            };
            let is_too_brief = |at: &&usize| purpose(at) == Some(before);
            let after = job.iter().find(is_too_brief).and_then(|at| *self.turn_of.get(*at)?);
            let Some(question) = self.questions.get(at) else { continue };
            let wave = self.waves.entry(question.rung.instance).or_default();
            *wave += 1;
            let wave = *wave;
            self.take_turn(at, turn(wave, after, question, (why.to_owned(), Vec::new())));
            self.set(at, Stand::Asked);
            asked.push(at);
        }
        self.line_up(&asked);
    }

    /// Asks what follows, where an answer to one of these questions is missing or tells more of another that is.
    fn go_on(&mut self, changed: &[usize]) {
        let mut instances: Vec<usize> =
            changed.iter().filter_map(|at| Some(self.questions.get(*at)?.rung.instance)).collect();
        instances.dedup();
        let is_missing = |at: &usize| matches!(self.stands.get(*at), Some(Stand::Late | Stand::Silent));
        let is_opened = |at: &usize| {
            self.stands.get(*at) == Some(&Stand::NotAsked)
                && self.questions.get(*at).is_some_and(|other| self.opens(changed, other))
        };
        instances.retain(|instance| {
            let mut of_it = self.groups.get(instance).into_iter().flatten();
            of_it.any(|at| is_missing(at) || is_opened(at))
        });
        let chosen: Vec<usize> = instances.iter().flat_map(|instance| self.choose(*instance)).collect();
        self.line_up(&chosen);
    }

    /// The answer to one of these questions makes that one worth asking, or it waits for all of them.
    fn opens(&self, changed: &[usize], other: &Question) -> bool {
        let answered = changed.iter().filter(|at| self.stands.get(**at) == Some(&Stand::Answered));
        let mut rungs = answered.filter_map(|at| Some(&self.questions.get(*at)?.rung));
        other.rung.purpose.comes_last() || rungs.any(|rung| next::opens(rung, &other.rung))
    }

    fn late_after(&self) -> Duration {
        (self.slowest * LATE_TIMES).clamp(LATE_MIN, LATE_MAX)
    }

    /// How long until a question that is under way is late, or silent for so long that more of it is worth asking; as
    /// long as patience lasts where neither is to come.
    fn until_next(&self, now: Instant) -> Duration {
        let late = self.late_after();
        let under_way = self.stands.iter().zip(&self.asked_at).filter(|(stand, _)| **stand == Stand::Asked);
        let until = under_way.filter_map(|(_, at)| Some((*at)? + late)).chain(self.next_more()).min();
        until.map_or(self.patience, |until| until.saturating_duration_since(now))
    }

    fn note_late(&mut self, now: Instant) {
        let late = self.late_after();
        let is_late = |at: &usize| {
            let asked_at = self.asked_at.get(*at).copied().flatten();
            self.stands.get(*at) == Some(&Stand::Asked) && asked_at.is_some_and(|at| at + late <= now)
        };
        let late: Vec<usize> = (0..self.questions.len()).filter(is_late).collect();
        late.iter().for_each(|at| self.set(*at, Stand::Late));
        self.go_on(&late);
    }
}
