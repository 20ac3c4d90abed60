"""Which flow a number reaches."""

from __future__ import annotations

from ipaddress import IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from config.routing import flow_for
from config.trunks import Route, Trunk

DIGITS = st.text("0123456789", min_size=1, max_size=6)


def trunk(*routes: tuple[str, str | None]) -> Trunk:
    return Trunk(
        sources=[IPv4Network("10.0.0.0/8")],
        routes=[Route(flow=flow, number=number) for flow, number in routes],
    )


class TestFlow:
    """Exact number, then longest prefix, then default."""

    ROUTES = (
        ("default", None),
        ("germany", "+49*"),
        ("berlin", "+4930*"),
        ("desk", "+493012345"),
        ("star", "*98"),
    )

    def test_exact_beats_prefix(self) -> None:
        assert flow_for("+493012345", trunk(*self.ROUTES)) == "desk"

    def test_longest_prefix_beats_shorter(self) -> None:
        assert flow_for("+4930999", trunk(*self.ROUTES)) == "berlin"
        assert flow_for("+4930", trunk(*self.ROUTES)) == "berlin"
        assert flow_for("+4940999", trunk(*self.ROUTES)) == "germany"

    def test_everything_else_takes_the_default(self) -> None:
        assert flow_for("1001", trunk(*self.ROUTES)) == "default"

    def test_a_star_that_is_not_last_is_dialled(self) -> None:
        assert flow_for("*98", trunk(*self.ROUTES)) == "star"
        assert flow_for("*97", trunk(*self.ROUTES)) == "default"

    def test_no_match_is_none(self) -> None:
        assert flow_for("+33123", trunk(*self.ROUTES[1:])) is None
        assert flow_for("+33123", trunk()) is None

    @given(number=DIGITS, prefixes=st.sets(DIGITS), exact=st.sets(DIGITS), data=st.data())
    def test_order_of_routes_does_not_matter(
        self, number: str, prefixes: set[str], exact: set[str], data: st.DataObject
    ) -> None:
        routes = [(f"p{prefix}", f"{prefix}*") for prefix in prefixes]
        routes += [(f"e{each}", each) for each in exact]
        routes = data.draw(st.permutations(routes))
        longest = max((each for each in prefixes if number.startswith(each)), key=len, default=None)
        expected = f"e{number}" if number in exact else longest and f"p{longest}"
        assert flow_for(number, trunk(*routes)) == expected
