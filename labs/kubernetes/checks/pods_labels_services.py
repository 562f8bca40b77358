"""labs/kubernetes/07-pods-labels-services: what a pod is, and how things that come and go find each other."""

from __future__ import annotations

from labkit.guide import Ask, Hint, Lab, Prediction, Recap, Step

from .common import heal_everything
from .pods_labels_services_steps import (
    ITS_OWN,
    answer_name,
    create_quarrel,
    create_shop,
    create_twins,
    expose_shop,
    gone,
    how_many,
    label_aside,
    label_back,
    name_known,
    one_of_two,
    put_aside,
    put_back,
    remove_all,
    remove_ready,
    reset,
    service_sends,
    three_ready,
    touch_ready,
    two_in_one,
    unready,
    well_again,
    what_came_of_four,
    what_of_it,
    who_gets_the_port,
)

LAB = Lab(
    id="kubernetes/07-pods-labels-services",
    title="Pods, labels, Services",
    goal="Find out what a pod is, and how things that come and go find each other.",
    minutes=30,
    orchestrator="kubernetes",
    setup=heal_everything,
    reset=reset,
    steps=(
        Step(
            id="twins",
            title="Two containers, one pod",
            task="Create the pod `twins`, of two containers: the cell above. One is a web server; the other asks "
            "`http://localhost` every second and prints what it hears.",
            check=two_in_one,
            solution=create_twins,
            hints=(Hint("In a terminal: `kubectl logs twins -c helper`."),),
            why="`localhost` of one container is `localhost` of the other, and the answer says *Hostname: twins*: a "
            "pod is one small computer, with one address and one name. Its containers start, move and die together.",
        ),
        Step(
            id="quarrel",
            title="Two who want one port",
            task="What if **both** want port 80? Say first what you think. Then send the pod off, in a cell of your "
            "own:\n\n`core.create_namespaced_pod('default', quarrel).metadata.name`",
            prediction=Prediction(
                "Two web servers in one pod, both on port 80. Who gets it?",
                ("Both: each container has its own", "They take turns", "The first to start; the other fails"),
                who_gets_the_port,
            ),
            check=one_of_two,
            solution=create_quarrel,
            hints=(Hint("`kubectl logs quarrel -c two` says what hurts."),),
            why="*Address already in use*, as on any computer. The kubelet starts the loser again and again, each time "
            "a little later: **CrashLoopBackOff**. So: one pod for things that must live together, one pod *each* for "
            "things that you want to count.",
        ),
        Step(
            id="three",
            title="Three of a kind",
            task="Create the Deployment `shop` of **three** pods with the cell above. Each serves a page with its own "
            "name, and says at `/ready` whether it wants visitors.",
            check=three_ready,
            solution=create_shop,
            why="Three addresses, all of which will change. Nobody should ever write one of them down.",
        ),
        Step(
            id="service",
            title="One address in front",
            needs=("three",),
            task="Put a **Service** in front: `kubectl expose deployment shop --port=80`, or the cell above.",
            check=service_sends,
            solution=expose_shop,
            hints=(Hint("The Service must be called `shop` and select `app=shop`."),),
            why="A Service holds no list of pods. It holds a **selector**, `app=shop`, and an address that stays. "
            "Somebody else – a controller, of course – keeps the list of ready pods that carry the label.",
        ),
        Step(
            id="name",
            title="And one name",
            needs=("service", "twins"),
            task="Every pod asks the cluster's own DNS. The cell above asks it, from inside `twins`, what `shop` is.",
            ask=Ask(
                "Which address does the name `shop` stand for?",
                ("That of one pod, each time another", ITS_OWN, "That of a node"),
            ),
            check=name_known,
            solution=answer_name,
            why="The name leads to the Service's address, and the way to one of the pods is chosen for each "
            "connection, on the node where the question begins. Nothing listens at that address: kube-proxy's rules "
            "turn it into a pod's.",
        ),
        Step(
            id="aside",
            title="Take one aside",
            needs=("service",),
            task="One of the three behaves oddly, and you want to look at it in peace. Change its label: click it in "
            "the graph and set `app=aside`, or `kubectl label pod NAME app=aside --overwrite`.",
            prediction=Prediction(
                "Three are wanted, one changes its label. How many of `shop`'s pods run afterwards, all in all?",
                ("Two", "Three", "Four"),
                how_many,
            ),
            check=put_aside,
            solution=label_aside,
            hints=(Hint("NAME is one of `kubectl get pods -l app=shop`."),),
            why="The ReplicaSet counts what carries its labels: two. So it made a **twin**, and let go of the old pod, "
            "which runs on, owned by nobody, reached by nobody but you. The Service counts the same way.",
        ),
        Step(
            id="back",
            title="Put it back",
            needs=("aside",),
            task="You have seen enough. Give it its label back: `app=shop`.",
            prediction=Prediction(
                "Now four carry the label. What happens?",
                ("The ReplicaSet takes it in, and deletes one", "It is refused", "Four stay: more is better"),
                what_came_of_four,
            ),
            check=put_back,
            solution=label_back,
            why="It adopts whatever fits its selector and has no owner; then it counts four, one too many. Which one "
            "goes? Not-ready before ready, the crowded node before the empty one, young before old.",
        ),
        Step(
            id="not-now",
            title="Ask not to be disturbed",
            needs=("service",),
            task="A pod can take *itself* out of the Service. Remove the file behind `/ready` in one of them, in a "
            "cell of your own or in a terminal:\n\n`inside(first, 'rm', '/www/ready')`\n\n"
            "`kubectl exec NAME -- rm /www/ready`",
            prediction=Prediction(
                "A running pod says that it is not ready. What happens to it?",
                ("It is replaced", "It is restarted", "It gets no traffic, and stays"),
                what_of_it,
            ),
            check=unready,
            solution=remove_ready,
            why="The **readiness probe** failed three times, so the kubelet wrote *not ready*, and the Service's list "
            "lost one line. No twin this time: the pod still carries the label, so the ReplicaSet counts three. "
            "Labels say *what* it is, readiness *whether now*.",
        ),
        Step(
            id="well-again",
            title="Ready again",
            needs=("not-now",),
            task="`inside(first, 'touch', '/www/ready')`, or `kubectl exec NAME -- touch /www/ready`.",
            check=well_again,
            solution=touch_ready,
            why="This is how a pod says *not yet* while it starts, and *not now* while it is overloaded, without "
            "losing a single connection that it has.",
        ),
        Step(
            id="clean-up",
            title="Clean up",
            needs=("twins", "three"),
            task="`kubectl delete deployment,service shop` and `kubectl delete pod twins quarrel`. (The second takes "
            "half a minute: the shell in `twins` does not listen to SIGTERM, and is killed after 30 seconds.)",
            check=gone,
            solution=remove_all,
            why="The Deployment took its pods along. The two pods you made by hand had nobody to do that.",
        ),
    ),
    recap=(
        Recap(
            "A web server and its log shipper share files. Where do they go?",
            ("One pod, two containers", "Two pods on one node", "One container"),
            0,
            "They live and die together, and talk over localhost: one pod.",
        ),
        Recap(
            "Three pods run, the Service refuses every connection. What do you look at first?",
            ("The node's network", "The Service's selector, the pods' labels and readiness", "DNS"),
            1,
            "`kubectl get endpointslices`: an empty list means that no ready pod carries the label.",
        ),
        Recap(
            "You change the label of a ReplicaSet's pod. The pod…",
            ("is deleted", "runs on, and another one is made", "gets its label back"),
            1,
            "It counts by label, and lets go of what does not fit.",
        ),
    ),
    shows={
        "pods are one or a few containers on one host, with one address": "twins",
        "services are a fixed address in front of pods that change": "service",
        "labels are the key-value tags by which the system finds things": "aside",
    },
)
