"""labs/mesos/11-zookeeper-and-masters: two elections, one on top of the other, and tasks that need neither."""

from __future__ import annotations

from labkit.guide import Ask, Hint, Lab, Prediction, Recap, Step

from .common import heal_everything
from .zookeeper_and_masters_steps import (
    AGENTS_TOLD,
    LOWEST,
    NOBODY,
    REDIRECTS,
    all_back,
    another_leads,
    answer_agents,
    answer_lowest,
    answer_nobody,
    answer_redirect,
    beacon_burns,
    beacon_out,
    how_many_new,
    light_beacon,
    name_leader,
    named_leader,
    no_quorum,
    nobody_repairs,
    old_one_waits,
    one_less,
    put_out,
    quorum_back,
    redirected,
    reset,
    right_znode,
    silent,
    start_all,
    start_master,
    start_one,
    stop_another_member,
    stop_leader,
    stop_member,
    tasks_without,
    tolerance,
    tolerance_right,
    what_became,
    what_one_costs,
    who_knew,
    who_leads_now,
)

DRILL = {"attached": "An attached cluster is somebody's real one: its parts are not stopped. Use an embedded sandbox."}

LAB = Lab(
    id="mesos/11-zookeeper-and-masters",
    title="ZooKeeper and the masters",
    goal="Find out what a Mesos cluster can lose at its head, and what goes on without any head.",
    minutes=30,
    orchestrator="marathon",
    setup=heal_everything,
    reset=reset,
    steps=(
        Step(
            id="ensemble",
            title="Ask the ensemble",
            task="On each of the three master machines runs a member of **ZooKeeper** too. The cell above sends each "
            "the word `srvr`, and prints what comes back.",
            ask=Ask("Whose member leads the ensemble?", ("master-1", "master-2", "master-3")),
            check=named_leader,
            solution=name_leader,
            hints=(Hint("The members stand in the order of their machines."),),
            why="Members of an ensemble elect one of their own. All writes go through it, and each counts once **more "
            "than half** of the members have it on disk. This leader has nothing to do with the leading *master*: they "
            "are two elections, one on top of the other.",
        ),
        Step(
            id="tolerance",
            title="Two of three",
            needs=("ensemble",),
            task="More than half must be there, or nothing is written.",
            ask=Ask("How many members may this ensemble lose, and still serve?"),
            check=tolerance_right,
            solution=tolerance,
            hints=(Hint("Half of three is one and a half."),),
            why="Two of three are a quorum. Of four, three are: a fourth member adds nothing but something that can "
            "break. Five may lose two. (One node of ZooKeeper is enough to *try* Mesos, and too few to rely on it.)",
        ),
        Step(
            id="znode",
            title="The leader's znode",
            needs=("ensemble",),
            task="ZooKeeper holds a small tree of **znodes**. Under `/mesos` each master has put one with its own "
            "address, *ephemeral* and *sequential*: ZooKeeper appends a number, and takes the znode away when the "
            "session of its master ends. Run the cell above, and look for the star in the dashboard.",
            ask=Ask(
                "Which of these znodes makes its master the leader?",
                ("The one with the highest number", LOWEST, "None: each master asks the others"),
            ),
            check=right_znode,
            solution=answer_lowest,
            why="Whoever stands first in line leads. Each of the others watches the line; if the first one's session "
            "ends, its znode goes, and the next in line is told. Agents and frameworks look there as well: so they "
            "find the leader without being configured anew.",
        ),
        Step(
            id="workload",
            title="Something to worry about",
            needs=("znode",),
            task="Have Marathon run three tasks of a small web server:\n\n"
            "`marathon.actions.deploy('beacon', 'traefik/whoami:v1.10', 3, {10011: 80})`\n\n"
            "or *Deploy another* in the dashboard: image `traefik/whoami:v1.10`, name `beacon`, 3 instances, port "
            "`10011:80`.",
            check=beacon_burns,
            solution=light_beacon,
            why="The masters offered the agents' resources, Marathon took some, a master passed the order on to an "
            "agent. Three tasks answer on ports of their own agents now, and the check wrote down which.",
        ),
        Step(
            id="redirect",
            title="Ask the wrong master",
            needs=("znode",),
            task="Three masters, one truth. The cell above asks each for `/state`, and follows no redirect.",
            ask=Ask(
                "What does a master do that does not lead?",
                ("It answers from its own copy", REDIRECTS, "It refuses: 403"),
            ),
            check=redirected,
            solution=answer_redirect,
            why="**307** and the leader's address. It keeps no copy: all that a master knows of tasks and offers is in "
            "its own memory. That is why a script must follow redirects (`curl -L`, and "
            "`--location-trusted` when it has credentials).",
        ),
        Step(
            id="kill-leader",
            title="Kill the leading master",
            needs=("workload", "redirect"),
            task="Stop the master with the star: `marathon.stop('mesos-master', 'master-1')` if it is there, or click "
            "the machine in the dashboard: the parts that run on it stand below its buttons.",
            prediction=Prediction(
                "The leading master dies, and all that it knew of tasks was in its memory. What becomes of them?",
                ("They are lost", "Marathon starts others for them", "The same tasks run on"),
                what_became,
            ),
            check=another_leads,
            solution=stop_leader,
            hints=(
                Hint("Not always `master-1`: the star says which. `marathon.client.mesos.leader()` tells its address."),
            ),
            engines={
                **DRILL,
                "docker": "Here the process is killed: its session ends after ten seconds, and then its znode goes.",
            },
            why="The next in line leads. Agents saw the line change, and registered with the new master; Marathon did "
            "too, under the id that it had. The tasks never noticed: they run under their *agents*.",
            patience=120,
        ),
        Step(
            id="who-told",
            title="Who told it?",
            needs=("kill-leader",),
            task="The new leader never launched these tasks, and yet `/tasks` lists them. Run the cell above once more "
            "and look at what ZooKeeper holds.",
            ask=Ask("From whom does the new leader know the tasks?", ("ZooKeeper", "Marathon", AGENTS_TOLD)),
            check=who_knew,
            solution=answer_agents,
            why="Each agent brings its list when it registers again. State of this kind is called *soft*: whoever "
            "loses it asks those who live it. Nothing about tasks is in ZooKeeper, so ten thousand of them cost it "
            "nothing. (Masters do keep one list on disk: which agents were admitted.)",
        ),
        Step(
            id="back-in-line",
            title="Start it again",
            needs=("kill-leader",),
            task="`marathon.start('mesos-master', …)` with the machine that you stopped. Then look at the znodes.",
            prediction=Prediction(
                "The first leader is back. What does it do?",
                ("It leads again", "It gets in line, last", "It gets in line where it stood"),
                who_leads_now,
            ),
            check=old_one_waits,
            solution=start_master,
            engines=DRILL,
            why="A new session, a new znode, the highest number: it stands last.",
        ),
        Step(
            id="one-member",
            title="One member of ZooKeeper",
            needs=("workload", "back-in-line"),
            task="Now the floor that the masters stand on. Stop one member: `marathon.stop('zookeeper', 'master-3')`.",
            prediction=Prediction(
                "One of three members is gone. What stops?",
                ("The election of masters", "The master on that machine", "Nothing stops"),
                what_one_costs,
            ),
            check=one_less,
            solution=stop_member,
            engines=DRILL,
            why="Two of three are a quorum. Clients of the dead member took their *sessions* along to another one: "
            "a session belongs to the ensemble, not to a member.",
            patience=90,
        ),
        Step(
            id="lose-quorum",
            title="Break it: a second one",
            needs=("one-member",),
            task="Stop another member, so that one is left. Then wait: ten seconds matter here.",
            prediction=Prediction(
                "No quorum. What do the three tasks do?",
                ("They stop", "They run, and answer", "Their agents kill them after a while"),
                tasks_without,
            ),
            check=no_quorum,
            solution=stop_another_member,
            hints=(
                Hint("Leave one member alive.", when=lambda context: len(silent(context)) > 2),
                Hint("The leading master believes in its session for ten seconds. Only then does it step down."),
            ),
            engines=DRILL,
            why="The last member says *This ZooKeeper instance is not currently serving requests*. Nobody can tell the "
            "masters that their znodes are still there; so the leader has to assume that somebody else leads by now, "
            "and **ends itself**. No leader is bad; two of them would be worse. And every task runs.",
            patience=120,
        ),
        Step(
            id="leaderless",
            title="A cluster without a head",
            needs=("lose-quorum",),
            task="The cell above asks the masters, asks Marathon for a fourth task, and then the tasks themselves.",
            ask=Ask(
                "A task dies in this minute. Who starts another one?",
                ("Marathon, as always", "Its agent", NOBODY),
            ),
            check=nobody_repairs,
            solution=answer_nobody,
            hints=(Hint("Marathon decides, but it can only use what it is *offered*."),),
            why="What runs, runs on; nothing that dies is replaced, nothing is scaled or deployed. Marathon's own "
            "leader was elected in the same ZooKeeper, so it has none either.",
        ),
        Step(
            id="quorum-back",
            title="Start one member",
            needs=("lose-quorum",),
            task="`marathon.start('zookeeper', …)` for **one** of the two.",
            prediction=Prediction(
                "There is a quorum again, and then a leader. How many of the three tasks will be new ones?",
                ("None", "One", "All three"),
                how_many_new,
            ),
            check=quorum_back,
            solution=start_one,
            engines=DRILL,
            why="Two members elect a leader; a master is first in line and leads; the agents bring their tasks; "
            "Marathon finds all as it wants it, and does nothing. Everybody in the right order, and nobody was told.",
            patience=150,
        ),
        Step(
            id="whole",
            title="And the last one",
            needs=("quorum-back",),
            task="Start what is still stopped, until the ensemble has three members that serve.",
            check=all_back,
            solution=start_all,
            engines=DRILL,
            why="It fetches what it missed from the others, and follows.",
            patience=90,
        ),
        Step(
            id="clean-up",
            title="Clean up",
            needs=("workload", "whole"),
            task="`marathon.client.delete('/beacon')`, or **Destroy** in the dashboard.",
            check=beacon_out,
            solution=put_out,
            why="The cluster is as you found it; only the star may have moved.",
        ),
    ),
    recap=(
        Recap(
            "An ensemble of five has lost two members. What may be done now?",
            ("Everything, but no third one may go", "Nothing is written any more", "Only reading"),
            0,
            "Three of five are a quorum; the next loss takes it.",
        ),
        Recap(
            "What would you find in ZooKeeper about a running task?",
            ("Its agent and its state", "Nothing: Mesos keeps there who leads", "Its resources"),
            1,
            "The agents know their tasks. (Marathon keeps its *apps* there: the wish, not the tasks' doings.)",
        ),
        Recap(
            "The masters answer “No leader elected”. What do you look at first?",
            ("The agents' logs", "Marathon's queue", "Whether ZooKeeper has a quorum"),
            2,
            "`srvr` to every member. An election is only as good as the floor that it stands on.",
        ),
    ),
    shows={
        "masters, at least three, are made highly available by a quorum of ZooKeeper": "kill-leader",
        "tasks live on without a master": "lose-quorum",
    },
)
