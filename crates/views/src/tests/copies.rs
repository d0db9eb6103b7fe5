//! Copies of optimistic databases that come and go.

use super::*;

const N5: NodeId = NodeId(5);
/// As [`crate::monitor::REPLACED_AFTER`], in milliseconds.
const LONG: u64 = 3_000;

/// An optimistic database with copies on these nodes, and spares.
fn scene(copies: &[NodeId], registered: &[NodeId]) -> Scene {
    let mut scene = Scene::empty(1);
    registered.iter().for_each(|node| scene.apply(&register(*node)));
    let last = *registered.last().expect("there are some");
    scene.apply(&create(G1, 1, &[last]));
    let database = Database { kind: Kind::Optimistic, ..create_database_of("carts:16") };
    let (members, primary, boot) = (members(copies), copies[0], BootNumber(1));
    let copies = copies.len() as u32;
    scene.apply(&Command::CreateDatabase { group: G2, database, copies, members, primary, boot });
    registered.iter().for_each(|node| scene.ping(*node));
    scene
}

fn create_database_of(text: &str) -> Database {
    text.parse().expect("it is one")
}

fn recruit(expected: u64, node: NodeId) -> Command {
    Command::AddLearner { group: G2, expected: ViewNumber(expected), learner: member(node) }
}

fn retire(expected: u64, node: NodeId, reason: Reason) -> Command {
    Command::RetireCopy { group: G2, expected: ViewNumber(expected), node, reason }
}

fn let_go(expected: u64, node: NodeId, boot: u64) -> Command {
    Command::LetCopyGo { group: G2, expected: ViewNumber(expected), node, boot: BootNumber(boot) }
}

impl Scene {
    /// What is to be done next is done; what that was.
    fn does(&mut self) -> Vec<Command> {
        // What was proposed is over by then.
        self.wait(300);
        let nodes: Vec<NodeId> = self.table.nodes().keys().copied().collect();
        nodes.into_iter().for_each(|node| self.ping(node));
        let commands = self.decide();
        commands.iter().for_each(|command| self.apply(command));
        commands
    }

    fn says_filled(&mut self, from: NodeId, view: u64) -> Option<Command> {
        let (now, learner) = (self.now, member(from));
        self.monitor.certified(now, &self.table, from, G2, ViewNumber(view), learner)
    }

    fn says_handed_on(&mut self, from: NodeId, view: u64) -> Option<Command> {
        let now = self.now;
        self.monitor.handed_on(now, &self.table, from, (G2, ViewNumber(view)), BootNumber(1))
    }

    fn holders(&self) -> Vec<NodeId> {
        self.table.groups()[&G2].view.replicas().map(|replica| replica.node).collect()
    }
}

#[test]
fn a_copy_is_filled_elsewhere_before_the_one_that_is_drained_is_to_go() {
    let mut scene = scene(&[N1, N2], &[N1, N2, N3]);
    assert_eq!(scene.does(), []);
    scene.apply(&Command::SetDrained { node: N1, drained: true });
    assert!(scene.does().contains(&recruit(1, N3)));
    assert_eq!(scene.table.copy_number(G2, N3), Some(scene.table.version()), "of the copy, not of its node");
    assert_eq!(scene.does(), [], "it has nothing yet");
    assert_eq!(scene.says_filled(N3, 1), None, "that was another view");
    let filled = scene.says_filled(N3, 2).expect("it is asked for");
    scene.apply(&filled);
    assert!(scene.does().contains(&retire(3, N1, Reason::Drained)));
    assert!(scene.table.is_leaving(G2, N1));
    assert_eq!(scene.table.groups()[&G2].view.primary, N2, "one that stays is asked first");
    assert_eq!(scene.does(), [], "it has what others lack, for all that is known");
    assert!(scene.table.apply(&Command::ForgetNode { node: N1 }, Rules::default()).is_err());
    assert_eq!(scene.says_handed_on(N2, 4), None, "it is not to go");
    let gone = scene.says_handed_on(N1, 4).expect("it is asked for");
    assert_eq!(gone, let_go(4, N1, 1));
    scene.apply(&gone);
    assert_eq!(scene.holders(), [N2, N3]);
}

#[test]
fn what_a_copy_has_handed_on_is_no_word_of_its_next_start() {
    let mut scene = scene(&[N1, N2], &[N1, N2]);
    scene.apply(&Command::SetCopies { group: G2, copies: 1 });
    assert_eq!(scene.does(), [retire(1, N2, Reason::Surplus)]);
    let again = Registration { boot: BootNumber(2), ..registration(N2) };
    scene.apply(&Command::RegisterNode { node: N2, registration: again });
    let refused = scene.table.apply(&let_go(2, N2, 1), Rules::default());
    assert!(matches!(refused, Err(Rejection::NotAllowed(_))), "{refused:?}");
    scene.apply(&let_go(2, N2, 2));
    assert_eq!(scene.holders(), [N1]);
}

#[test]
fn a_copy_that_comes_back_to_its_node_has_another_number() {
    let mut scene = scene(&[N1, N2], &[N1, N2]);
    let first = scene.table.copy_number(G2, N2);
    assert_eq!(first, scene.table.life_since(N2), "of the founders it is that of the life");
    scene.apply(&Command::SetCopies { group: G2, copies: 1 });
    scene.does();
    scene.apply(&let_go(2, N2, 1));
    scene.apply(&Command::SetCopies { group: G2, copies: 2 });
    assert_eq!(scene.does(), [recruit(3, N2)]);
    assert!(scene.table.copy_number(G2, N2) > first);
}

#[test]
fn a_silent_copy_is_not_replaced_and_an_operator_may_give_it_up() {
    let mut scene = scene(&[N1, N2, N3], &[N1, N2, N3, N5]);
    for _ in 0..2 * LONG / 100 {
        [N1, N2, N5].into_iter().for_each(|node| scene.ping(node));
        scene.wait(100);
    }
    assert_eq!(scene.decide(), []);
    scene.apply(&Command::GiveUpNode { node: N3 });
    assert!(!scene.table.nodes().contains_key(&N3));
    assert_eq!(scene.does(), [recruit(2, N5)]);
    // The last copy is not given up by the way.
    scene.apply(&Command::GiveUpNode { node: N2 });
    let before = scene.table.clone();
    assert!(scene.table.apply(&Command::GiveUpNode { node: N1 }, Rules::default()).is_err());
    assert_eq!(scene.table, before);
}

#[test]
fn a_copy_that_was_to_go_stays_if_it_is_needed() {
    let mut scene = scene(&[N1, N2], &[N1, N2]);
    scene.apply(&Command::SetCopies { group: G2, copies: 1 });
    scene.does();
    scene.apply(&Command::SetCopies { group: G2, copies: 2 });
    let keep = Command::KeepCopy { group: G2, expected: ViewNumber(2), node: N2 };
    assert_eq!(scene.does(), [keep]);
    assert!(!scene.table.is_leaving(G2, N2));
    assert!(scene.table.apply(&let_go(3, N2, 1), Rules::default()).is_err());
    // One stays in any case, and only members can go.
    scene.apply(&retire(3, N2, Reason::Surplus));
    assert!(scene.table.apply(&retire(4, N1, Reason::Surplus), Rules::default()).is_err());
    assert!(scene.table.apply(&retire(4, N5, Reason::Surplus), Rules::default()).is_err());
}

#[test]
fn a_learner_that_cannot_be_filled_makes_way() {
    let mut scene = scene(&[N1], &[N1, N2, N3]);
    scene.apply(&Command::SetCopies { group: G2, copies: 2 });
    assert_eq!(scene.does(), [recruit(1, N2)]);
    for _ in 0..LONG / 100 + 1 {
        [N1, N3].into_iter().for_each(|node| scene.ping(node));
        scene.wait(100);
    }
    let dropped =
        Command::RemoveLearner { group: G2, expected: ViewNumber(2), node: N2, reason: Reason::Silent };
    let decided = scene.decide();
    assert_eq!(decided, [dropped]);
    scene.apply(&decided[0]);
    scene.wait(300);
    [N1, N3].into_iter().for_each(|node| scene.ping(node));
    assert_eq!(scene.decide(), [recruit(3, N3)]);
}

#[test]
fn no_more_copies_are_waited_for_than_there_are() {
    let mut scene = scene(&[N1, N2], &[N1, N2]);
    let set = |group, copies| Command::SetCopiesBeforeOk { group, copies };
    for (group, copies) in [(G2, 0), (G2, 3), (G2, 1), (G1, 1), (GroupId(9), 1)] {
        assert!(scene.table.apply(&set(group, copies), Rules::default()).is_err(), "{group} {copies}");
    }
    scene.apply(&set(G2, 2));
    assert_eq!(scene.table.copies_before_ok(G2), 2);
    assert!(scene.table.apply(&Command::SetCopies { group: G2, copies: 1 }, Rules::default()).is_err());
    scene.apply(&set(G2, 1));
    scene.apply(&Command::SetCopies { group: G2, copies: 1 });
}
