//! The law of a projection's life: after any commands and steps of hosts it does what a naive model does, and
//! a list of laws holds. How it speaks to people is in `words`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod laws;
mod naive;
mod stage;
mod words;

use kennel_core::lifecycle::{
    Activity, Command, Decision, Lifecycle, Outcome, Switch, complete, freeze, thaw,
};
use proptest::prelude::*;

use laws::Laws;
use naive::Naive;
use stage::{Step, apply, carry_out, projection, request, steps};

/// What a step did, in the words of the naive model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// With the deployment that it was about.
    Changed(Option<u32>),
    Same(Option<u32>),
    Declined(&'static str),
}

/// Carries out a step of a host, if it is due.
fn host_step(lifecycle: &mut Lifecycle, law: fn(&Lifecycle) -> Option<Decision>) -> Answer {
    match law(lifecycle) {
        None => Answer::Same(None),
        Some(decision) => {
            *lifecycle = apply(lifecycle, &decision);
            Answer::Changed(decision.about)
        }
    }
}

fn take(lifecycle: &mut Lifecycle, step: &Step) -> Answer {
    match step {
        Step::Freeze => host_step(lifecycle, freeze),
        Step::Thaw => host_step(lifecycle, thaw),
        Step::Complete => host_step(lifecycle, complete),
        Step::Command(command, missed) => {
            let request = request(command.clone(), lifecycle, *missed);
            carry_out(lifecycle, &request)
        }
    }
}

/// A command of somebody who does not care what others do.
fn order(lifecycle: &mut Lifecycle, command: Command) -> Answer {
    let request = request(command, lifecycle, None);
    carry_out(lifecycle, &request)
}

/// Whatever is being built takes its place.
fn switch(lifecycle: &mut Lifecycle) {
    if lifecycle.candidate().is_some() {
        order(lifecycle, Command::Switch);
        if freeze(lifecycle).is_some() {
            assert_eq!(host_step(lifecycle, freeze), Answer::Changed(None));
        }
        assert_eq!(host_step(lifecycle, complete), Answer::Changed(None));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_life_follows_the_model_and_the_laws(steps in steps()) {
        let mut lifecycle = Lifecycle::unborn(projection());
        let mut naive = Naive::default();
        let mut laws = Laws::default();
        for step in &steps {
            let before = lifecycle.clone();
            let answer = take(&mut lifecycle, step);
            let expected = naive.take(step);
            prop_assert_eq!(&answer, &expected, "{:?} after {:#?}", step, before);
            laws.check(&before, step, &answer, &lifecycle);
            naive.compare(&lifecycle);
        }
    }

    /// From wherever one is, going back twice leads there again.
    #[test]
    fn rolling_back_twice_changes_nothing_in_the_end(steps in steps()) {
        let mut lifecycle = Lifecycle::unborn(projection());
        for step in &steps {
            take(&mut lifecycle, step);
        }
        if lifecycle.activity == Activity::Paused {
            order(&mut lifecycle, Command::Resume);
        }
        switch(&mut lifecycle);
        let back = Command::Rollback { to: None };
        let before = lifecycle.live().map(|live| live.deployment.clone());
        let (latest, kept) = (lifecycle.latest(), lifecycle.read_models.clone());
        let once = order(&mut lifecycle, back.clone());
        // Not by itself: who gives an order twice does not want the opposite.
        if matches!(once, Answer::Declined(_)) {
            return Ok(());
        }
        switch(&mut lifecycle);
        prop_assert_eq!(order(&mut lifecycle, back), Answer::Declined("rolled back"));
        let to = lifecycle.previous().map(|previous| previous.deployment.number);
        let again = order(&mut lifecycle, Command::Rollback { to });
        prop_assert_eq!(again, Answer::Changed(Some(latest + 2)));
        switch(&mut lifecycle);
        let (before, after) = (before.unwrap(), lifecycle.live().unwrap().deployment.clone());
        prop_assert_eq!(
            (before.digest, before.descriptor, before.settings, before.read_model),
            (after.digest, after.descriptor, after.settings, after.read_model)
        );
        prop_assert_eq!((lifecycle.latest(), lifecycle.read_models), (latest + 2, kept));
    }
}

/// What served until a switch is held afterwards, so that `rollback` finds it; what served before that is not.
#[test]
fn the_last_that_served_is_kept_for_a_rollback() {
    use kennel_core::lifecycle::Standing;
    let mut lifecycle = Lifecycle::unborn(projection());
    let mut served = Vec::new();
    for code in 0..4 {
        let deploy = stage::rebuild(code, Switch::Auto);
        assert_eq!(order(&mut lifecycle, deploy), Answer::Changed(Some(u32::from(code) + 1)));
        switch(&mut lifecycle);
        served.push(lifecycle.live().unwrap().deployment.read_model);
        let standings: Vec<Standing> = served.iter().rev().map(|id| lifecycle.standing(*id)).collect();
        let expected = [Standing::Open, Standing::Held, Standing::Condemned, Standing::Condemned];
        assert_eq!(standings, expected[..served.len()]);
    }
    order(&mut lifecycle, Command::Rollback { to: None });
    let candidate = lifecycle.candidate().unwrap();
    assert_eq!((candidate.deployment.read_model, candidate.outcome), (served[2], Outcome::Building));
    assert_eq!(lifecycle.standing(served[2]), Standing::Open);
}
