"""The form of an alarm: a metric, a rule, whom it tells. From PutMetricAlarm's members, and back to them."""

from __future__ import annotations

from typing import Any, Final

from django import forms

from apps.base.errors import ServiceError
from apps.cloudwatch.actions import MAILTO
from apps.delivery.models import DeliveryStream
from apps.streams.models import Stream
from console.pages.alarms import rules
from console.pages.shell import TeamRequest

STREAMS_OFFERED = 1_000
NAME_MAX, DESCRIPTION_MAX = 255, 1_024
TARGETS_MAX = 5
PERIODS_MAX = 1_440

ACTIONS: Final = {"notify": "AlarmActions", "notify_ok": "OKActions", "notify_unknown": "InsufficientDataActions"}
RULE: Final = (
    "of",
    "metric",
    "shard",
    "statistic",
    "comparison",
    "threshold",
    "needed",
    "periods",
    "period",
    "missing",
)
FIXED: Final = ("of", "metric", "shard", "statistic", "period")
"""Fields that an alarm does not have whose metric the form cannot say."""

Json = dict[str, Any]


class TargetsField(forms.CharField):
    """Whom to tell, one a line: a web address, or a mail address with or without mailto."""

    widget = forms.Textarea

    def clean(self, value: str | None) -> list[str]:
        """URIs as PutMetricAlarm takes them."""
        lines = [line.strip() for line in super().clean(value).splitlines() if line.strip()]
        if len(lines) > TARGETS_MAX:
            raise forms.ValidationError(f"At most {TARGETS_MAX} for each state.")
        return [MAILTO + line if "@" in line and ":" not in line else line for line in lines]


class AlarmForm(forms.Form):
    """All of it. streams, deliveries: what one may choose; deliveries by name with their destination's type."""

    name = forms.CharField(max_length=NAME_MAX)
    description = forms.CharField(max_length=DESCRIPTION_MAX, required=False)
    of = forms.ChoiceField()
    metric = forms.ChoiceField()
    shard = forms.IntegerField(min_value=0, max_value=99_999, required=False)
    statistic = forms.ChoiceField(choices=list(rules.STATISTICS.items()))
    comparison = forms.ChoiceField(choices=[(key, f"is {text}") for key, text in rules.COMPARISONS.items()])
    threshold = forms.CharField(max_length=40)
    needed = forms.IntegerField(min_value=1, max_value=PERIODS_MAX)
    periods = forms.IntegerField(min_value=1, max_value=PERIODS_MAX)
    period = forms.TypedChoiceField(choices=list(rules.PERIODS.items()), coerce=int)
    missing = forms.ChoiceField(choices=list(rules.MISSING.items()))
    notify = TargetsField(required=False)
    notify_ok = TargetsField(required=False)
    notify_unknown = TargetsField(required=False)
    enabled = forms.BooleanField(required=False)

    def __init__(
        self, data: Any, *, streams: list[str], deliveries: dict[str, str], before: Json | None = None, **options: Any
    ) -> None:  # fmt: skip
        super().__init__(data, **options)
        self.before = before
        self.fixed = before is not None and rules.watched(before).kind in {"own", "expression"}
        if before is not None:
            del self.fields["name"]
        if self.fixed:
            for name in FIXED:
                del self.fields[name]
            return
        of_streams = [(f"stream/{name}", name) for name in streams]
        of_deliveries = [(f"delivery/{name}", name) for name in deliveries]
        groups = [("Data streams", of_streams), ("Delivery streams", of_deliveries)]
        self.fields["of"].choices = [group for group in groups if group[1]]  # type: ignore[attr-defined]
        for name in ("of", "metric"):
            self.fields[name].widget.attrs["class"] = "sel"
        kind, _, name = str(self["of"].value() or "stream/").partition("/")
        self.fields["metric"].choices = metrics_of(kind, deliveries.get(name, ""))  # type: ignore[attr-defined]
        period = self.initial.get("period", 60)
        if period not in rules.PERIODS:
            choices = {**rules.PERIODS, period: rules.span(period)}
            self.fields["period"].choices = sorted(choices.items())  # type: ignore[attr-defined]

    def clean(self) -> Json:
        """What several fields say together."""
        given = super().clean() or self.cleaned_data
        metric = given.get("metric", "")
        if metric.startswith("shard/") and given.get("shard") is None and "shard" not in self.errors:
            self.add_error("shard", "A shard's metric needs the shard's number.")
        if given.get("needed") and given.get("periods") and given["needed"] > given["periods"]:
            self.add_error("needed", f"At most {given['periods']}: so many periods are looked at.")
        if "threshold" in given:
            try:
                given["threshold"] = rules.threshold_of(given["threshold"], self.unit)
            except ValueError as error:
                self.add_error("threshold", str(error))
        return given

    @property
    def unit(self) -> str:
        """Of the metric that is chosen so far, by CloudWatch's word."""
        if self.fixed:
            return rules.unit_of(self.before or {})
        kind, metric = self._kind_and_metric(str(self["of"].value() or ""), str(self["metric"].value() or ""))
        return rules.unit_of(
            {**rules.metric_of(kind, "", metric, None), "Statistic": self["statistic"].value()}
        )  # fmt: skip

    @property
    def threshold_hint(self) -> str:
        """How the threshold is written."""
        return rules.hint(self.unit)

    def _kind_and_metric(self, of: str, metric: str) -> tuple[str, str]:
        is_of_shard = metric.startswith("shard/")
        return ("stream" if is_of_shard else of.partition("/")[0]), metric.removeprefix("shard/")

    def rule(self) -> Json | None:
        """PutMetricAlarm's members of the rule alone; None while it is not whole."""
        if any(name in self.errors for name in RULE):
            return None
        given = self.cleaned_data
        rule: Json = {
            "ComparisonOperator": given["comparison"],
            "Threshold": given["threshold"],
            "EvaluationPeriods": given["periods"],
            "DatapointsToAlarm": given["needed"],
            "TreatMissingData": given["missing"],
        }
        if self.fixed:
            kept = (
                "Metrics",
                "Namespace",
                "MetricName",
                "Dimensions",
                "Statistic",
                "ExtendedStatistic",
                "Period",
                "Unit",
            )
            return {name: (self.before or {})[name] for name in kept if name in (self.before or {})} | rule
        kind, metric = self._kind_and_metric(given["of"], given["metric"])
        shard = given["shard"] if given["metric"].startswith("shard/") else None
        chosen = rules.metric_of(kind, given["of"].partition("/")[2], metric, shard)
        return {**chosen, "Statistic": given["statistic"], "Period": given["period"], **rule}

    def params(self, name: str) -> Json:
        """All of PutMetricAlarm's members, of a valid form."""
        given = self.cleaned_data
        params = {"AlarmName": name, **(self.rule() or {}), "ActionsEnabled": given["enabled"]}
        if given["description"]:
            params["AlarmDescription"] = given["description"]
        return params | {member: given[field] for field, member in ACTIONS.items() if given[field]}


def metrics_of(kind: str, destination_type: str) -> list[Any]:
    """The choices of the metric."""
    if kind == "delivery":
        return rules.choices_of("delivery", destination_type)
    of_shards = [(f"shard/{name}", text) for name, text in rules.choices_of("shard")]
    return [("Of the stream", rules.choices_of("stream")), ("Of one shard", of_shards)]


def form_for(request: TeamRequest, data: Any, before: Json | None = None, **options: Any) -> AlarmForm:
    """The form with the team's streams to choose from; those that an alarm is about are there, too, if they are gone."""
    streams = list(
        Stream.objects.filter(team=request.team).order_by("name").values_list("name", flat=True)[:STREAMS_OFFERED]
    )
    rows = DeliveryStream.objects.filter(team=request.team, channel_id="").order_by("name")
    deliveries = dict(rows.values_list("name", "destination_type")[:STREAMS_OFFERED])
    if before is not None:
        seen = rules.watched(before)
        if seen.kind in {"stream", "shard"} and seen.name not in streams:
            streams.append(seen.name)
        if seen.kind == "delivery":
            deliveries.setdefault(seen.name, "")
    return AlarmForm(data, streams=streams, deliveries=deliveries, before=before, **options)


def initial_of(settings: Json, *, enabled: bool) -> Json:
    """What the fields show of an alarm that there is."""
    seen, unit = rules.watched(settings), rules.unit_of(settings)
    kind = "delivery" if seen.kind == "delivery" else "stream"
    periods = settings["EvaluationPeriods"]
    return {
        "description": settings.get("AlarmDescription", ""),
        "of": f"{kind}/{seen.name}",
        "metric": f"shard/{seen.metric}" if seen.kind == "shard" else seen.metric,
        "shard": seen.shard,
        "statistic": settings.get("Statistic", "Average"),
        "comparison": settings["ComparisonOperator"],
        "threshold": rules.exact(settings["Threshold"], unit),
        "needed": settings.get("DatapointsToAlarm", periods),
        "periods": periods,
        "period": settings.get("Period", 60),
        "missing": settings.get("TreatMissingData", "missing"),
        "enabled": enabled,
        **{field: "\n".join(_shown(one) for one in settings.get(member) or ()) for field, member in ACTIONS.items()},
    }


def _shown(target: str) -> str:
    return target.removeprefix(MAILTO)


def put_error(form: AlarmForm, error: ServiceError) -> None:
    """Write an AWS error at the field that it speaks of, else above the form."""
    text = error.message or error.code
    field = next((field for field, member in ACTIONS.items() if f"in {member}:" in text), None)
    if field is not None:
        text = text.partition(f"in {ACTIONS[field]}: ")[2] or text
    elif "EvaluationPeriods * Period" in text:
        field, text = "periods", "An alarm looks back a day at most, a week if its periods are an hour or longer."
    elif "AlarmName" in text and "name" in form.fields:
        field = "name"
    form.add_error(field, text)
