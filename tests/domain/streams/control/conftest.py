"""The control plane from a synchronous test: operations, workers' slices by hand, records straight into the log."""

from typing import Any

import pytest

from apps.accounts.principal import Principal
from apps.base.clock import FakeClock
from apps.capacity.models import QuotaOverride
from apps.recordlog.interface import Appended, Entry, ShardClosed
from apps.runtime import Runtime
from apps.streams.models import Shard, Stream
from tests.support.metrics import valkey, valkey_server  # noqa: F401 - fixtures
from tests.support.runtimes import call, run_due
from tests.support.teams import make_team


class Control:
    """A team's view of a runtime."""

    def __init__(self, runtime: Runtime, clock: FakeClock, principal: Principal) -> None:
        self.runtime = runtime
        self.clock = clock
        self.principal = principal

    def __call__(self, operation: str, **params: Any) -> Any:
        return call(self.runtime, self.principal, operation, **params)

    def of(self, principal: Principal) -> "Control":
        """The same runtime, for another team."""
        return Control(self.runtime, self.clock, principal)

    def refused(self, operation: str, **params: Any) -> tuple[str, str]:
        """Code and text of the error that the call must end with."""
        from apps.base.errors import ServiceError

        with pytest.raises(ServiceError) as caught:
            self(operation, **params)
        return caught.value.code, caught.value.message

    def create(self, name: str = "s", shards: int | None = 1, **params: Any) -> Stream:
        """A stream that is ACTIVE."""
        if shards is not None:
            params["ShardCount"] = shards
        self("CreateStream", StreamName=name, **params)
        self.settle()
        return self.stream(name)

    def settle(self) -> int:
        """Let the workers do what is due to streams."""
        return run_due(self.runtime, "lifecycle")

    def stream(self, name: str = "s") -> Stream:
        return Stream.objects.select_related("team").get(name=name, team_id=self.principal.team_id)

    def shard(self, index: int = 0, name: str = "s") -> Shard:
        return Shard.objects.get(stream__name=name, stream__team_id=self.principal.team_id, index=index)

    def status(self, name: str = "s") -> str:
        answer = self("DescribeStreamSummary", StreamName=name)
        return answer["StreamDescriptionSummary"]["StreamStatus"]

    def listed(self, name: str = "s", **params: Any) -> list[int]:
        """Numbers of the shards that ListShards shows."""
        shards = self("ListShards", StreamName=name, **params)["Shards"]
        return [int(shard["ShardId"][-12:]) for shard in shards]

    def append(self, shard: Shard | int, *data: bytes, key: str = "AK") -> Appended | ShardClosed:
        """Records straight into the log of a shard."""
        size = sum(len(d) + 1 for d in data)
        flat: list[Any] = [part for d in data for part in ("k", d)]
        key_in_log = shard if isinstance(shard, int) else shard.pk
        entry = Entry(key_in_log, flat, len(data), size, len(data), key)
        return self.runtime.wait_for(self.runtime.record_log.append([entry]))[0]

    def allow(self, **numbers: int) -> None:
        """Change quotas of the team, as an administrator does; an underline stands for a hyphen."""
        for name, value in numbers.items():
            QuotaOverride.objects.update_or_create(
                team_id=self.principal.team_id, name=name.replace("_", "-"), defaults={"value": value}
            )

    def bounds(self, shard: Shard | int) -> Any:
        return self.runtime.wait_for(self.runtime.record_log.bounds(shard if isinstance(shard, int) else shard.pk))


@pytest.fixture
def control(runtime: Runtime, clock: FakeClock, team: Any) -> Control:
    return Control(runtime, clock, team.principal)


@pytest.fixture
def stranger(control: Control) -> Control:
    """Another team on the same installation."""
    return control.of(make_team("210987654321", "stranger", "AKIDSTRANGER").principal)


@pytest.fixture
def no_uploads_of_others(control: Control) -> None:
    """All tests of a process have one data directory."""
    for left in (control.runtime.config.data_path / "imports").glob("*"):
        left.unlink()
