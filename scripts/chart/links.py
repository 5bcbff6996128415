"""Whether the objects of a render find each other: by labels, by names and by ports."""

from collections.abc import Iterator

from .helm import named
from .pods import templates

# Kinds that find pods by labels, and where the labels are.
_SELECTORS = {
    "Service": ("selector",),
    "Deployment": ("selector", "matchLabels"),
    "PodDisruptionBudget": ("selector", "matchLabels"),
    "NetworkPolicy": ("podSelector", "matchLabels"),
}
_HOOK = "helm.sh/hook"


def complaints(objects: list[dict]) -> list[str]:
    return [*_names(objects), *_selectors(objects), *_spread(objects), *_references(objects), *_targets(objects), *_policies(objects), *_hooks(objects)]


def _names(objects: list[dict]) -> Iterator[str]:
    seen = set()
    for thing in objects:
        if named(thing) in seen:
            yield f"{named(thing)} is rendered twice"
        seen.add(named(thing))
        if len(thing["metadata"]["name"]) > 63:
            yield f"{named(thing)}: the name is longer than 63 characters"
        if not {"app.kubernetes.io/name", "app.kubernetes.io/instance", "helm.sh/chart"} <= set(thing["metadata"]["labels"]):
            yield f"{named(thing)}: labels are missing"


def _labels(objects: list[dict]) -> dict[str, dict]:
    return {named(thing): template["metadata"]["labels"] for thing, template in templates(objects)}


def _matches(selector: dict, labels: dict) -> bool:
    return selector.items() <= labels.items()


def _selectors(objects: list[dict]) -> Iterator[str]:
    pods = _labels(objects)
    for thing in objects:
        path = _SELECTORS.get(thing["kind"])
        if path is None:
            continue
        selector = thing["spec"]
        for key in path:
            selector = selector[key]
        found = {name for name, labels in pods.items() if _matches(selector, labels)}
        if not found:
            yield f"{named(thing)} finds no pods"
        if thing["kind"] == "Deployment" and found != {named(thing)}:
            yield f"{named(thing)} finds the pods of {sorted(found)}"
        if thing["kind"] == "Service":
            yield from _ports(thing, [o for o in objects if named(o) in found])


def _ports(service: dict, owners: list[dict]) -> Iterator[str]:
    for port in service["spec"]["ports"]:
        for owner in owners:
            names = {p["name"] for c in owner["spec"]["template"]["spec"]["containers"] for p in c.get("ports") or []}
            if port["targetPort"] not in names:
                yield f"{named(service)}: {named(owner)} has no port {port['targetPort']}"


def _spread(objects: list[dict]) -> Iterator[str]:
    for thing, template in templates(objects):
        for constraint in template["spec"].get("topologySpreadConstraints") or []:
            if not _matches(constraint["labelSelector"]["matchLabels"], template["metadata"]["labels"]):
                yield f"{named(thing)} spreads other pods than its own"


def _references(objects: list[dict]) -> Iterator[str]:
    """Names that begin as the release does are of objects that the chart makes; others come from elsewhere."""
    made = {named(thing) for thing in objects}
    release = {thing["metadata"]["labels"]["app.kubernetes.io/instance"] for thing in objects}.pop()
    for thing, template in templates(objects):
        spec = template["spec"]
        wanted = [("ServiceAccount", spec.get("serviceAccountName", "default"))]
        for volume in spec["volumes"]:
            if volume["name"] == "config":
                wanted.append(("ConfigMap", volume["configMap"]["name"]))
            if volume["name"] == "data" and "persistentVolumeClaim" in volume:
                wanted.append(("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]))
        for kind, name in wanted:
            if name.startswith(release) and f"{kind}/{name}" not in made:
                yield f"{named(thing)} names {kind}/{name}, which nobody makes"


def _targets(objects: list[dict]) -> Iterator[str]:
    by_name = {named(thing): thing for thing in objects}
    scaled = set()
    for thing in objects:
        if thing["kind"] in ("HorizontalPodAutoscaler", "ScaledObject"):
            target = "Deployment/" + thing["spec"]["scaleTargetRef"]["name"]
            if target not in by_name:
                yield f"{named(thing)} scales {target}, which nobody makes"
            elif "replicas" in by_name[target]["spec"]:
                yield f"{target} has a number of replicas that {named(thing)} would be set back to by each upgrade"
            if target in scaled:
                yield f"{target} is scaled by two"
            scaled.add(target)
            for trigger in thing["spec"].get("triggers") or []:
                reference = (trigger.get("authenticationRef") or {}).get("name")
                if trigger["type"] == "postgresql" and f"TriggerAuthentication/{reference}" not in by_name:
                    yield f"{named(thing)} has no way into the database"
        if thing["kind"] == "Ingress":
            for rule in thing["spec"]["rules"]:
                for path in rule["http"]["paths"]:
                    backend = path["backend"]["service"]
                    service = by_name.get(f"Service/{backend['name']}")
                    if service is None or backend["port"]["name"] not in {port["name"] for port in service["spec"]["ports"]}:
                        yield f"{named(thing)} leads to no port of a service"
        if thing["kind"] == "ServiceMonitor":
            services = [o for o in objects if o["kind"] == "Service" and _matches(thing["spec"]["selector"]["matchLabels"], o["metadata"]["labels"])]
            watched = {name for name, labels in _labels(objects).items() for service in services if _matches(service["spec"]["selector"], labels)}
            missing = {named(o) for o in objects if o["kind"] == "Deployment"} - watched
            yield from (f"{named(thing)} does not see {name}" for name in sorted(missing))


def _policies(objects: list[dict]) -> Iterator[str]:
    policies = [thing for thing in objects if thing["kind"] == "NetworkPolicy"]
    if not policies:
        return
    for policy in policies:
        if set(policy["spec"]["policyTypes"]) != {"Ingress", "Egress"}:
            yield f"{named(policy)} does not deny what it does not name"
        for rule in policy["spec"].get("ingress") or []:
            if not rule.get("from"):
                yield f"{named(policy)} lets everybody in"
        for rule in policy["spec"].get("egress") or []:
            if not rule.get("ports"):
                yield f"{named(policy)} lets out to every port"
    for name, labels in _labels(objects).items():
        if not any(_matches(policy["spec"]["podSelector"]["matchLabels"], labels) for policy in policies):
            yield f"{name} is under no policy"


def _hooks(objects: list[dict]) -> Iterator[str]:
    """A hook that runs before an install finds nothing of the release there."""
    for thing in objects:
        hooks = (thing["metadata"].get("annotations") or {}).get(_HOOK, "")
        if "pre-install" not in hooks or thing["kind"] != "Job":
            continue
        spec = thing["spec"]["template"]["spec"]
        if spec.get("serviceAccountName") or any(v["name"] == "config" for v in spec["volumes"]):
            yield f"{named(thing)} needs what does not exist before an install"
