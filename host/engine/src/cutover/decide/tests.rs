//! Which cutovers are tried, and that each of them comes to an end: without a store, against a second statement of the
//! rule.

use kennel_core::checkpoint::Checkpoint;
use kennel_core::digest::Digest;
use kennel_core::random::Generator;
use kennel_test_support::samples;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const CANDIDATE: DeploymentId = DeploymentId::new(2);

fn progress(role: Role, position: u64) -> ProjectionProgress {
    let number = if role == Role::Serving { 1 } else { 2 };
    ProjectionProgress {
        deployment: samples::deployment("ledger", number, Digest::of(&[1])),
        role,
        activity: Activity::Running,
        promotion: Promotion::Auto,
        fenced: false,
        from: Position::START,
        age: Duration::ZERO,
        state: ProjectionState::Running,
        last_failure: None,
        checkpoints: vec![Checkpoint { position: Position::new(position), ..Checkpoint::INITIAL }],
        dead_letters: 0,
        conditions: Vec::new(),
    }
}

/// A serving deployment and a candidate at these positions.
fn pair(serving: u64, candidate: u64) -> [ProjectionProgress; 2] {
    [progress(Role::Serving, serving), progress(Role::Candidate, candidate)]
}

fn is_due(candidates: &Candidates, progress: &[ProjectionProgress], end: u64, now: Instant) -> bool {
    let due = candidates.due(progress, Some(Position::new(end)), now);
    assert!(due.iter().all(|due| due.candidate.id == CANDIDATE));
    !due.is_empty()
}

#[test]
fn a_candidate_is_due_if_it_is_near_may_be_promoted_and_runs() {
    let (mut random, now, mut due) = (Generator::new(1), Instant::now(), 0);
    for _ in 0..20_000 {
        let slack = limits::CUTOVER_SLACK_POSITIONS;
        let [serving, candidate, end] = [(); 3].map(|()| 10 * slack - random.below(2 * slack));
        let mut both = pair(serving, candidate);
        let halted = random.below(3) == 0;
        let waits = random.below(4) == 0;
        let paused = random.below(4) == 0;
        if halted {
            both[1].state = ProjectionState::Halted;
        }
        if waits {
            both[1].promotion = Promotion::Manual;
        }
        if paused {
            both[1].activity = Activity::Paused;
        }
        let near = candidate + slack >= serving && candidate + slack >= end;
        let is_kept_back = waits || paused || (halted && candidate < serving);
        let expected = near && !is_kept_back;
        assert_eq!(is_due(&Candidates::default(), &both, end, now), expected, "{both:?} {end}");
        assert_eq!(Candidates::default().due(&both, None, now), [], "the end of the log is not known");
        assert_eq!(
            Candidates::default().due(&both[1..], Some(Position::new(end)), now),
            [],
            "nothing serves"
        );
        due += u32::from(expected);
    }
    assert!((2_000..18_000).contains(&due), "{due}");
}

/// Also if it is far behind by now, or halted: the process that fenced it may have died.
#[test]
fn a_fence_of_others_is_always_seen_to() {
    let (mut candidates, now) = (Candidates::default(), Instant::now());
    let mut both = pair(1_000_000, 5);
    both[0].fenced = true;
    both[1].state = ProjectionState::Halted;
    candidates.observe(&both, now);
    assert!(is_due(&candidates, &both, 2_000_000, now));
    // A process that rests leaves it to the others for longer than any fence lasts.
    for seconds in [0, 30, 60] {
        candidates.leave_alone(CANDIDATE, now + SECOND * seconds);
    }
    let at = |seconds: u32| now + SECOND * seconds;
    assert!(![10, 1].into_iter().any(|seconds| is_due(&candidates, &both, 2_000_000, at(seconds))));
    assert!(is_due(&candidates, &both, 2_000_000, at(11)));
    // The next fence is another.
    both[0].fenced = false;
    candidates.observe(&both, at(12));
    assert!(!is_due(&candidates, &both, 2_000_000, at(12)));
    both[0].fenced = true;
    candidates.observe(&both, at(13));
    assert!(!is_due(&candidates, &both, 2_000_000, at(20)) && is_due(&candidates, &both, 2_000_000, at(24)));
}

#[test]
fn a_candidate_is_left_alone_for_longer_each_time_until_it_is_gone() {
    let (mut candidates, both, mut now) = (Candidates::default(), pair(5, 5), Instant::now());
    let mut pauses = Vec::new();
    for _ in 0..6 {
        candidates.observe(&both, now);
        assert!(is_due(&candidates, &both, 5, now));
        candidates.leave_alone(CANDIDATE, now);
        let pause = (0..).find(|seconds| is_due(&candidates, &both, 5, now + SECOND * *seconds)).unwrap();
        pauses.push(pause);
        now += SECOND * pause;
    }
    assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
    candidates.leave_alone(CANDIDATE, now);
    candidates.observe(&both[..1], now);
    assert!(is_due(&candidates, &both, 5, now), "another candidate has not been tried");
}

#[test]
fn a_read_model_that_cannot_be_fenced_is_not_waited_for() {
    assert_eq!(after_begin(CutoverOutcome::Behind(7), true), Step::End(Attempt::Behind));
    assert!(matches!(after_begin(CutoverOutcome::Busy, false), Step::End(Attempt::Blocked(_))));
    for (outcome, fenced) in
        [(CutoverOutcome::Busy, true), (CutoverOutcome::Done, false), (CutoverOutcome::Nothing, false)]
    {
        assert_eq!(after_begin(outcome, fenced), Step::Complete, "{outcome:?}");
    }
}

/// Whatever the store answers: a serving read model that was fenced is released, promoted from, or left to another
/// process that did either.
#[test]
fn every_cutover_ends_and_none_lasts_longer_than_a_fence_may() {
    let mut ends = BTreeMap::new();
    for seed in 0..3_000 {
        let mut random = Generator::new(seed);
        let (mut step, mut fenced) = (after_begin(CutoverOutcome::Done, false), Duration::ZERO);
        let mut last = String::new();
        let calm = random.below(200) + 1;
        let end = loop {
            step = match step {
                Step::Complete => after_try(&match random.below(calm) {
                    0 if random.below(2) == 0 => Ok(CutoverOutcome::Done),
                    0 if random.below(2) == 0 => Ok(CutoverOutcome::Nothing),
                    0 => Err(StoreError::Failed { doing: "x".to_owned(), source: "y".into() }),
                    1 => Err(StoreError::Unavailable { doing: "x".to_owned(), source: "away".into() }),
                    2..20 => Ok(CutoverOutcome::Busy),
                    more => Ok(CutoverOutcome::Behind(more)),
                }),
                Step::Wait(pause, reason) => {
                    assert!(!pause.is_zero() && pause <= TRY_BUSY_EVERY);
                    fenced += pause;
                    last.clone_from(&reason);
                    after_wait(fenced, reason)
                }
                Step::Abort(reason) => {
                    assert!(fenced < FENCED_MAX || reason == last, "the reason is that of the last try");
                    break "aborted";
                }
                Step::End(Attempt::Over) => break "over",
                Step::End(Attempt::InVain) => break "in vain",
                Step::End(other) => panic!("after a begin only: {other:?}"),
            };
        };
        assert!(fenced < FENCED_MAX + TRY_BUSY_EVERY, "seed {seed}: {fenced:?}");
        *ends.entry(end).or_insert(0) += 1;
    }
    assert!(ends.len() == 3 && ends.values().all(|times| *times > 300), "{ends:?}");
}
