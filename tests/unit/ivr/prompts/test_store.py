"""The prompts of a configuration: ready before the first call, made once, errors with places."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from config.configuration import Configuration
from config.errors import ConfigError
from config.flows import FilePrompt, Flow, Prompt, TextPrompt, Waiting
from config.settings import Settings
from ivr.prompts import store as store_module
from ivr.prompts.cache import PromptCache
from ivr.prompts.check import check_recordings
from ivr.prompts.errors import PromptError
from ivr.prompts.recording import decode
from ivr.prompts.store import PromptStore
from sip.audio import Pcm
from tests.unit.ivr.prompts.sounds import rms, samples_of, tone, wav


class Speaker:
    """A speech engine of the tests: each text is a tone, and counted."""

    def __init__(self, name: str = "speaker 1") -> None:
        self.name = name
        self.spoken: list[tuple[str, str | None]] = []
        self.at_once = 0
        self.most_at_once = 0

    async def identity(self) -> str:
        if not self.name:
            raise PromptError("the engine is not installed", "Install it")
        return self.name

    async def speak(self, text: str, voice: str | None) -> bytes:
        if text == "unspeakable":
            raise PromptError("cannot be spoken", "Write other words")
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        for _ in range(3):
            await asyncio.sleep(0)
        self.at_once -= 1
        self.spoken.append((text, voice))
        return wav(tone(300 + len(text), 0.2, 22_050), 22_050)


def configuration(folder: Path, nodes: dict[str, Any], **settings: Any) -> Configuration:
    """A configuration in memory with one flow."""
    flow = Flow.model_validate(
        {"flow": "main", "start": next(iter(nodes)), "nodes": nodes},
        context={"folder": folder / "flows"},
    )
    return Configuration(
        settings=Settings.model_validate(
            {
                "data": str(folder / "data"),
                "sip": {"listen": [{"address": "127.0.0.1"}], "rtp": {"address": "127.0.0.1"}},
                "trunks": {"carrier": {"sources": ["127.0.0.1/32"]}},
                **settings,
            }
        ),
        flows={"main": flow},
        path=folder / "switchhook.yaml",
        flow_paths={"main": folder / "flows" / "main.yaml"},
    )


def hangup(prompt: Any) -> dict[str, Any]:
    """A flow that plays a prompt and ends."""
    return {"bye": {"type": "hangup", "prompt": prompt}}


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    """A recording in the folder of the flows."""
    file = tmp_path / "flows" / "hello.wav"
    file.parent.mkdir()
    record(file, 440)
    return file


def record(file: Path, hertz: float) -> None:
    """Half a second of a tone."""
    file.write_bytes(wav(tone(hertz, 0.5, 44_100), 44_100, "PCM_24"))


def move(file: Path, name: str) -> None:
    """Give a file another name."""
    file.rename(file.with_name(name))


def entries(folder: Path) -> list[Path]:
    """What the cache holds."""
    return sorted((folder / "data" / "prompts").iterdir())


async def problems(store: PromptStore) -> list[str]:
    """What is wrong, as config check prints it."""
    with pytest.raises(ConfigError) as caught:
        await store.prepare()
    return [str(problem) for problem in caught.value.problems]


async def test_every_prompt_of_a_flow_is_prepared(tmp_path: Path, hello: Path) -> None:
    nodes = {
        "start": {
            "type": "play",
            "prompt": ["One", {"text": "Two", "voice": "de"}],
            "next": "hand",
        },
        "hand": {
            "type": "agent_transfer",
            "target": "x",
            "accepted_message": "Three",
            "fallback": {
                "486": {"prompt": {"file": "hello.wav"}, "node": "bye"},
                "default": {"prompt": "Four", "end": True},
            },
        },
        "bye": {"type": "hangup", "prompt": "Five"},
    }
    speaker = Speaker()
    store = PromptStore(configuration(tmp_path, nodes), speech=speaker)
    await store.prepare()
    assert sorted(text for text, _ in speaker.spoken) == ["Five", "Four", "One", "Three", "Two"]
    assert ("Two", "de") in speaker.spoken
    texts: list[Prompt] = ["One", TextPrompt(text="Two", voice="de"), "Three", "Four", "Five"]
    for prompt in [*texts, FilePrompt(file=hello)]:
        audio = store.prepared(prompt)
        assert audio.rate == 8000
        assert rms(samples_of(audio)) > 0.1


async def test_what_was_not_prepared_is_an_error(tmp_path: Path) -> None:
    store = PromptStore(configuration(tmp_path, hangup(None)), speech=Speaker())
    await store.prepare()
    with pytest.raises(PromptError, match="'Hello' was not prepared"):
        store.prepared("Hello")


async def test_a_prompt_written_twice_is_spoken_once(tmp_path: Path) -> None:
    nodes = {"start": {"type": "play", "prompt": "Hello", "next": "bye"}, **hangup("Hello")}
    speaker = Speaker()
    await PromptStore(configuration(tmp_path, nodes), speech=speaker).prepare()
    assert speaker.spoken == [("Hello", None)]


async def test_flows_without_text_need_no_speech_engine(tmp_path: Path, hello: Path) -> None:
    nodes = hangup({"file": "hello.wav"})
    await PromptStore(configuration(tmp_path, nodes), speech=Speaker("")).prepare()


async def test_the_next_start_finds_everything_in_the_cache(
    tmp_path: Path, hello: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = hangup(["Hello", {"file": "hello.wav"}])
    first = PromptStore(configuration(tmp_path, nodes), speech=Speaker())
    await first.prepare()
    assert len(entries(tmp_path)) == 2

    def never(data: bytes, rate: int) -> Pcm:
        raise AssertionError("converted again")

    monkeypatch.setattr(store_module, "decode", never)
    speaker = Speaker()
    again = PromptStore(configuration(tmp_path, nodes), speech=speaker)
    await again.prepare()
    assert speaker.spoken == []
    both: list[Prompt] = ["Hello", FilePrompt(file=hello)]
    for prompt in both:
        assert again.prepared(prompt).samples == first.prepared(prompt).samples


async def test_the_cache_knows_content_words_voice_engine_and_rate(
    tmp_path: Path, hello: Path
) -> None:
    async def kept(nodes: dict[str, Any], speaker: Speaker, rate: int = 8000) -> set[str]:
        await PromptStore(configuration(tmp_path, nodes), speech=speaker, rate=rate).prepare()
        return {path.name for path in entries(tmp_path)}

    file, text = hangup({"file": "hello.wav"}), hangup("Hello")
    names = [
        await kept(file, Speaker()),
        await kept(file, Speaker(), 16_000),
        await kept(text, Speaker()),
        await kept(text, Speaker(), 16_000),
        await kept(text, Speaker("speaker 2")),
        await kept(hangup({"text": "Hello", "voice": "de"}), Speaker()),
        await kept(hangup("Hello!"), Speaker()),
    ]
    record(hello, 500)
    names.append(await kept(file, Speaker()))
    assert all(len(each) == 1 for each in names)
    assert len(set.union(*names)) == len(names)


def test_words_and_voice_are_not_mixed_up_in_the_cache(tmp_path: Path) -> None:
    cache = PromptCache(tmp_path, 8000)
    assert cache.key("speech", b"de", b"Hallo") != cache.key("speech", b"deH", b"allo")


async def test_a_moved_recording_is_not_converted_again(tmp_path: Path, hello: Path) -> None:
    await PromptStore(configuration(tmp_path, hangup({"file": "hello.wav"}))).prepare()
    before = entries(tmp_path)
    move(hello, "welcome.wav")
    await PromptStore(configuration(tmp_path, hangup({"file": "welcome.wav"}))).prepare()
    assert entries(tmp_path) == before


async def test_what_is_no_longer_used_leaves_the_cache_and_nothing_else_does(
    tmp_path: Path,
) -> None:
    await PromptStore(configuration(tmp_path, hangup("Old")), speech=Speaker()).prepare()
    (old,) = entries(tmp_path)
    note = old.with_name("README.wav")
    note.write_text("not an entry")
    await PromptStore(configuration(tmp_path, hangup("New")), speech=Speaker()).prepare()
    assert not old.exists()
    assert note.exists()
    assert len(entries(tmp_path)) == 2


@pytest.mark.parametrize("damage", ["empty", "cut", "other rate", "words"])
async def test_a_damaged_entry_is_made_again(tmp_path: Path, damage: str) -> None:
    nodes = hangup("Hello")
    first = PromptStore(configuration(tmp_path, nodes), speech=Speaker())
    await first.prepare()
    (entry,) = entries(tmp_path)
    whole = entry.read_bytes()
    entry.write_bytes(
        {
            "empty": b"",
            "cut": whole[:-100],
            "other rate": wav(tone(440, 0.2, 16_000), 16_000),
            "words": b"not audio at all",
        }[damage]
    )
    speaker = Speaker()
    again = PromptStore(configuration(tmp_path, nodes), speech=speaker)
    await again.prepare()
    assert speaker.spoken == [("Hello", None)]
    assert entry.read_bytes() == whole
    assert again.prepared("Hello").samples == first.prepared("Hello").samples


async def test_nothing_half_written_stays_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    store = PromptStore(configuration(tmp_path, hangup("Hello")), speech=Speaker())
    (problem,) = await problems(store)
    assert problem.endswith("prompts: No space left on device")
    assert entries(tmp_path) == []


async def test_problems_name_the_place_the_reason_and_what_to_do(
    tmp_path: Path, hello: Path
) -> None:
    (hello.parent / "words.wav").write_text("words")
    nodes = {
        "start": {"type": "play", "prompt": ["unspeakable", {"file": "no.wav"}], "next": "hand"},
        "hand": {
            "type": "agent_transfer",
            "target": "x",
            "fallback": {"486": {"prompt": {"file": "words.wav"}, "end": True}},
        },
    }
    store = PromptStore(configuration(tmp_path, nodes), speech=Speaker())
    flow, flows = tmp_path / "flows" / "main.yaml", tmp_path / "flows"
    missing = "No such file or directory"
    words = "Format not recognised. Save it as WAV, PCM 16 bit"
    assert await problems(store) == [
        f"{flow}: nodes.start.prompt[0]: cannot be spoken. Write other words",
        f"{flow}: nodes.start.prompt[1].file: {flows}/no.wav cannot be read: {missing}",
        f"{flow}: nodes.hand.fallback.486.prompt.file: {flows}/words.wav is no audio: {words}",
    ]


def test_config_check_finds_recordings_that_cannot_be_played_and_writes_nothing(
    tmp_path: Path, hello: Path
) -> None:
    cut = hello.with_name("cut.wav")
    cut.write_bytes(hello.read_bytes()[:44])
    nodes = hangup(["unspeakable", {"file": "hello.wav"}, {"file": "cut.wav"}])
    loaded = configuration(tmp_path, nodes, waiting={"music": str(tmp_path / "missing.wav")})
    silent, missing = check_recordings(loaded)
    assert (silent.field, missing.field) == ("nodes.bye.prompt[2].file", "waiting.music")
    assert silent.message == f"{cut} has no audio in it"
    assert missing.message == f"{tmp_path}/missing.wav cannot be read: No such file or directory"
    assert not (tmp_path / "data").exists()


async def test_an_engine_that_cannot_speak_is_one_problem(tmp_path: Path) -> None:
    store = PromptStore(configuration(tmp_path, hangup(["One", "Two"])), speech=Speaker(""))
    settings = tmp_path / "switchhook.yaml"
    assert await problems(store) == [f"{settings}: speech: the engine is not installed. Install it"]


async def test_a_cache_that_cannot_be_made_is_one_problem(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file, where a folder should be")
    store = PromptStore(configuration(tmp_path, hangup(["One", "Two"])), speech=Speaker())
    (problem,) = await problems(store)
    assert problem == (
        f"{tmp_path}/switchhook.yaml: data: {tmp_path}/data/prompts cannot be made: Not a directory"
    )


async def test_conversion_never_runs_on_the_loop(
    tmp_path: Path, hello: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def watched(data: bytes, rate: int) -> Pcm:
        threads.append(threading.current_thread())
        return decode(data, rate)

    monkeypatch.setattr(store_module, "decode", watched)
    nodes = hangup(["Hello", {"file": "hello.wav"}])
    await PromptStore(configuration(tmp_path, nodes), speech=Speaker()).prepare()
    assert len(threads) == 2
    assert threading.main_thread() not in threads


async def test_no_more_is_done_at_once_than_there_are_cores(tmp_path: Path) -> None:
    speaker = Speaker()
    nodes = hangup([f"Prompt {number}" for number in range(20)])
    await PromptStore(configuration(tmp_path, nodes), speech=speaker).prepare()
    assert len(speaker.spoken) == 20
    assert speaker.most_at_once <= len(os.sched_getaffinity(0))


async def test_waiting_sounds_are_those_of_the_settings(tmp_path: Path, hello: Path) -> None:
    built_in = PromptStore(configuration(tmp_path, hangup(None)))
    await built_in.prepare()
    assert built_in.waiting(Waiting.RINGBACK).seconds == pytest.approx(5)
    assert built_in.waiting(Waiting.MUSIC).seconds == pytest.approx(10)
    own = configuration(
        tmp_path, hangup(None), waiting={"music": str(hello), "ringback_country": "us"}
    )
    store = PromptStore(own)
    await store.prepare()
    assert store.waiting(Waiting.RINGBACK).seconds == pytest.approx(6)
    assert store.waiting(Waiting.MUSIC).seconds == pytest.approx(0.5, abs=0.001)


async def test_music_that_cannot_be_played_is_a_problem_of_the_settings(tmp_path: Path) -> None:
    missing = tmp_path / "missing.wav"
    broken = configuration(tmp_path, hangup(None), waiting={"music": str(missing)})
    (problem,) = await problems(PromptStore(broken))
    assert problem == (
        f"{tmp_path}/switchhook.yaml: waiting.music: {missing} cannot be read: "
        "No such file or directory"
    )


async def test_an_operator_can_have_anything_spoken_and_it_is_not_kept(tmp_path: Path) -> None:
    speaker = Speaker()
    store = PromptStore(configuration(tmp_path, hangup("Hello")), speech=speaker)
    await store.prepare()
    assert await store.render("main", "Hello") is store.prepared("Hello")
    before = entries(tmp_path)
    audio = await store.render("main", TextPrompt(text="The fire alarm is a test", voice="de"))
    assert rms(samples_of(audio)) > 0.1
    assert speaker.spoken[-1] == ("The fire alarm is a test", "de")
    assert entries(tmp_path) == before


async def test_an_operator_can_have_a_file_of_the_flows_folder_played(
    tmp_path: Path, hello: Path
) -> None:
    store = PromptStore(configuration(tmp_path, hangup(None)))
    prompt = FilePrompt(file=Path("hello.wav"))
    assert store.refusal("main", prompt) is None
    assert (await store.render("main", prompt)).seconds == pytest.approx(0.5, abs=0.001)


@pytest.mark.parametrize("file", ["../secret.wav", "/etc/passwd", "link.wav", "a/../../secret.wav"])
async def test_a_file_outside_the_flows_folder_is_refused(
    tmp_path: Path, hello: Path, file: str
) -> None:
    record(tmp_path / "secret.wav", 440)
    (hello.parent / "link.wav").symlink_to(tmp_path / "secret.wav")
    store = PromptStore(configuration(tmp_path, hangup(None)))
    prompt = FilePrompt(file=Path(file))
    refusal = store.refusal("main", prompt)
    assert refusal == f"{file} is not within the folder of the flow 'main'"
    with pytest.raises(PromptError, match="is not within"):
        await store.render("main", prompt)


def test_a_missing_file_and_an_endless_text_are_refused(tmp_path: Path, hello: Path) -> None:
    store = PromptStore(configuration(tmp_path, hangup(None)))
    missing = FilePrompt(file=Path("no.wav"))
    assert store.refusal("main", missing) == "there is no file no.wav"
    nameless = FilePrompt(file=Path("x" * 300))
    assert store.refusal("main", nameless) == f"{nameless.file}: File name too long"
    assert store.refusal("main", "a" * 2000) is None
    assert store.refusal("main", "a" * 2001) == "the text is longer than 2000 characters"


async def test_the_settings_engine_speaks(tmp_path: Path) -> None:
    store = PromptStore(configuration(tmp_path, hangup("Nobody is free at the moment.")))
    await store.prepare()
    audio = store.prepared("Nobody is free at the moment.")
    assert audio.seconds > 1
    assert rms(samples_of(audio)) > 0.02
