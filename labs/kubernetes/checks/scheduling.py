"""labs/kubernetes/09-scheduling: why here, why not there, why nowhere."""

from __future__ import annotations

from labkit.guide import Ask, Hint, Lab, Prediction, Recap, Step

from .common import heal_everything, quietly
from .placing import (
    waiting,
)
from .scheduling_doors import (
    cordon_one,
    evict_strangers,
    fate_of_the_cordoned,
    guests_at_home,
    how_vip_got_in,
    invite_guests,
    let_vip_in,
    nobody_new,
    only_guests_left,
    vip_has_room,
    who_left,
)
from .scheduling_steps import (
    A_WORKER,
    THE_MASTER,
    THE_OLD,
    answer_master,
    answer_nodes,
    ask_for_less,
    asks_for_less,
    deploy_fair,
    deploy_fast,
    deploy_hungry,
    deploy_shy,
    fair_shares,
    fate_of_fast,
    how_many_run,
    label_gone,
    on_the_ssd,
    one_stays_alone,
    one_too_many,
    reset,
    skewed,
    tidy,
    tidy_up,
    unlabel,
    why_nowhere,
)

CHANGES_NODES = {"attached": "This changes nodes: on an attached cluster do it only if nobody else works there."}

LAB = Lab(
    id="kubernetes/09-scheduling",
    title="Scheduling",
    goal="Put pods where you want them, and find out in one look why they are not there.",
    minutes=35,
    orchestrator="kubernetes",
    setup=heal_everything,
    reset=reset,
    steps=(
        Step(
            id="too-much",
            title="One too many",
            task="Create a Deployment called `hungry`: four replicas of `traefik/whoami:v1.10`, each *requesting* "
            "**60 % of a worker's CPUs**. The table above says how many that are: 2.4 of 4, 1.2 of 2.\n\n"
            "```\n"
            "kubectl create deployment hungry --image=traefik/whoami:v1.10 --replicas=4\n"
            "kubectl set resources deployment hungry --requests=cpu=2400m\n"
            "```\n\n"
            "or in Python: `kube.actions.deploy('hungry', 'traefik/whoami:v1.10', 4, cpus=2.4)`.",
            prediction=Prediction(
                "Three workers, and not one of them has anything to do. How many of the four pods will run?",
                ("All four: the machines are idle", "Three", "Two"),
                how_many_run,
            ),
            check=one_too_many,
            solution=deploy_hungry,
            hints=(Hint("The requests belong to the pod's container: `resources: {requests: {cpu: …}}`."),),
            why="A **request** is a reservation. The scheduler adds up what is *requested* on a node and never looks "
            "at what is *used*: two times 60 % do not fit on one machine, however idle it is. The control plane has "
            "room as well, but says no for another reason. You will see which.",
        ),
        Step(
            id="why-nowhere",
            title="Read the refusal",
            needs=("too-much",),
            task="A pod that waits has been told why. `kubectl describe pod` ends with the scheduler's event, "
            "`FailedScheduling`; the dashboard shows it when you click the pod, node by node.",
            ask=Ask("On how many nodes does the scheduler say that there is too little CPU?"),
            check=why_nowhere,
            solution=answer_nodes,
            why="`0/4 nodes are available`, and then each reason with the number of nodes that it holds for. They add "
            "up to all nodes. When a pod is *Pending* without a node, this line is all there is to know: neither "
            "image nor kubelet nor logs have anything to do with it yet.",
        ),
        Step(
            id="ask-for-less",
            title="Ask for less",
            needs=("why-nowhere",),
            task="Nobody needs that much. Halve it, to **30 %** of a worker: "
            "`kubectl set resources deployment hungry --requests=cpu=1200m` (of 4 CPUs; 600m of 2).",
            check=asks_for_less,
            solution=ask_for_less,
            hints=(Hint("`kubectl set resources` changes the pod template, so the Deployment replaces its pods."),),
            why="Four pods run, two of them on one worker. Requests that are too high waste machines; requests that "
            "are too low, or none, crowd a node until everything on it is slow. Measure, then write down.",
        ),
        Step(
            id="ssd",
            title="I want that one",
            task="Create `fast`, one replica, whose pod has the `nodeSelector` `disk: ssd`:\n\n"
            "`kube.actions.deploy('fast', 'traefik/whoami:v1.10', node_selector={'disk': 'ssd'})`\n\n"
            "It waits: no node is like that. Do not touch it. Give **one worker** the label: "
            "`kubectl label node NODE disk=ssd`.",
            check=on_the_ssd,
            solution=deploy_fast,
            hints=(Hint("The names of the nodes: `kubectl get nodes`, or the dashboard."),),
            engines=CHANGES_NODES,
            why="The scheduler tries a waiting pod again when something changes that could matter for it: your label "
            "did. A `nodeSelector` is the short form of *node affinity*, which can also say *in*, *not in*, "
            "*greater than*, and *rather, but not necessarily*.",
        ),
        Step(
            id="unlabel",
            title="And if it is no longer so?",
            needs=("ssd",),
            task="The disk is sold. Take the label away again: `kubectl label node NODE disk-`.",
            prediction=Prediction(
                "The node is no longer what the pod asked for. What becomes of the pod?",
                ("It moves to another node", "It is stopped, and waits for a label", "It stays where it is"),
                fate_of_fast,
            ),
            check=label_gone,
            solution=unlabel,
            engines=CHANGES_NODES,
            why="The long names say it: `requiredDuringScheduling`**`IgnoredDuringExecution`**. The scheduler decides "
            "once, when a pod has no node, and never takes a decision back. (Should the pod die, though, its "
            "successor will wait.)",
        ),
        Step(
            id="apart",
            title="Shy pods",
            task="The cell above made `shy`: four pods, each of which refuses a node where one of them is already. "
            "Look at the one without a place: click it, or `kube.why(…)`.",
            check=one_stays_alone,
            solution=deploy_shy,
            why="*Anti-affinity* keeps replicas apart, so that one dead machine takes one of them and not all. "
            "*Required* is a strong word: with three workers there are never more than three, and a rolling update "
            "that wants a fourth for a moment waits for ever. `preferred…` is mostly what one means.",
        ),
        Step(
            id="skewed",
            title="Break it: share evenly",
            task="The cell above made `even`: six pods, to be *spread*, so that no node has two more than another "
            "(`maxSkew: 1`). Two on each of three workers, then? Three wait. Find out which node they are compared "
            "with.",
            ask=Ask("Which node is the empty one that holds the others up?", (A_WORKER, THE_MASTER, THE_OLD)),
            check=skewed,
            solution=answer_master,
            hints=(Hint("`kube.why('even-…')` names it: *it would have 2, … has 0*."),),
            why="The control plane is a node like any other to this rule. No pod may go there, because of a taint; "
            "but it *counts*, with nobody on it, for ever. Half of the tutorials on the web have this bug.",
        ),
        Step(
            id="fair",
            title="Two for each",
            needs=("skewed",),
            task="Make it right, under a new name: `fair`, six pods with `app: fair`, spread in the same way, that "
            "also **require a worker**. Copy the cell of `even` and add beside `topologySpreadConstraints`:\n\n"
            "```yaml\n"
            "affinity:\n"
            "  nodeAffinity:\n"
            "    requiredDuringSchedulingIgnoredDuringExecution:\n"
            "      nodeSelectorTerms:\n"
            "      - matchExpressions:\n"
            "        - {key: node-role.kubernetes.io/control-plane, operator: DoesNotExist}\n"
            "```",
            check=fair_shares,
            solution=deploy_fair,
            hints=(
                Hint("The spread's own `labelSelector` must say `app: fair`, or it counts the others' pods."),
                Hint("`node-role.kubernetes.io/control-plane` is a label without a value; workers do not have it."),
            ),
            why="Nodes that the pod could not want anyway are left out of the count. (Since 1.26 "
            "`nodeTaintsPolicy: Honor` does the same for taints.)",
        ),
        Step(
            id="cordon",
            title="Closed, please use another",
            needs=("ask-for-less",),
            task="**Cordon** a worker that runs a pod of `hungry`: `kubectl cordon NODE`, or click it and press "
            "**Cordon**. Then `kubectl scale deployment hungry --replicas=6`.",
            prediction=Prediction(
                "What becomes of the pods that run on the cordoned node?",
                ("They move", "They stay", "They are restarted"),
                fate_of_the_cordoned,
            ),
            check=nobody_new,
            solution=cordon_one,
            engines=CHANGES_NODES,
            why="A cordon keeps newcomers out and bothers nobody who is in. It is the first half of a *drain*, which "
            "the next lab does. Look at the node: the cordon is written down as a **taint**.",
        ),
        Step(
            id="guests",
            title="Reserved for guests",
            needs=("cordon",),
            task="Uncordon it, and reserve a worker: `kubectl taint node NODE dedicated=guests:NoSchedule`. Then "
            "create `guest`, two replicas that *tolerate* the taint **and** select the node (how a "
            "toleration is written stands above).",
            check=guests_at_home,
            solution=invite_guests,
            hints=(
                Hint("The label `kubernetes.io/hostname` of a node is its name: `nodeSelector` can use it."),
                Hint("`kube.actions.deploy('guest', …, 2, pod={'tolerations': […], 'nodeSelector': {…}})`"),
            ),
            engines=CHANGES_NODES,
            why="Taints and tolerations *repel*, selectors and affinity *attract*; to dedicate a machine one needs "
            "both. That is also how the control plane, once called *master*, keeps work for the *minions*: it has a "
            "taint that ordinary pods do not tolerate.",
        ),
        Step(
            id="no-execute",
            title="Everybody out",
            needs=("guests",),
            task="`NoSchedule` is polite. Add the other effect: `kubectl taint node NODE dedicated=guests:NoExecute`.",
            prediction=Prediction(
                "Pods of `hungry`, `shy`, `fair` and `guest` run on that node. Who has to leave?",
                ("Everybody", "All but the guests", "Nobody: they were there before"),
                who_left,
            ),
            check=only_guests_left,
            solution=evict_strangers,
            engines=CHANGES_NODES,
            why="`NoExecute` is the one rule that reaches pods which already run. The toleration of `guest` names no "
            "effect, so it covers this one too. Kubernetes itself taints a node in this way when it stops answering: "
            "that is how pods leave dead machines, and what the next lab is about.",
            patience=90,
        ),
        Step(
            id="vip",
            title="Make way",
            needs=("no-execute",),
            task="The two workers that are left are full of `hungry`. Now somebody important comes:\n\n"
            "```\n"
            "kubectl create priorityclass urgent --value=1000\n"
            "```\n\n"
            "and `vip`, one replica that requests **60 %** of a worker, with `priorityClassName: urgent`:\n\n"
            "`kube.actions.deploy('vip', 'traefik/whoami:v1.10', cpus=2.4, pod={'priorityClassName': 'urgent'})`",
            prediction=Prediction(
                "There is no room. What happens to `vip`?",
                ("It waits", "Others are pushed out", "It is refused"),
                how_vip_got_in,
            ),
            check=vip_has_room,
            solution=let_vip_in,
            hints=(
                Hint(
                    "If nobody had to go, there was room: scale `hungry` up until a pod of it waits.",
                    when=quietly(False)(lambda context: not waiting(context, "hungry")),
                ),
            ),
            why="**Preemption**: the scheduler looked for the node where the fewest and least important pods would "
            "have to go, asked them to leave, and kept the place (`nominatedNodeName`). Their Deployment made new "
            "ones at once, which wait now. Priorities solve an argument; they do not make machines bigger.",
            patience=90,
        ),
        Step(
            id="clean-up",
            title="Clean up",
            needs=("vip",),
            task="Delete the seven Deployments and the PriorityClass, and take the taints off:\n\n"
            "```\n"
            "kubectl delete deployment hungry fast shy even fair guest vip\n"
            "kubectl delete priorityclass urgent\n"
            "kubectl taint node NODE dedicated-\n"
            "```",
            check=tidy,
            solution=tidy_up,
            why="`dedicated-`, with a minus at the end, removes both effects at once.",
        ),
    ),
    recap=(
        Recap(
            "A node uses 5 % of its CPUs. 95 % are requested. A pod that requests 10 %…",
            ("fits", "does not fit", "fits if it has a limit"),
            1,
            "Requests are added up, use is not looked at. (A pod without requests would fit.)",
        ),
        Recap(
            "You add a toleration for `gpu=yes:NoSchedule`. Your pod now runs…",
            ("on the GPU node", "on the GPU node, or anywhere else", "nowhere else"),
            1,
            "A toleration opens a door. To be sent through it, the pod needs a selector or an affinity as well.",
        ),
        Recap(
            "Which of these can move a pod that runs?",
            ("A better node that turns up", "A `NoExecute` taint", "A label that the node loses"),
            1,
            "The scheduler never takes a decision back. Evictions (taints, drains, preemption) end pods; their "
            "owners make new ones, and *those* are placed anew.",
        ),
    ),
    shows={
        "a pod is placed once, by filters and then by scores": "why-nowhere",
        "taints repel, tolerations permit, affinity attracts": "guests",
    },
)
