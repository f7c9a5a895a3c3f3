"""The shard map, the table, and the pages that split, merge and change the number."""

import re

import pytest

from apps.metrics.shard_load import Load, ShardLoad
from apps.streams.models import Shard, Stream
from apps.streams.topology import HASH_SPACE, LAST_HASH, even_ranges
from console.pages.shard_map import draw
from tests.console.conftest import make_stream, settle, text_of

SHARDS = "/t/first/streams/orders/shards"
MIDDLE = HASH_SPACE // 2


def shard(index, start, end, **fields):
    return Shard(index=index, start_hash=str(start), end_hash=str(end), created_s=1, opened_at_ms=1, **fields)


def loaded(share):
    load = Load(share * 2**20, 0, 0, 0, 0, share)
    return ShardLoad(load, load)


# --- the map, pure ----------------------------------------------------------------------------------------------------


def test_open_shards_lie_side_by_side_in_order_of_their_keys():
    found = draw([shard(1, MIDDLE, LAST_HASH), shard(0, 0, MIDDLE - 1)], {})
    assert [(cell.short, cell.left, cell.width) for cell in found.cells] == [("0000", 0.0, 50.0), ("0001", 50.0, 50.0)]
    assert found.rows == 0
    assert [cell.percent for cell in found.cells] == [0, 0]


def test_generations_of_closed_shards_lie_above_one_another():
    family = [
        shard(0, 0, LAST_HASH, closed_at_ms=1_795_163_467_000),
        shard(1, 0, MIDDLE - 1, parent_index=0, closed_at_ms=1_795_163_467_000),
        shard(2, MIDDLE, LAST_HASH, parent_index=0, closed_at_ms=1_795_163_467_000),
        shard(3, 0, LAST_HASH, parent_index=1, adjacent_parent_index=2),
    ]
    found = draw(family, {})
    assert {cell.short: cell.row for cell in found.closed} == {"0000": 0, "0001": 1, "0002": 1}
    assert {cell.short: cell.fate for cell in found.closed} == {
        "0000": "split 08:31",
        "0001": "merged 08:31",
        "0002": "merged 08:31",
    }
    assert [cell.short for cell in found.cells] == ["0003"]


def test_only_the_newest_generations_are_drawn():
    chain = [shard(0, 0, LAST_HASH, closed_at_ms=1)]
    chain += [shard(n, 0, LAST_HASH, parent_index=n - 1, closed_at_ms=1) for n in range(1, 9)]
    chain.append(shard(9, 0, LAST_HASH, parent_index=8))
    found = draw(chain, {})
    assert found.rows == 4
    assert found.hidden == 5
    assert [cell.short for cell in found.closed] == ["0005", "0006", "0007", "0008"]


def many(count, **fields):
    return [shard(n, start, end, **fields) for n, (start, end) in enumerate(even_ranges(count))]


@pytest.mark.parametrize(
    ("count", "linked", "titled"), [(4, True, True), (125, True, True), (126, False, True), (250, False, True), (251, False, False)]
)  # fmt: skip
def test_the_more_shards_the_less_each_has(count, linked, titled):
    found = draw(many(count), {})
    assert (found.is_linked, found.is_titled) == (linked, titled)
    assert len(found.cells) == count


def test_a_path_of_each_colour_holds_all_its_shards():
    found = draw(many(300), {7: loaded(0.95), 8: loaded(1.2)})
    paths = dict(found.strips)
    assert {step: path.count("M") for step, path in paths.items()} == {"h1": 298, "h5": 2}
    assert [cell.short for cell in found.hot] == ["0008"]


def test_generations_that_do_not_fit_are_counted():
    closed, opened = many(100, closed_at_ms=1_795_163_467_000), many(200)
    for n, one in enumerate(opened):
        one.index, one.parent_index = 100 + n, n // 2
    assert (draw([*closed, *opened], {}).hidden, draw([*closed, *opened], {}).rows) == (0, 1)
    found = draw([*closed, *opened], {}, 499)
    assert (found.hidden, found.rows, found.closed) == (100, 0, [])


def test_the_table_is_paged_and_opens_at_a_shard(client, team, served):
    make_stream(served, team, "orders", 45)
    first, third = text_of(client.get(SHARDS)), text_of(client.get(f"{SHARDS}?shard=0041"))
    assert "1 to 20 of 45 shards, 45 open" in first
    assert 'id="shard-0019"' in first
    assert 'id="shard-0020"' not in first
    assert 'id="shard-0041"' in third
    assert f'href="{SHARDS}?shard=0041#shard-0041"' in first
    assert "?page=2" in third
    assert 'hx-get="/t/first/streams/orders/shards?shard=0041"' in third


@pytest.mark.parametrize(
    ("share", "step", "hot"),
    [
        (0, "h1", False),
        (0.2, "h2", False),
        (0.5, "h3", False),
        (0.7, "h4", False),
        (1.0, "h5", False),
        (1.28, "h5", True),
    ],
)
def test_load_has_a_colour_a_number_and_over_the_limit_an_edge(share, step, hot):
    cell = draw([shard(0, 0, LAST_HASH)], {0: loaded(share)}).cells[0]
    assert (cell.step, cell.is_hot, cell.percent) == (step, hot, round(100 * share))


def test_an_unknown_load_is_not_zero():
    found = draw([shard(0, 0, LAST_HASH)], None)
    assert found.cells[0].percent is None
    assert found.cells[0].step == "wait"
    assert not found.loads_known


def test_the_map_says_what_it_shows():
    found = draw([shard(0, 0, MIDDLE - 1), shard(1, MIDDLE, LAST_HASH)], {1: loaded(1.28)})
    assert found.summary == "Hash key ranges of 2 open shards. Shard 0001 is at 128 percent of its write limit."


@pytest.mark.parametrize(("count", "share"), [(8, "12.5%"), (16, "6.25%"), (20, "")])
def test_shares_of_a_plan_are_written_whole_or_not_at_all(count, share):
    size = (LAST_HASH + 1) // count
    cells = draw([shard(n, n * size, (n + 1) * size - 1) for n in range(count)], {}).cells
    assert {cell.plain_share for cell in cells} == {share}
    assert "of the hash key range" in cells[0].plain_title


# --- the pages --------------------------------------------------------------------------------------------------------


def test_the_table_names_every_shard(client, stream):
    page = text_of(client.get(SHARDS))
    assert 'id="shard-0000"' in page
    assert 'id="shard-0001"' in page
    assert "1701…5728 to 3402…1455" in page
    assert "2 shards, 2 open" in page


def test_a_part_is_renewed_alone(client, stream):
    for path in (SHARDS, SHARDS + "/map"):
        assert "<html" not in text_of(client.get(path, headers={"HX-Request": "true"}))


def test_an_even_split(client, stream, served):
    page = text_of(client.get(SHARDS + "/split?shard=0001"))
    assert "Split shard 0001" in page
    assert "After, 3 open shards" in page
    assert "of its write limit" not in page
    assert client.post(SHARDS + "/split", {"shard": "1", "how": "evenly"})["Location"] == SHARDS
    assert "Splitting" in text_of(client.get(SHARDS))
    settle(served)
    opened = Shard.objects.filter(closed_at_ms=None, opened_at_ms__isnull=False).values_list("index", flat=True)
    assert sorted(opened) == [0, 2, 3]
    page = text_of(client.get(SHARDS))
    assert "0001 closed" in page
    assert "4 shards, 3 open" in page


def test_a_split_at_a_point(client, stream, served):
    client.post(SHARDS + "/split", {"shard": "0", "how": "at", "at": "1000"})
    settle(served)
    assert Shard.objects.get(index=2).end_hash == "999"
    assert Shard.objects.get(index=3).start_hash == "1000"


@pytest.mark.parametrize(
    ("at", "text"),
    [
        ("", "whole number"),
        ("x", "whole number"),
        ("-5", "whole number"),
        ("1", "must lie between 2 and"),
        (str(LAST_HASH), "must lie between"),
        ("9" * 40, "39 characters"),
    ],
)
def test_a_point_outside_is_refused_at_its_field(client, stream, at, text):
    answer = client.post(SHARDS + "/split", {"shard": "0", "how": "at", "at": at})
    assert answer.status_code == 422
    assert text in text_of(answer)
    assert Stream.objects.get().status == "ACTIVE"


def test_a_merge_of_neighbours(client, stream, served):
    page = text_of(client.get(SHARDS + "/merge?shard=0000"))
    assert "Merge shards 0000 and 0001" in page
    assert "After, 1 open shard<" in page
    assert client.post(SHARDS + "/merge", {"shard": "0"}).status_code == 302
    settle(served)
    assert Shard.objects.get(index=2).adjacent_parent_index == 1


def test_the_upper_shard_merges_downwards(client, stream):
    assert "Merge shards 0000 and 0001" in text_of(client.get(SHARDS + "/merge?shard=0001"))


def test_another_number_of_shards(client, stream, served):
    page = text_of(client.get(SHARDS + "/count?count=3"))
    assert "After, 3 open shards" in page
    assert client.post(SHARDS + "/count", {"count": "3"}).status_code == 302
    assert "Going to 3 shards" in text_of(client.get(SHARDS))
    settle(served)
    assert Shard.objects.filter(closed_at_ms=None, opened_at_ms__isnull=False).count() == 3


@pytest.mark.parametrize(
    ("count", "text"), [("5", "5"), ("0", "greater than or equal to 1"), ("", "required"), ("many", "whole number")]
)
def test_a_number_that_aws_refuses_is_told_at_its_field(client, stream, count, text):
    answer = client.post(SHARDS + "/count", {"count": count})
    assert answer.status_code == 422
    assert text in re.search(r'id="count-err">(.*?)</div>', text_of(answer), re.DOTALL)[1]


def test_a_second_change_waits_for_the_first(client, stream):
    client.post(SHARDS + "/split", {"shard": "0", "how": "evenly"})
    answer = client.post(SHARDS + "/split", {"shard": "1", "how": "evenly"})
    assert answer.status_code == 422
    assert "not ACTIVE, instead in state UPDATING" in text_of(answer)


@pytest.mark.parametrize("path", ["split?shard=7", "split?shard=x", "merge?shard=9"])
def test_a_shard_that_is_not_open_is_not_found(client, stream, path):
    assert client.get(f"{SHARDS}/{path}").status_code == 404


def test_an_on_demand_stream_offers_no_resharding(client, team, served):
    make_stream(served, team, "clicks", None, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    for path in ("split", "merge", "count"):
        assert client.get(f"/t/first/streams/clicks/shards/{path}").status_code == 404
    page = text_of(client.get("/t/first/streams/clicks/shards"))
    assert "On-demand: shards change by themselves" in page
    assert "shards/count" not in page


def test_a_single_shard_cannot_be_merged(client, team, served):
    make_stream(served, team, "one", 1)
    assert client.get("/t/first/streams/one/shards/merge").status_code == 404
    assert ">Merge<" not in text_of(client.get("/t/first/streams/one/shards"))
