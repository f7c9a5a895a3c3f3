"""Which thresholds are crossed, which of several is told, which budget holds: without a database."""

import pytest

from apps.billing import budgets
from apps.billing.budgets import BadBudget, Crossing, Standing
from apps.billing.models import Budget
from apps.billing.months import Month

DAY = 86_400_000


def budget(amount_cents=10_000, thresholds=(50, 80, 100), **more):
    return Budget(name="All", amount_cents=amount_cents, thresholds=list(thresholds), **more)


def percents(found):
    return [(one.percent, one.forecast) for one in found]


@pytest.mark.parametrize(
    ("figure", "percent", "reached"),
    [(4_999, 50, False), (5_000, 50, True), (9_999, 100, False), (10_000, 100, True), (-5, 1, False), (0, 1, False)],
)
def test_a_threshold_is_reached_to_the_cent(figure, percent, reached):
    assert budgets.reached(percent, figure, 10_000) is reached


def test_no_figure_is_rounded_up_to_spent():
    assert budgets.percent_of(9_999, 10_000) == 99
    assert not budgets.reached(100, 10**15 - 1, 10**15)


def test_what_was_told_is_not_told_again():
    standing = Standing(8_500)
    assert percents(budgets.crossings(budget(), standing, ())) == [(50, False), (80, False)]
    assert percents(budgets.crossings(budget(), standing, {(50, False)})) == [(80, False)]
    assert percents(budgets.crossings(budget(), standing, {(50, False), (80, False)})) == []


def test_forecasts_tell_only_where_asked_and_only_news():
    standing = Standing(5_500, 9_000)
    assert percents(budgets.crossings(budget(), standing, {(50, False)})) == []
    asked = budget(on_forecast=True)
    assert percents(budgets.crossings(asked, standing, {(50, False)})) == [(80, True)]
    assert percents(budgets.crossings(asked, Standing(5_500, None), {(50, False)})) == []


def test_a_budget_that_acts_tells_at_a_hundred_whatever_its_thresholds_are():
    acting = budget(thresholds=(50,), action="pause")
    assert percents(budgets.crossings(acting, Standing(10_000), ())) == [(50, False), (100, False)]
    assert percents(budgets.crossings(budget(thresholds=(50,)), Standing(10_000), ())) == [(50, False)]


def test_the_loudest_of_a_moment_tells_for_all():
    found = [Crossing(50, False, 1), Crossing(80, False, 1), Crossing(200, True, 1)]
    assert budgets.loudest(found) == found[1]
    assert budgets.loudest([]) is None


def test_the_strictest_budget_holds_then_the_oldest():
    throttles = budget(1_000, action="throttle", pk=1)
    pauses = budget(2_000, action="pause", pk=2)
    tells, of_one = budget(10, pk=3), budget(10, action="pause", resource="stream/s", pk=4)
    all_of_them = [tells, of_one, throttles, pauses, budget(1_500, action="pause", pk=5)]
    assert budgets.holding(all_of_them, 999) is None
    assert budgets.holding(all_of_them, 1_000) is throttles
    assert budgets.holding(all_of_them, 5_000) is pauses


def test_the_month_before_is_looked_at_for_an_hour():
    month = Month(2026, 12)
    assert budgets.months_to_look_at(month.start_ms) == [Month(2026, 11), month]
    assert budgets.months_to_look_at(month.start_ms + budgets.LATE_MS) == [month]
    assert budgets.months_to_look_at(month.end_ms - 1) == [month]


@pytest.mark.parametrize("amount", [0, -1, budgets.AMOUNT_CENTS_MAX + 1])
def test_amounts_that_are_none(amount):
    with pytest.raises(BadBudget, match="A budget is") as caught:
        budgets.check_amount(amount)
    assert caught.value.field == "amount"


@pytest.mark.parametrize("thresholds", [[], [0], [1_001], [50, 50], [80, 50], list(range(1, 12))])
def test_thresholds_that_are_none(thresholds):
    with pytest.raises(BadBudget):
        budgets.checked_thresholds(thresholds)
    assert budgets.checked_thresholds([1, 1_000]) == [1, 1_000]
