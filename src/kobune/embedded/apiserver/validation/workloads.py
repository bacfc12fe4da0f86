"""Rules of apps/v1, batch/v1 and policy/v1."""

from typing import Any

from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.validation.checks import immutable, int_or_percent, non_negative, one_of
from kobune.embedded.apiserver.validation.metadata import selector
from kobune.embedded.apiserver.validation.pods import template
from kobune.embedded.apiserver.validation.schedules import schedule_problem, zone_problem

__all__ = [
    "cron_job",
    "daemon_set",
    "deployment",
    "disruption_budget",
    "job",
    "job_update",
    "selector_update",
    "stateful_set",
    "stateful_set_update",
    "workload",
]


_LONGEST_CRON_NAME = 52
"""Its jobs' names have eleven characters more."""


def matches(given: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a label selector selects these labels."""
    for key, value in (given.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for expression in given.get("matchExpressions") or ():
        key, operator, values = expression.get("key"), expression.get("operator"), expression.get("values") or []
        present = key in labels
        if operator == "In" and not (present and labels[key] in values):
            return False
        if operator == "NotIn" and present and labels[key] in values:
            return False
        if (operator == "Exists" and not present) or (operator == "DoesNotExist" and present):
            return False
    return True


def workload(obj: dict[str, Any]) -> list[FieldError]:
    """What Deployments, ReplicaSets, StatefulSets and DaemonSets share."""
    spec = obj.get("spec") or {}
    errors = non_negative(spec.get("replicas"), "spec.replicas")
    errors += non_negative(spec.get("minReadySeconds"), "spec.minReadySeconds")
    errors += non_negative(spec.get("revisionHistoryLimit"), "spec.revisionHistoryLimit")
    given = spec.get("selector")
    pod = spec.get("template") or {}
    if not given:
        errors.append(FieldError.required("spec.selector"))
    else:
        errors += selector(given, "spec.selector")
        if not given.get("matchLabels") and not given.get("matchExpressions"):
            errors.append(FieldError.invalid("spec.selector", given, "empty selector is invalid for deployment"))
        labels = (pod.get("metadata") or {}).get("labels") or {}
        if not matches(given, labels):
            text = "`selector` does not match template `labels`"
            errors.append(FieldError.invalid("spec.template.metadata.labels", labels, text))
    errors += template(pod, "spec.template")
    restart = (pod.get("spec") or {}).get("restartPolicy")
    if restart not in (None, "Always"):
        errors.append(FieldError.not_supported("spec.template.spec.restartPolicy", restart, ("Always",)))
    return errors


def deployment(obj: dict[str, Any]) -> list[FieldError]:
    """A Deployment and its strategy."""
    errors = workload(obj)
    spec = obj.get("spec") or {}
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate" and strategy.get("rollingUpdate"):
        text = "may not be specified when strategy `type` is 'Recreate'"
        errors.append(FieldError.forbidden("spec.strategy.rollingUpdate", text))
    errors += one_of(strategy.get("type"), ("Recreate", "RollingUpdate"), "spec.strategy.type")
    rolling = strategy.get("rollingUpdate") or {}
    for field in ("maxUnavailable", "maxSurge"):
        errors += int_or_percent(rolling.get(field), f"spec.strategy.rollingUpdate.{field}")
    if not errors and rolling:
        errors += _rolling(rolling, "spec.strategy.rollingUpdate")
    progress = spec.get("progressDeadlineSeconds")
    errors += non_negative(progress, "spec.progressDeadlineSeconds")
    if progress is not None and progress <= spec.get("minReadySeconds", 0):
        text = "must be greater than minReadySeconds"
        errors.append(FieldError.invalid("spec.progressDeadlineSeconds", progress, text))
    return errors


def _rolling(rolling: dict[str, Any], path: str) -> list[FieldError]:
    gone, more = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    if _none(gone) and _none(more):
        return [FieldError.invalid(f"{path}.maxUnavailable", gone, "may not be 0 when `maxSurge` is 0")]
    if isinstance(gone, str) and int(gone.rstrip("%")) > 100:
        return [FieldError.invalid(f"{path}.maxUnavailable", gone, "must not be greater than 100%")]
    return []


def _none(value: Any) -> bool:
    return value in (0, "0%", None)


def stateful_set(obj: dict[str, Any]) -> list[FieldError]:
    """A StatefulSet's policies."""
    errors = workload(obj)
    spec = obj.get("spec") or {}
    policy = spec.get("podManagementPolicy")
    if policy not in (None, "OrderedReady", "Parallel"):
        text = "must be 'OrderedReady' or 'Parallel'"
        errors.append(FieldError.invalid("spec.podManagementPolicy", policy, text))
    update = spec.get("updateStrategy") or {}
    rolling = update.get("rollingUpdate")
    match update.get("type"):
        case None | "RollingUpdate":
            partition = (rolling or {}).get("partition")
            errors += non_negative(partition, "spec.updateStrategy.rollingUpdate.partition")
        case "OnDelete":
            if rolling is not None:
                text = "only allowed for updateStrategy 'RollingUpdate'"
                errors.append(FieldError.invalid("spec.updateStrategy.rollingUpdate", rolling, text))
        case _:
            text = "must be 'RollingUpdate' or 'OnDelete'"
            errors.append(FieldError.invalid("spec.updateStrategy", update, text))
    kept = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for field in ("whenDeleted", "whenScaled"):
        at = f"spec.persistentVolumeClaimRetentionPolicy.{field}"
        errors += one_of(kept.get(field), ("Retain", "Delete"), at)
    return errors + non_negative((spec.get("ordinals") or {}).get("start"), "spec.ordinals.start")


def daemon_set(obj: dict[str, Any]) -> list[FieldError]:
    """A DaemonSet's way to a new version."""
    errors = workload(obj)
    update = (obj.get("spec") or {}).get("updateStrategy") or {}
    at = "spec.updateStrategy"
    errors += one_of(update.get("type"), ("RollingUpdate", "OnDelete"), f"{at}.type")
    rolling = update.get("rollingUpdate")
    if rolling and update.get("type") == "RollingUpdate":
        gone, more = rolling.get("maxUnavailable"), rolling.get("maxSurge")
        wrong = int_or_percent(gone, f"{at}.rollingUpdate.maxUnavailable")
        wrong += int_or_percent(more, f"{at}.rollingUpdate.maxSurge")
        if not wrong and not _none(gone) and not _none(more):
            text = "may not be set when maxUnavailable is non-zero"
            wrong.append(FieldError.invalid(f"{at}.rollingUpdate.maxSurge", more, text))
        elif not wrong and _none(gone) and _none(more):
            text = "cannot be 0 when maxSurge is 0"
            wrong.append(FieldError.required(f"{at}.rollingUpdate.maxUnavailable", text))
        errors += wrong
    return errors


def selector_update(obj: dict[str, Any], old: dict[str, Any]) -> list[FieldError]:
    """The selector of an apps/v1 kind never changes."""
    return immutable((obj.get("spec") or {}).get("selector"), (old.get("spec") or {}).get("selector"), "spec.selector")


_STATEFUL_TEXT = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


def stateful_set_update(obj: dict[str, Any], old: dict[str, Any]) -> list[FieldError]:
    """Most of a StatefulSet's spec never changes."""
    mutable = {
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    }
    new = {k: v for k, v in (obj.get("spec") or {}).items() if k not in mutable}
    before = {k: v for k, v in (old.get("spec") or {}).items() if k not in mutable}
    return [] if new == before else [FieldError.forbidden("spec", _STATEFUL_TEXT)]


def job(obj: dict[str, Any]) -> list[FieldError]:
    """A Job."""
    spec = obj.get("spec") or {}
    given = spec.get("selector")
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    errors = [] if spec.get("manualSelector") or not given else _generated(obj["metadata"], given, labels)
    errors += _job_spec(spec, "spec")
    if not given:
        # Jobs that were stored without a selector of their own stay as they are.
        return [*errors, FieldError.required("spec.selector")] if spec.get("manualSelector") else errors
    errors += selector(given, "spec.selector")
    if not matches(given, labels):
        text = "`selector` does not match template `labels`"
        errors.append(FieldError.invalid("spec.template.metadata.labels", labels, text))
    return errors


def _generated(metadata: dict[str, Any], given: dict[str, Any], labels: dict[str, str]) -> list[FieldError]:
    uid, name = metadata.get("uid", ""), metadata.get("name", "")
    expected = {
        "controller-uid": uid,
        "job-name": name,
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
    }
    errors: list[FieldError] = []
    for key, value in expected.items():
        at, text = f"spec.template.metadata.labels[{key}]", f"must be '{value}'"
        if key not in labels:
            errors.append(FieldError.required(at, text))
        elif labels[key] != value:
            errors.append(FieldError.invalid(at, labels, text))
    if not matches(given, expected):
        errors.append(FieldError.invalid("spec.selector", given, "`selector` not auto-generated"))
    return errors


def _job_spec(spec: dict[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for field in ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"):
        errors += non_negative(spec.get(field), f"{path}.{field}")
    mode = spec.get("completionMode")
    errors += one_of(mode, ("NonIndexed", "Indexed"), f"{path}.completionMode")
    if mode == "Indexed" and spec.get("completions") is None:
        errors.append(FieldError.required(f"{path}.completions", "when completion mode is Indexed"))
    if mode != "Indexed":
        text = "requires indexed completion mode"
        for field in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if spec.get(field) is not None:
                errors.append(FieldError.invalid(f"{path}.{field}", spec[field], text))
    actions = ("Count", "FailIndex", "FailJob", "Ignore")
    for i, rule in enumerate((spec.get("podFailurePolicy") or {}).get("rules") or ()):
        errors += one_of(rule.get("action"), actions, f"{path}.podFailurePolicy.rules[{i}].action")
    pod = spec.get("template") or {}
    errors += template(pod, f"{path}.template")
    restart = (pod.get("spec") or {}).get("restartPolicy")
    if restart not in ("OnFailure", "Never"):
        at = f"{path}.template.spec.restartPolicy"
        if restart in (None, "", "Always"):
            text = 'valid values: "OnFailure", "Never"'
            errors.append(FieldError.required(at, text))
        else:
            errors.append(FieldError.not_supported(at, restart, ("OnFailure", "Never")))
    return errors


def job_update(obj: dict[str, Any], old: dict[str, Any]) -> list[FieldError]:
    """Selector, template and completion mode of a Job never change."""
    new_spec, old_spec = obj.get("spec") or {}, old.get("spec") or {}
    errors: list[FieldError] = []
    for field in ("selector", "completionMode"):
        errors += immutable(new_spec.get(field), old_spec.get(field), f"spec.{field}")
    if not (old_spec.get("suspend") and not (old.get("status") or {}).get("startTime")):
        errors += immutable(new_spec.get("template"), old_spec.get("template"), "spec.template")
    return errors


def cron_job(obj: dict[str, Any]) -> list[FieldError]:
    """A CronJob's schedule and template."""
    spec = obj.get("spec") or {}
    errors: list[FieldError] = []
    schedule, zone = spec.get("schedule", ""), spec.get("timeZone")
    if not schedule:
        errors.append(FieldError.required("spec.schedule"))
    elif "TZ=" in schedule:
        text = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        errors.append(FieldError.invalid("spec.schedule", schedule, text))
    elif wrong := schedule_problem(schedule):
        errors.append(FieldError.invalid("spec.schedule", schedule, wrong))
    if zone is not None and (wrong := zone_problem(zone)):
        errors.append(FieldError.invalid("spec.timeZone", zone, wrong))
    for field in ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        errors += non_negative(spec.get(field), f"spec.{field}")
    name = obj["metadata"].get("name", "")
    if len(name) > _LONGEST_CRON_NAME:
        text = f"must be no more than {_LONGEST_CRON_NAME} characters"
        errors.append(FieldError.invalid("metadata.name", name, text))
    errors += one_of(spec.get("concurrencyPolicy"), ("Allow", "Forbid", "Replace"), "spec.concurrencyPolicy")
    inner = (spec.get("jobTemplate") or {}).get("spec") or {}
    return errors + _job_spec(inner, "spec.jobTemplate.spec")


def disruption_budget(obj: dict[str, Any]) -> list[FieldError]:
    """A PodDisruptionBudget has one of two limits."""
    spec = obj.get("spec") or {}
    errors: list[FieldError] = []
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        errors.append(FieldError.invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set"))
    for field in ("minAvailable", "maxUnavailable"):
        value = spec.get(field)
        found = int_or_percent(value, f"spec.{field}")
        errors += found
        if not found and isinstance(value, str) and int(value.rstrip("%")) > 100:
            errors.append(FieldError.invalid(f"spec.{field}", value, "must not be greater than 100%"))
    if spec.get("selector"):
        errors += selector(spec["selector"], "spec.selector")
    policies = ("AlwaysAllow", "IfHealthyBudget")
    return errors + one_of(spec.get("unhealthyPodEvictionPolicy"), policies, "spec.unhealthyPodEvictionPolicy")
