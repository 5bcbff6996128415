"""Whether objects have the form that Kubernetes, and the operators beside it, know."""

import jsonschema
import kubernetes_validate

from .helm import KUBERNETES, named

# What the operators' own definitions say of the fields that the chart uses. Anything else is refused, so a field is
# looked up before it is used.
_TEXT = {"type": "string", "minLength": 1}
_COUNT = {"type": "integer", "minimum": 0}
_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_DURATION = {"type": "string", "pattern": r"^([0-9]+(ms|s|m|h|d))+$"}
_LABEL_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"


def _object(required: dict, **optional: dict) -> dict:
    return {
        "type": "object",
        "properties": required | optional,
        "required": list(required),
        "additionalProperties": False,
    }


def _list(items: dict) -> dict:
    return {"type": "array", "items": items, "minItems": 1}


_SECRET_KEY = _object({"name": _TEXT, "key": _TEXT})

_SERVICE_MONITOR = _object(
    {
        "selector": _object({"matchLabels": _TEXTS}),
        "endpoints": _list(
            _object(
                {"port": _TEXT, "path": {"type": "string", "pattern": "^/"}, "interval": _DURATION},
                authorization=_object({"type": {"const": "Bearer"}, "credentials": _SECRET_KEY}),
            )
        ),
    },
    namespaceSelector=_object({"matchNames": _list(_TEXT)}),
    podTargetLabels=_list(_TEXT),
)

_PROMETHEUS_RULE = _object(
    {
        "groups": _list(
            _object(
                {
                    "name": _TEXT,
                    "rules": _list(
                        _object(
                            {
                                "alert": {"type": "string", "pattern": _LABEL_NAME},
                                "expr": _TEXT,
                                "labels": _object({"severity": {"enum": ["warning", "critical"]}}),
                                "annotations": _object({"summary": _TEXT, "description": _TEXT}),
                            },
                            **{"for": _DURATION},
                        )
                    ),
                }
            )
        )
    }
)

_BEHAVIOUR = _object(
    {
        "scaleDown": _object(
            {"stabilizationWindowSeconds": {"type": "integer", "minimum": 0, "maximum": 3600}},
            policies=_list(
                _object({"type": {"enum": ["Pods", "Percent"]}, "value": _COUNT, "periodSeconds": {"type": "integer", "minimum": 1, "maximum": 1800}})
            ),
        )
    }
)

# metadata of a trigger holds texts only, numbers too
_POSTGRESQL = {"host", "port", "userName", "dbName", "sslmode", "query", "targetQueryValue"}
_PROMETHEUS = {"serverAddress", "query", "threshold"}


def _trigger(kind: str, metadata: set[str]) -> dict:
    return _object(
        {"type": {"const": kind}, "metadata": _object({name: _TEXT for name in metadata}), "metricType": {"const": "AverageValue"}},
        authenticationRef=_object({"name": _TEXT}),
    )


_SCALED_OBJECT = _object(
    {
        "scaleTargetRef": _object({"apiVersion": {"const": "apps/v1"}, "kind": {"const": "Deployment"}, "name": _TEXT}),
        "minReplicaCount": _COUNT,
        "maxReplicaCount": {"type": "integer", "minimum": 1},
        "triggers": _list({"anyOf": [_trigger("postgresql", _POSTGRESQL), _trigger("prometheus", _PROMETHEUS)]}),
    },
    pollingInterval=_COUNT,
    cooldownPeriod=_COUNT,
    fallback=_object({"failureThreshold": _COUNT, "replicas": _COUNT}),
    advanced=_object({"horizontalPodAutoscalerConfig": _object({"behavior": _BEHAVIOUR})}),
)

_TRIGGER_AUTHENTICATION = _object({"secretTargetRef": _list(_object({"parameter": _TEXT, "name": _TEXT, "key": _TEXT}))})

_OPERATORS = {
    ("monitoring.coreos.com/v1", "ServiceMonitor"): _SERVICE_MONITOR,
    ("monitoring.coreos.com/v1", "PrometheusRule"): _PROMETHEUS_RULE,
    ("keda.sh/v1alpha1", "ScaledObject"): _SCALED_OBJECT,
    ("keda.sh/v1alpha1", "TriggerAuthentication"): _TRIGGER_AUTHENTICATION,
}


def complaints(thing: dict) -> list[str]:
    """What is wrong with the form of an object."""
    spec = _OPERATORS.get((thing["apiVersion"], thing["kind"]))
    if spec is None:
        try:
            kubernetes_validate.validate(thing, KUBERNETES, strict=True)
        except kubernetes_validate.ValidationError as error:
            return [f"{named(thing)}: {'.'.join(map(str, error.path))}: {error.message}"]
        return []
    metadata = _object({"name": _TEXT, "labels": _TEXTS})
    whole = _object({"apiVersion": _TEXT, "kind": _TEXT, "metadata": metadata, "spec": spec})
    errors = jsonschema.Draft202012Validator(whole).iter_errors(thing)
    return [f"{named(thing)}: {error.json_path}: {error.message}" for error in errors]
