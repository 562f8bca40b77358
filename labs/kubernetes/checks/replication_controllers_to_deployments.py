"""labs/kubernetes/08-replication-controllers-to-deployments: who keeps the number, and how it changes."""

from __future__ import annotations

from labkit.guide import Ask, Hint, Lab, Prediction, Recap, Step

from .common import heal_everything
from .replication_controllers_to_deployments_steps import (
    ONLY_SAID,
    adopt,
    adopted,
    all_gone,
    answer_gave_up,
    chain,
    change_template,
    create_classic,
    create_web,
    delete_owner,
    gave_up,
    gone,
    halfway,
    how_many_made,
    how_many_serve,
    limits_known,
    mixed,
    onward,
    orphan,
    orphaned,
    pause_halfway,
    remove_web,
    reset,
    resume,
    roll_out,
    roll_out_bad,
    rolled_out,
    set_limits,
    stalls,
    three_kept,
    too_late,
    undo,
    undone,
    what_of_running,
    what_of_the_old,
    what_of_the_pods,
    who_grows,
)

LAB = Lab(
    id="kubernetes/08-replication-controllers-to-deployments",
    title="From replication controllers to Deployments",
    goal="Follow the chain of owners, and change what runs without anybody noticing.",
    minutes=40,
    orchestrator="kubernetes",
    setup=heal_everything,
    reset=reset,
    steps=(
        Step(
            id="classic",
            title="Keep three",
            task="Create the replication controller `classic`: the cell above.",
            check=three_kept,
            solution=create_classic,
            why="A number, a label, a template: *three pods with `app=classic`; when one is missing, make it of this*. "
            "It was Kubernetes' first promise, and it still works.",
        ),
        Step(
            id="template",
            title="Change the template",
            needs=("classic",),
            task="Change the image in the template: `kubectl set image rc/classic whoami=traefik/whoami:v1.10.1`, or "
            "`kube.actions.update('classic', 'traefik/whoami:v1.10.1')`. Look at the pods. Then delete **one**.",
            prediction=Prediction(
                "Three pods of v1.10 run. The template now says v1.10.1. What happens to the three?",
                ("They are replaced, one by one", "They are replaced, all at once", "Nothing, until one dies"),
                what_of_running,
            ),
            check=mixed,
            solution=change_template,
            hints=(Hint("`kubectl get pods -l app=classic` – any of them."),),
            why="It counts; it does not look *into* what it counts. Of old, `kubectl rolling-update` did the rest from "
            "your own terminal: it made a second controller and turned both numbers, one by one. Close the laptop, "
            "and the update stood still.",
        ),
        Step(
            id="orphans",
            title="Take the owner away",
            needs=("template",),
            task="Delete the controller, but not its pods: `kubectl delete rc classic --cascade=orphan`.",
            prediction=Prediction(
                "Who owned them is gone. What do the pods do?",
                ("They end", "They run on", "Another one makes them anew"),
                what_of_the_pods,
            ),
            check=orphaned,
            solution=orphan,
            hints=(Hint("In Python: `delete_namespaced_replication_controller(…, propagation_policy='Orphan')`."),),
            why="A pod carries the name of its owner, `metadata.ownerReferences`. Usually the **garbage collector** "
            "follows such names and takes away what has no owner left. *Orphan* says: take the names off instead.",
        ),
        Step(
            id="adopted",
            title="Found children",
            needs=("orphans",),
            task="Create a **ReplicaSet** `classic`, today's replication controller: three pods, `app=classic`. The "
            "cell above has it; send it off with `apps.create_namespaced_replica_set('default', keeper)`.",
            prediction=Prediction(
                "It wants three pods with the label. How many does it make?", ("Three", "One", "None"), how_many_made
            ),
            check=adopted,
            solution=adopt,
            why="Three with its label are there, and nobody's: it **adopts** them. (Not even their version bothers it: "
            "labels are all it looks at.) The one thing that it can do and its elder could not: select by sets, "
            "`app in (a, b)`.",
        ),
        Step(
            id="cascade",
            title="Now with everything",
            needs=("adopted",),
            task="Delete it as one usually does: `kubectl delete rs classic`.",
            check=all_gone,
            solution=delete_owner,
            why="You deleted one object. The garbage collector found three that it owned.",
        ),
        Step(
            id="deployment",
            title="Owner of owners",
            task="Create the **Deployment** `web` of six: the cell above. Click one of its pods and read *owners*.",
            check=chain,
            solution=create_web,
            why="The Deployment keeps no pods. It keeps **ReplicaSets**, one for each template it ever had; the end of "
            "their names is a hash of the template. A new template is a new ReplicaSet – and now there is somebody who "
            "turns both numbers.",
        ),
        Step(
            id="limits",
            title="How daring?",
            needs=("deployment",),
            task="Set the sliders: both to 1, or as you like. Try both at 0, too.",
            ask=Ask("With your sliders: how many pods of `web` may there be at once, at most?"),
            check=limits_known,
            solution=set_limits,
            hints=(Hint("Six are wanted; the surge comes on top."),),
            why="**maxSurge** is what it may cost, **maxUnavailable** what your users may notice. Both 0 would be a "
            "rollout that may neither begin with a new pod nor with an old one: that is refused.",
        ),
        Step(
            id="rollout",
            title="Watch them cross",
            needs=("limits",),
            task="**Roll out** `traefik/whoami:v1.10.1`, and watch the two ReplicaSets below `web` in the dashboard.",
            prediction=Prediction(
                "Afterwards: what becomes of the old ReplicaSet?",
                ("It is deleted", "It stays, with no pods", "It is renamed"),
                what_of_the_old,
            ),
            check=rolled_out,
            solution=roll_out,
            hints=(Hint("Or `kubectl set image deployment/web whoami=traefik/whoami:v1.10.1`."),),
            why="New up, old down, never past your two limits; and nothing of it depended on your terminal. The old "
            "ReplicaSet is kept at 0: it *is* the way back.",
            patience=90,
        ),
        Step(
            id="halfway",
            title="Stop halfway",
            needs=("rollout",),
            task="Any change of the template is a rollout: `paint('green')` in a cell, or "
            "`kubectl set env deployment/web COLOUR=green`. Start it, and **pause** it while the two cross: click "
            "`web` in the dashboard's list and press *Pause rollout*, or `kubectl rollout pause deployment/web`. You "
            "have a few seconds.",
            check=halfway,
            solution=pause_halfway,
            hints=(
                Hint(
                    "Too late, it was through. Set maxSurge to 1 and maxUnavailable to 0, take another colour.",
                    when=too_late,
                ),
                Hint("The solution waits until both have pods, and then pauses."),
            ),
            why="Both answer behind the same labels: a *canary*. Look at it for as long as you like. While it is "
            "paused you may change the template again and again; only what stands there in the end is rolled out.",
            patience=90,
        ),
        Step(
            id="onward",
            title="And on",
            needs=("halfway",),
            task="You like it: **Resume rollout**, or `kubectl rollout resume deployment/web`.",
            check=onward,
            solution=resume,
            why="It looks at how things are, and goes on from there: level-triggered, like everything here.",
            patience=90,
        ),
        Step(
            id="bad-image",
            title="Break it: a version that is not there",
            needs=("onward",),
            task="Roll out `traefik/whoami:v9.99` – type it below the sliders, or "
            "`kubectl set image deployment/web whoami=traefik/whoami:v9.99`. Nobody ever built it.",
            prediction=Prediction(
                "How many of the six go on answering?",
                ("None", "Six, less maxUnavailable", "All six, always"),
                how_many_serve,
            ),
            check=stalls,
            solution=roll_out_bad,
            why="The new pods never become ready, so no further old one may go. Your limits have just saved the night.",
            patience=120,
        ),
        Step(
            id="deadline",
            title="How long is too long?",
            needs=("bad-image",),
            task="`web` has a **progress deadline** of 20 seconds (usually ten minutes). Wait until it has passed.",
            ask=Ask(
                "The deadline has passed. What did Kubernetes do about it?",
                ("It went back to the version before", "It deleted the new pods", ONLY_SAID),
            ),
            check=gave_up,
            solution=answer_gave_up,
            why="A condition, `Progressing: False`, and `kubectl rollout status` ends with an error: enough for a "
            "pipeline to notice. To go back is a decision, and nobody takes it for you.",
            patience=90,
        ),
        Step(
            id="undo",
            title="Undo",
            needs=("bad-image",),
            task="Take it: **Undo** in the dashboard, or `kubectl rollout undo deployment/web`.",
            prediction=Prediction(
                "Which ReplicaSet runs the pods then?",
                ("A new one is made", "An old ReplicaSet grows again", "The bad one is mended"),
                who_grows,
            ),
            check=undone,
            solution=undo,
            why="The template of before has its ReplicaSet still: it grows again, and gets the next number. *Undo* is "
            "a rollout like any other, with the same limits.",
            patience=90,
        ),
        Step(
            id="clean-up",
            title="Clean up",
            needs=("deployment",),
            task="`kubectl delete deployment web`",
            check=gone,
            solution=remove_web,
            why="One note deleted, and the collector follows the chain: ReplicaSets, then pods.",
        ),
    ),
    recap=(
        Recap(
            "You change a Deployment's image. What is written anew?",
            ("Its pods", "A ReplicaSet with the new template; the rest is counting", "Its Service"),
            1,
            "Pods are never changed. A new ReplicaSet grows, the old one shrinks.",
        ),
        Recap(
            "Ten replicas, maxSurge 0, maxUnavailable 2. During a rollout there are…",
            ("at most 12 pods", "at least 8 ready pods, never more than 10", "always 10 ready pods"),
            1,
            "Without surge an old one must go before a new one comes.",
        ),
        Recap(
            "A rollout hangs at three in the morning. Your users…",
            ("see errors on every request", "are served by the old pods", "see the version before, rolled back"),
            1,
            "Nothing that serves is taken away until its successor is ready. Nothing goes back by itself either.",
        ),
    ),
    shows={
        "replication controllers keep a number of replicas": "classic",
        "deployment, scaling and management are automated": "rollout",
    },
)
