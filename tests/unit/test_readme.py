"""What the README shows is what the product takes."""

from __future__ import annotations

import re
from pathlib import Path

from config.loader import load

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

REST_OF_THE_SETTINGS = """
sip: {listen: [{address: 127.0.0.1}], rtp: {address: 127.0.0.1}}
bots: {demo: {url: "ws://127.0.0.1:8765"}}
targets: {billing: {kind: internal, destination: "sip:billing@127.0.0.3"}}
"""


def test_the_flow_and_the_trunks_of_the_readme_are_valid_as_they_stand(tmp_path: Path) -> None:
    flow, trunks = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "reception.yaml").write_text(flow)
    (tmp_path / "switchhook.yaml").write_text(trunks + REST_OF_THE_SETTINGS)
    configuration = load(tmp_path / "switchhook.yaml", environ={"PROVIDER_PASSWORD": "secret"})
    assert list(configuration.flows) == ["reception"]
    assert len(flow.splitlines()) == 25


def test_every_page_that_the_readme_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_make_target_of_the_readme_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
