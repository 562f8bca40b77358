"""labs/marathon/15-apps-and-the-rest-api: what one asks of Marathon, in HTTP, and how it changes what runs."""

from __future__ import annotations

from labkit.guide import Ask, Hint, Lab, Prediction, Recap, Step

from .apps_and_the_rest_api_steps import (
    ALL_DOWN,
    ANOTHER,
    AS_BEFORE,
    AS_MANY,
    BOTH,
    DB,
    FRONT,
    GONE,
    HALF,
    KEPT,
    NONE,
    NOTHING,
    ONLY_NEW,
    REPLACED,
    SAME,
    STAYS,
    TWO,
    TYPO,
    ask_too_much,
    cancel_it,
    clock_replaced,
    clock_runs,
    counted_events,
    destroy_everything,
    destroyed,
    double_shop,
    first_version_again,
    force_it,
    forced,
    give_it_a_name,
    go_back,
    hangs,
    has_a_name,
    hello_runs,
    how_many_after,
    its_number,
    kill_clock,
    listen_and_scale,
    open_shop,
    post_clock,
    post_hello,
    put_the_typo,
    read_its_number,
    reset,
    shop_doubled,
    shop_is_open,
    status_409,
    too_big,
    try_to_scale,
    undone,
    what_became_of_them,
    what_customers_notice,
    what_it_wants_now,
    what_runs_now,
    who_came_first,
)
from .common import heal_everything

LAB = Lab(
    id="marathon/15-apps-and-the-rest-api",
    title="Apps and the REST API",
    goal="Run things on a Mesos cluster by writing down what you want; change it, break the change, and take it back.",
    minutes=40,
    orchestrator="marathon",
    setup=heal_everything,
    reset=reset,
    steps=(
        Step(
            id="hello",
            title="Post an app",
            task="Send the app of the cell above to Marathon: `requests.post(f'{url}/v2/apps', json=hello)`. Or in a "
            "terminal:\n\n"
            "`curl -X POST \"$MARATHON_URL/v2/apps\" -H 'Content-Type: application/json' -d 'THAT JSON'`",
            check=hello_runs,
            solution=post_hello,
            hints=(
                Hint("An app is not a container. You write down a wish; Marathon makes tasks of it."),
                Hint("The answer says what is amiss: print `answer.status_code` and `answer.json()`."),
            ),
            why="`201 Created` came back before anything ran: Marathon had *stored* your wish in ZooKeeper, and begun "
            "a **deployment**. Then it waited for an offer, found one with enough cpu, memory and ports, and answered "
            "with two tasks. The agent of that offer started them. Two of two may sit on one agent: nobody asked for "
            "anything else. (That is the next lab.)",
        ),
        Step(
            id="process",
            title="Without a container",
            task="Post a second app, `/clock`, with no `container` at all. Its `cmd`:\n\n"
            "`echo I am process $$; while true; do date; sleep 1; done`\n\n"
            "and `cpus` 0.1, `mem` 16.",
            check=clock_runs,
            solution=post_clock,
            hints=(Hint('`{"id": "/clock", "cmd": "…", "cpus": 0.1, "mem": 16}` is the whole app.'),),
            engines={
                "embedded": "This one is *real*: a process of this computer, run as you, in a folder of its own. It "
                "can do whatever you can. That is why Marathon asks for a password.",
            },
            why="Marathon is older than the container boom, and Mesos does not insist on images: a *task* is a "
            "command, and a container is one way to wrap it. The agent made a **sandbox** folder, started a shell in "
            "it, and keeps what it writes in `stdout` and `stderr`.",
        ),
        Step(
            id="its-own-words",
            title="Read what it says",
            needs=("process",),
            task="Read the beginning of the file `stdout` of `/clock`, with the function above: "
            "`print(read('/clock')[:200])`.",
            ask=Ask("Which number does the process say that it has?"),
            check=its_number,
            solution=read_its_number,
            hints=(Hint("`$$` is the shell's own process id. On your own machine, `ps -p NUMBER` shows it."),),
            why="Marathon knows the task's agent, the agent knows the task's folder, and `/files/read` gives any part "
            "of a file in it. It is all that Mesos' web page does when you click *Sandbox*. The folder stays for a "
            "while after the task has ended, which is when you need it most.",
        ),
        Step(
            id="killed",
            title="End it",
            needs=("its-own-words",),
            task="End the task: `DELETE /v2/apps/clock/tasks/TASK`, or click it in the graph and press **Kill**.",
            prediction=Prediction("You still want one. What will run then?", (SAME, ANOTHER, NONE), what_runs_now),
            check=clock_replaced,
            solution=kill_clock,
            hints=(Hint("`requests.get(f'{url}/v2/apps/clock').json()['app']['tasks']` has the id."),),
            engines={"embedded": "Or behind Marathon's back: `kill NUMBER` in a terminal. It comes to the same."},
            why="A Mesos task runs once. It ends (*killed*, *failed*, *finished*: to Marathon it is all the same), and "
            "Marathon asks the next offer for another one, with an id and a folder of its own, perhaps on another "
            "agent. Even `exit 0` does not end an app. Only you do.",
        ),
        Step(
            id="events",
            title="Listen",
            needs=("hello",),
            task="Scale `/hello` to **four**, and watch what Marathon tells: `scale_and_listen('/hello', 4)`.",
            ask=Ask("How many times does it tell of a task that became TASK_RUNNING?"),
            check=counted_events,
            solution=listen_and_scale,
            hints=(Hint("Scaled already? `scale_and_listen('/hello', 2)`, then once more to four."),),
            why="Nobody has to ask Marathon again and again whether something changed: load balancers, dashboards and "
            "this guide sit on `/v2/events`. Each status came from an agent, by way of the master, and was "
            "acknowledged; the *deployment* ended when reality matched the wish.",
        ),
        Step(
            id="alter",
            title="Change the wish",
            needs=("events",),
            task="`traefik/whoami` says a name if it finds one in its environment. Change the app: "
            '`PUT /v2/apps/hello` with `{"env": {"WHOAMI_NAME": "the bakery"}}`.',
            prediction=Prediction(
                "Four containers run. What becomes of them?", (KEPT, REPLACED, ONLY_NEW), what_became_of_them
            ),
            check=has_a_name,
            solution=give_it_a_name,
            hints=(Hint("Only what you send is changed; the rest of the app stays as it is."),),
            why="Nobody can change the environment of a process that runs, so all four were **replaced**: first the "
            "new ones, and an old one went whenever a new one ran. `upgradeStrategy` says how many may be missing and "
            "how many too many; its default, 1.0 and 1.0, never goes below four and up to eight. Only `instances` can "
            "change without a restart.",
        ),
        Step(
            id="typo",
            title="Break it: an update that cannot work",
            needs=("alter",),
            task=f"A slip of the finger: roll out `{TYPO}`, an image that does not exist.",
            prediction=Prediction(
                "What do the customers of `/hello` notice?", (NOTHING, HALF, ALL_DOWN), what_customers_notice
            ),
            check=hangs,
            solution=put_the_typo,
            hints=(
                Hint("GET the app, change `container['docker']['image']`, and PUT the whole `container`."),
                Hint("A container is one value: send it whole, not only its image."),
            ),
            why="No old task goes before a new one runs, and none will. The last error is in the app's "
            "`lastTaskFailure`, and the pauses between two tries grow. But a deployment has **no timeout**: Marathon "
            "does not know that it will never work. It tries until you stop it.",
            patience=90,
        ),
        Step(
            id="locked",
            title="Meanwhile",
            needs=("typo",),
            task="Customers come in crowds: scale `/hello` to five, now.",
            ask=Ask("With which HTTP status does Marathon answer?"),
            check=status_409,
            solution=try_to_scale,
            hints=(Hint("`requests.put(f'{url}/v2/apps/hello', json={'instances': 5}).status_code`"),),
            why="`409`: *App is locked by one or more deployments.* Two deployments of one app at the same time could "
            "pull in different directions, so the first one locks whatever it touches, and everything that depends on "
            "it. The answer names it.",
        ),
        Step(
            id="force",
            title="Force",
            needs=("locked",),
            task="The answer also says how to go on: `?force=true`. Put the right image back, `traefik/whoami:v1.10`, "
            "with force.",
            check=forced,
            solution=force_it,
            hints=(
                Hint("`requests.put(…, params={'force': 'true'})`"),
                Hint("Forcing *another* change (five instances) ends the lock, but it keeps the wrong image."),
            ),
            why="`force` ends the deployment that is in the way, exactly where it stands, and begins a new one from "
            "there. Nothing is undone. It is meant for this case: the new change *repairs* the old one.",
            patience=90,
        ),
        Step(
            id="too-big",
            title="Once more",
            needs=("force",),
            task='Another update that will never end: `{"cpus": 64}`. No agent has so many.',
            check=too_big,
            solution=ask_too_much,
            why="Not an error either. Offers come every second, none fits, all are declined. Who knows, somebody may "
            "buy a bigger machine.",
        ),
        Step(
            id="undo",
            title="Undo",
            needs=("too-big",),
            task="Cancel the deployment, this time *without* force: `DELETE /v2/deployments/ID`.",
            prediction=Prediction("What does `/hello` want then?", (AS_BEFORE, STAYS, GONE), what_it_wants_now),
            check=undone,
            solution=cancel_it,
            hints=(Hint("`requests.get(f'{url}/v2/deployments').json()` lists those that are under way."),),
            why="The answer holds a new deployment id: to cancel is to *deploy the way back*. That is Marathon's "
            "rollback. (With `?force=true` it would just have stopped, and left you with the 64.)",
            patience=90,
        ),
        Step(
            id="back",
            title="Further back",
            needs=("undo",),
            task="Marathon keeps what an app has been: `GET /v2/apps/hello/versions`, the newest first. Go back to the "
            'oldest: `PUT /v2/apps/hello` with `{"version": "…"}`.',
            prediction=Prediction(
                "The oldest version asked for two instances; by now there are more. How many afterwards?",
                (TWO, AS_MANY),
                how_many_after,
            ),
            check=first_version_again,
            solution=go_back,
            hints=(Hint("`GET /v2/apps/hello/versions/VERSION` shows what it was."),),
            why="A version is the *whole* app, with its number of instances: whoever rolls back on a busy evening "
            "had better think of that. And history only grows: going back has made one version more.",
            patience=90,
        ),
        Step(
            id="group",
            title="Two that belong together",
            needs=("back",),
            task="POST the group of the cell above to `/v2/groups`. `/shop/front` *depends* on `/shop/db`.",
            prediction=Prediction(
                "The front end stands first in the list. Which one is started first?", (FRONT, DB, BOTH), who_came_first
            ),
            check=shop_is_open,
            solution=open_shop,
            hints=(Hint("Look at the deployment while it runs: `steps`, `currentStep`, `currentActions`."),),
            why="Marathon sorts by dependencies: a deployment is a list of **steps**, and a step begins when the one "
            "before is done. *Done* means running, or healthy if the app has health checks: without one a database "
            "counts as ready the moment its process exists.",
            patience=90,
        ),
        Step(
            id="twice",
            title="Twice of everything",
            needs=("group",),
            task='`PUT /v2/groups/shop` with `{"scaleBy": 2}`.',
            check=shop_doubled,
            solution=double_shop,
            why="One request, one deployment, all apps of the group, in the order of their dependencies. (Whether two "
            "databases are twice a database is a question that Marathon does not ask.)",
        ),
        Step(
            id="destroy",
            title="Clean up",
            needs=("killed", "twice"),
            task="Destroy it all: `DELETE /v2/apps/hello`, `DELETE /v2/apps/clock`, `DELETE /v2/groups/shop`. Or "
            "**Destroy** in the dashboard.",
            check=destroyed,
            solution=destroy_everything,
            why="Destroying is a deployment, too: first the tasks end, then the app and all its versions are "
            "forgotten. To keep the app and stop its tasks, scale it to 0 (**suspend**).",
        ),
    ),
    recap=(
        Recap(
            "Marathon answered `201 Created`. What do you know?",
            ("The app runs", "The wish is stored, and a deployment begins", "An agent has accepted it"),
            1,
            "Whether it runs, and when, depends on offers. Ask `/v2/deployments`, or listen to `/v2/events`.",
        ),
        Recap(
            "`409`, and you send the same request with `force=true`. What becomes of the deployment in the way?",
            ("It is rolled back first", "It ends where it stands", "It goes on, beside yours"),
            1,
            "Only `DELETE /v2/deployments/ID` without force rolls back.",
        ),
        Recap(
            "A batch job does its work and ends with `exit 0`. As a Marathon app it…",
            ("is done", "waits until tomorrow", "is started again"),
            2,
            "Marathon keeps long-running services running. Jobs that end are for other frameworks on the same agents.",
        ),
    ),
    shows={
        "an app is a wish that a framework turns into Mesos tasks": "hello",
        "plain processes run beside containers": "process",
        "what ends is replaced by another task, perhaps elsewhere": "killed",
        "a change is a deployment: it locks what it touches, and can be taken back": "undo",
        "groups and dependencies say what is started before what": "group",
    },
)
