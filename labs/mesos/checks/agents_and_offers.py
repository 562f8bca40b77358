"""labs/mesos/12-agents-and-offers: the learner is the framework."""

from __future__ import annotations

from labkit.guide import Ask, Hint, Lab, Prediction, Recap, Step

from .agents_and_offers_steps import (
    agent_back,
    agent_gone,
    all_declined,
    all_gone,
    bread_served,
    clean_up,
    count_cpus,
    counted_cpus,
    decline_all,
    feed_marathon,
    marathon_fed,
    marathon_starves,
    offered_again,
    play_round,
    reset,
    round_won,
    serve_bread,
    serve_feast,
    serve_tea,
    start_agent,
    starve_marathon,
    stop_agent,
    subscribe,
    subscribed,
    tea_served,
    too_much,
    wait_for_offers,
    what_is_offered,
    what_marathon_gets,
    what_of_the_feast,
    what_of_the_offer,
    what_of_the_rest,
    what_of_the_tea,
    who_brought_them,
)
from .common import heal_everything

DRILL = {"attached": "An attached cluster is somebody's real one: its agents are not stopped. Use an embedded sandbox."}

LAB = Lab(
    id="mesos/12-agents-and-offers",
    title="Agents and offers",
    goal="Be the framework: take what Mesos offers, or give it back, and see what that does to others.",
    minutes=35,
    orchestrator="marathon",
    setup=heal_everything,
    reset=reset,
    steps=(
        Step(
            id="agents",
            title="What there is",
            task="An **agent** runs on each machine that is to do work. When it registers with the leading master it "
            "says what it has: *resources* (how much) and *attributes* (what kind). The cell above asks the master.",
            ask=Ask("How many cpus does the whole cluster have?"),
            check=counted_cpus,
            solution=count_cpus,
            why="Resources are counted, given out, and come back. Attributes are never used up: they are labels that "
            "Mesos passes on and does not understand. Each agent has a range of *ports* too: a resource like others.",
        ),
        Step(
            id="subscribe",
            title="Become a framework",
            needs=("agents",),
            task="Show the desk (the cell above), and press **Subscribe**. Marathon and the batch framework are "
            "subscribed already, and have nothing to do at the moment.",
            prediction=Prediction(
                "You subscribe, and ask for nothing. What will you be offered?",
                ("Nothing: one has to ask", "A third: there are three frameworks", "Everything that is free"),
                what_is_offered,
            ),
            check=subscribed,
            solution=subscribe,
            why="One `POST /api/v1/scheduler` that never ends: events come down the line for as long as it is open. "
            "You did not say what you need. **Mesos offers, frameworks choose**: that is the whole bargain. The other "
            "two have told the master to offer them nothing (SUPPRESS), so all of it came to you.",
        ),
        Step(
            id="accept",
            title="Accept",
            needs=("subscribe",),
            task="Somebody orders `tea`: half a cpu, anywhere. Tick it on a card, and press **Accept**.",
            prediction=Prediction(
                "You accept an offer of a whole agent, for a task of half a cpu. What becomes of the rest?",
                (
                    "It is yours until the task ends",
                    "It is offered again, without what the task has",
                    "It goes to the next framework for good",
                ),
                what_of_the_rest,
            ),
            check=tea_served,
            solution=serve_tea,
            hints=(
                Hint("The box is on the card, below *Launch*; **Accept** wakes up when one is ticked."),
                Hint("In Python: `desk.accept(desk.offers[0], 'tea')`."),
            ),
            why="`ACCEPT` with a `LAUNCH`: the master checks it, takes half a cpu out of the offer, and passes the "
            "task on to the agent; the agent runs it. TASK_STARTING and TASK_RUNNING come back as *updates*, and "
            "are repeated until you acknowledge each (the desk does that for you). What you left over is free again.",
        ),
        Step(
            id="where",
            title="Choose where",
            needs=("accept",),
            task="`bread` wants to be in **rack-2**. Place it.",
            check=bread_served,
            solution=serve_bread,
            hints=(Hint("Only the attributes on the cards tell. Wrong one? **Kill** the task, and choose again."),),
            why="The order's wish never reached Mesos: *you* read the attributes and chose. What Marathon calls a "
            "constraint is this, done by a program. **Mesos knows nothing of workloads.**",
        ),
        Step(
            id="too-much",
            title="Ask too much",
            needs=("accept",),
            task="The `feast` takes a hundred cpus. Launch it on any card.",
            prediction=Prediction(
                "A task of a hundred cpus, on an offer of four. What happens?",
                ("It waits until there are a hundred", "It runs with four", "An update says TASK_ERROR"),
                what_of_the_feast,
            ),
            check=too_much,
            solution=serve_feast,
            why="Nothing waits at a master: there is no queue in it, and it never looks for a better place. The task "
            "is refused as *not valid*; trying again, later or elsewhere, is the framework's business.",
        ),
        Step(
            id="decline",
            title="Decline",
            needs=("accept",),
            task="Give back **every** offer, and ask not to see these agents again for **30 s**: choose that beside "
            "**Decline** on each card.",
            check=all_declined,
            solution=decline_all,
            hints=(
                Hint("Quickly: what you declined for five seconds is back before you are through with the others."),
                Hint(
                    "A card that is back at once was two offers (a killed task's share came later): each has a filter "
                    "of its own now, and what is free is more than either. Decline it once more."
                ),
                Hint("In Python, all at once: `desk.decline(seconds=30)`."),
            ),
            why="`DECLINE` with a *filter*: `refuse_seconds`. Without one it is five seconds. A framework that has "
            "nothing to do and declines without filters gets the same cards every second, and nobody else does.",
        ),
        Step(
            id="again",
            title="And again",
            needs=("decline",),
            task="Do nothing. Watch the clock at the desk.",
            prediction=Prediction(
                "How do you get offers again?",
                ("Never, for I declined", "I must subscribe again", "By themselves, when the time is over"),
                who_brought_them,
            ),
            check=offered_again,
            solution=wait_for_offers,
            why="When the filter has run out the resources are offered again, under new ids. Who wants them earlier "
            "calls `REVIVE`, which clears all filters. An id is good for one answer only.",
            patience=90,
        ),
        Step(
            id="hoard",
            title="Break it: hold everything",
            needs=("again",),
            task="Hold every offer and answer none. (If a card is missing: **Revive**, and wait a second.) Then have "
            "Marathon deploy something:\n\n"
            "`marathon.actions.deploy('hungry', cmd='sleep 100000', cpus=1)`",
            prediction=Prediction(
                "You hold all offers, and use none. What is Marathon offered?",
                ("Its fair share", "Whatever you hold for more than five seconds", "Nothing"),
                what_marathon_gets,
            ),
            check=marathon_starves,
            solution=starve_marathon,
            hints=(Hint("In the dashboard, *why* of `/hungry` shows who holds the offers."),),
            why="An offer is a promise: nobody else is offered the same. Fairness (DRF) decides who is *asked next*, "
            "and takes nothing back. So a framework that sits on its cards stops the cluster. An operator's remedy is "
            "the master's `--offer_timeout`, which is off by default.",
        ),
        Step(
            id="share",
            title="Share",
            needs=("hoard",),
            task="Give them back, for **2 min**, and watch `/hungry`.",
            check=marathon_fed,
            solution=feed_marathon,
            why="Within a second. Good frameworks answer at once, decline for long when they need nothing, suppress "
            "when they are idle, revive when they are not. Marathon and batch do just that.",
        ),
        Step(
            id="lost-agent",
            title="Lose an agent",
            needs=("share", "where"),
            task="Press **Revive**, and wait until you hold a card of the agent that runs `tea`. Then stop that agent: "
            "`marathon.stop('mesos-agent', …)`.",
            prediction=Prediction(
                "You hold an offer of an agent that is gone. What becomes of the offer?",
                (
                    "You find out when you accept it",
                    "It is taken back: RESCIND",
                    "It becomes an offer of another agent",
                ),
                what_of_the_offer,
            ),
            check=agent_gone,
            solution=stop_agent,
            hints=(Hint("The list of orders says where `tea` runs."),),
            engines=DRILL,
            why="The connection broke, so the master knew at once. A machine that falls silent *without* hanging up is "
            "missed after five pings, 75 seconds. The offer was rescinded: an `ACCEPT` that crosses it is answered "
            "with TASK_LOST, *Offer is no longer valid*. Nobody has stopped your task: it runs without its agent.",
        ),
        Step(
            id="agent-back",
            title="It registers again",
            needs=("lost-agent",),
            task="`marathon.start('mesos-agent', …)`, and look at the card and at `tea`.",
            prediction=Prediction(
                "The agent's process was gone and is back. What about `tea`?",
                ("It is started again", "It has run all the time", "It was killed"),
                what_of_the_tea,
            ),
            check=agent_back,
            solution=start_agent,
            engines=DRILL,
            why="The agent had written down what it ran (the desk subscribed with `checkpoint: true`), found it again, "
            "and registered under the id that it had. To upgrade an agent one restarts it under running tasks.",
            patience=120,
        ),
        Step(
            id="round",
            title="A round against the clock",
            needs=("agent-back",),
            task="**Destroy `/hungry`** (it takes a cpu). Then **Start a round**: six orders, sixty seconds, three "
            "agents of four cpus. Think first where the `cake` goes.",
            check=round_won,
            solution=play_round,
            hints=(
                Hint("Several orders can go on one card: tick them all, then **Accept** once."),
                Hint("`cake` needs three cpus. Only one agent has three to spare once those with wishes are placed."),
                Hint("A card too small? Decline it for 5 s: it comes back in one piece with what was freed."),
            ),
            why="You were a scheduler: each order at once, with what was on the table, without knowing what comes "
            "next. A greedy start (cake on the first card) locks out soup or rice. Programs have the same trouble: "
            "that is why Marathon waits with an app until an offer fits.",
            patience=120,
        ),
        Step(
            id="clean-up",
            title="Clean up",
            needs=("subscribe",),
            task="**Tear down** your framework at the desk; destroy `/hungry` if it is still there.",
            check=all_gone,
            solution=clean_up,
            why="`TEARDOWN`: the master has every agent kill your tasks, and forgets the framework. (Had you only hung "
            "up, it would have waited for you, for the `failover_timeout` that you subscribed with.)",
        ),
    ),
    recap=(
        Recap(
            "Who decides on which agent a task runs?",
            ("The leading master", "The framework, among what it is offered", "The agents, by vote"),
            1,
            "The master only decides who is offered what.",
        ),
        Recap(
            "A framework declines with `refuse_seconds: 3600` and needs resources a minute later. It…",
            ("must wait for an hour", "must subscribe anew", "calls REVIVE"),
            2,
            "REVIVE clears the filters. Long filters and REVIVE together are the polite way.",
        ),
        Recap(
            "Marathon has been waiting for an hour, and half of the cluster is idle. Whom do you suspect?",
            ("The agents", "A framework that holds its offers", "ZooKeeper"),
            1,
            "The state of the master lists the outstanding offers of each framework.",
        ),
    ),
    shows={
        "agents (“slaves”) run the tasks that frameworks pass down": "accept",
        "Mesos knows nothing of workloads: frameworks decide what to do with the resources offered": "where",
    },
)
