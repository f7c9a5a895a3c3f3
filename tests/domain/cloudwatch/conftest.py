"""Calls of CloudWatch as a team, on a fake clock, with a real Valkey and flushers for the streams' metrics."""

from typing import Any

import pytest

from apps.accounts.principal import Principal
from apps.base.clock import FakeClock
from apps.base.errors import ServiceError
from apps.gateway.invoke import invoke_sync
from apps.runtime import Runtime
from tests.support.metrics import process, second_process, valkey, valkey_server
from tests.support.teams import make_team

__all__ = ["process", "second_process", "valkey", "valkey_server"]


class CloudWatch:
    """A team's view."""

    def __init__(self, runtime: Runtime, clock: FakeClock, principal: Principal) -> None:
        self.runtime = runtime
        self.clock = clock
        self.principal = principal

    def __call__(self, operation: str, **params: Any) -> Any:
        return invoke_sync(self.runtime, self.principal, "cloudwatch", operation, params)

    def refused(self, operation: str, **params: Any) -> tuple[str, str]:
        """Code and text of the error that the call must end with."""
        with pytest.raises(ServiceError) as caught:
            self(operation, **params)
        return caught.value.code, caught.value.message or ""

    def put(self, name: str = "m", namespace: str = "App", **datum: Any) -> None:
        self("PutMetricData", Namespace=namespace, MetricData=[{"MetricName": name, **datum}])

    def get(self, *queries: dict[str, Any], minutes: int = 10, ahead: int = 1, **params: Any) -> dict[str, list[float]]:
        """Values by Id, oldest first, of the last minutes."""
        now_ms = self.clock.now_ms() // 60_000 * 60_000
        span = {"StartTime": now_ms - minutes * 60_000, "EndTime": now_ms + ahead * 60_000}
        answer = self(
            "GetMetricData", **{**span, "ScanBy": "TimestampAscending", "MetricDataQueries": list(queries), **params}
        )
        assert "NextToken" not in answer
        return {result["Id"]: result["Values"] for result in answer["MetricDataResults"]}

    def one(
        self, name: str = "m", stat: str = "Sum", namespace: str = "App", period: int = 60, **dimensions: str
    ) -> list[float]:
        """A metric's values of the last ten minutes."""
        return self.get(metric("q", name, stat, namespace, period, **dimensions))["q"]


def metric(
    query_id: str, name: str = "m", stat: str = "Sum", namespace: str = "App", period: int = 60, **dimensions: str
) -> dict[str, Any]:
    """A query of GetMetricData."""
    named = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    asked = {"Namespace": namespace, "MetricName": name, "Dimensions": named}
    return {"Id": query_id, "MetricStat": {"Metric": asked, "Period": period, "Stat": stat}}


def expression(query_id: str, text: str, **more: Any) -> dict[str, Any]:
    """Another one."""
    return {"Id": query_id, "Expression": text, **more}


@pytest.fixture
def watch(runtime: Runtime, clock: FakeClock, team: Any) -> CloudWatch:
    return CloudWatch(runtime, clock, team.principal)


@pytest.fixture
def stranger(watch: CloudWatch) -> CloudWatch:
    """Another team on the same installation."""
    principal = make_team("210987654321", "stranger", "AKIDSTRANGER").principal
    return CloudWatch(watch.runtime, watch.clock, principal)
