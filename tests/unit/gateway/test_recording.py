"""Recordings: each has one end, whatever disk and call do; the loop never waits for the disk."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from config.call_recordings import Party, RecordAction, Sides
from gateway.events import RecordingDamaged, RecordingFailed, RecordingStarted, RecordingStopped
from gateway.recording import call_recordings
from gateway.recording.call_recordings import CallRecordings
from gateway.recording.file import RecordingFile, file_name
from gateway.recording.leg_recording import Place
from ivr.ports import RecordOrder
from sip.errors import MediaError
from sip.events import Event
from tests.peers import network

CALL = "00000000000000aa"
FRAME = bytes(640)


class TwinRecorder:
    """`sip.recorder.Recorder` whose frames a test brings."""

    def __init__(self) -> None:
        self.frames = 0
        self.lost = 0
        self.paused = False
        self.closed = False
        self._kept = bytearray()

    def say(self, samples: npt.NDArray[np.int16]) -> None:
        self.frames += len(samples) // 160
        self._kept += samples.tobytes()

    def bring(self, frames: int) -> None:
        if not self.paused:
            self.frames += frames
            self._kept += FRAME * frames

    def read(self, buffer: bytearray | memoryview) -> int:
        filled = min(len(buffer), len(self._kept))
        buffer[:filled] = self._kept[:filled]
        del self._kept[:filled]
        return filled

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def leave(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class Scene:
    """A call whose recordings go to a folder."""

    def __init__(self, folder: Path, format_: str = "wav") -> None:
        self.folder = folder
        self.events: list[Event] = []
        self.recorders: list[TwinRecorder] = []
        self.legs: list[str] = []
        """Whose leg each of them hears."""
        self.place = Place(folder, format_)
        self.at = 1_790_000_000.0
        self.recordings = CallRecordings(
            CALL, self.record, self.place, self.events.append, lambda: self.at
        )

    def record(self, leg: str) -> TwinRecorder:
        self.legs.append(leg)
        self.recorders.append(TwinRecorder())
        return self.recorders[-1]

    def act(self, action: RecordAction, leg: str = "", sides: Sides = Sides.BOTH) -> str | None:
        return self.recordings.act(RecordOrder(action, leg, sides))

    async def until(self, holds: Callable[[], bool]) -> None:
        await network.until(holds, "what the thread does is seen", 5)

    def ends(self) -> list[Event]:
        return [
            each for each in self.events if isinstance(each, RecordingStopped | RecordingFailed)
        ]


@pytest.mark.parametrize("format_", ["wav", "opus"])
async def test_what_was_heard_is_in_a_stereo_file_named_by_day_and_call(
    tmp_path: Path, format_: str
) -> None:
    scene = Scene(tmp_path, format_)
    assert scene.act(RecordAction.START) is None
    scene.recorders[0].bring(100)
    await scene.recordings.finish()
    [recording] = scene.recordings.finished
    assert recording.file == f"2026-09-21/{CALL}-1.{format_}"
    info = soundfile.info(tmp_path / recording.file)
    assert info.channels == 2
    assert info.duration == pytest.approx(2)
    assert (tmp_path / recording.file).stat().st_mode & 0o077 == 0
    assert [type(each) for each in scene.events] == [RecordingStarted, RecordingStopped]
    assert (recording.leg, recording.sides) == ("caller", Sides.BOTH)
    await scene.place.writer.close()
    assert scene.recorders[0].closed


async def test_a_pause_is_told_with_its_place_in_the_call_and_in_the_file(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.act(RecordAction.START)
    scene.recorders[0].bring(50)
    scene.at += 1
    assert scene.act(RecordAction.PAUSE) is None
    assert scene.act(RecordAction.PAUSE) is None
    scene.recorders[0].bring(500)
    scene.at += 10
    assert scene.act(RecordAction.RESUME) is None
    scene.recorders[0].bring(50)
    await scene.recordings.finish()
    [recording] = scene.recordings.finished
    [pause] = recording.pauses
    assert (pause.from_ms, pause.until_ms, pause.file_ms) == (1000, 11_000, 1000)
    assert recording.duration_ms == 2000
    assert soundfile.info(tmp_path / recording.file).duration == pytest.approx(2)


async def test_a_folder_that_cannot_be_made_fails_the_recording_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    scene = Scene(tmp_path / "file")
    assert scene.act(RecordAction.START) is None
    await scene.until(lambda: bool(scene.ends()))
    assert not scene.recordings.active(Party.CALLER)
    await scene.recordings.finish()
    [failed] = scene.ends()
    assert isinstance(failed, RecordingFailed)
    assert failed.reason == scene.recordings.finished[0].failed == "Not a directory"


async def test_a_disk_that_stands_still_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = threading.Event()
    monkeypatch.setattr(call_recordings, "FINISH_LIMIT", 0.05)
    monkeypatch.setattr(RecordingFile, "write", lambda *_: stuck.wait())
    scene = Scene(tmp_path)
    scene.act(RecordAction.START)
    scene.recorders[0].bring(10)
    await scene.recordings.finish()
    [failed] = scene.ends()
    assert isinstance(failed, RecordingFailed)
    assert "within" in failed.reason
    stuck.set()
    await scene.until(lambda: scene.recorders[0].closed)
    assert len(scene.ends()) == 1
    await scene.place.writer.close()


async def test_lost_audio_is_told_once_and_counted_in_the_end(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.act(RecordAction.START)
    scene.recorders[0].lost = 3
    await scene.until(lambda: RecordingDamaged in map(type, scene.events))
    scene.recorders[0].lost = 5
    await scene.recordings.finish()
    assert [type(each) for each in scene.events].count(RecordingDamaged) == 1
    assert scene.recordings.finished[0].lost_ms == 100
    assert scene.recordings.finished[0].failed == ""


async def test_what_cannot_be_done_is_refused_in_words(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    assert scene.act(RecordAction.PAUSE) == "nothing is being recorded"
    scene.act(RecordAction.START)
    assert scene.act(RecordAction.START) == "a recording of the leg 'caller' is running"
    assert scene.act(RecordAction.STOP) is None
    assert scene.act(RecordAction.STOP) == "nothing is being recorded"
    await scene.recordings.finish()


async def test_a_full_bridge_refuses_and_leaves_nothing(tmp_path: Path) -> None:
    def full(_: str) -> TwinRecorder:
        raise MediaError("too many objects")

    events: list[Event] = []
    recordings = CallRecordings(CALL, full, Place(tmp_path, "wav"), events.append, lambda: 0.0)
    assert recordings.act(RecordOrder(RecordAction.START)) == "too many objects"
    await recordings.finish()
    assert not recordings.finished
    assert not events


@pytest.mark.parametrize("format_", ["wav", "opus"])
class TestTheEndOfAFile:
    """libsndfile tells of nothing that goes wrong there."""

    @pytest.mark.parametrize("audio", [bytes(32_000), b""])
    def test_it_is_whole(self, tmp_path: Path, format_: str, audio: bytes) -> None:
        file = RecordingFile(tmp_path / "a", format_, Sides.BOTH)
        file.write(memoryview(audio))
        file.close()

    def test_it_was_taken_away(self, tmp_path: Path, format_: str) -> None:
        for replaced in (False, True):
            file = RecordingFile(tmp_path / "a", format_, Sides.BOTH)
            file.write(memoryview(bytes(32_000)))
            (tmp_path / "a").unlink()
            if replaced:
                (tmp_path / "a").write_bytes(bytes(64_000))
            with pytest.raises(OSError, match="taken away"):
                file.close()

    def test_the_disk_did_not_take_all_of_it(
        self, tmp_path: Path, format_: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = RecordingFile(tmp_path / "a", format_, Sides.BOTH)
        file.write(memoryview(bytes(32_000)))

        def close(sound: soundfile.SoundFile) -> None:
            real(sound)
            with (tmp_path / "a").open("r+b") as written:
                written.truncate((tmp_path / "a").stat().st_size - 100)

        real = soundfile.SoundFile.close
        monkeypatch.setattr(soundfile.SoundFile, "close", close)
        with pytest.raises(OSError, match="shorter than what was written"):
            file.close()


def held_in(folder: Path) -> list[Path]:
    """This process's open files in a folder."""
    found = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(each.readlink())
    return [each for each in found if each.is_relative_to(folder)]


async def test_a_file_that_cannot_be_written_is_let_go_of_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has of the disk is free as soon as somebody removes it."""

    files: list[RecordingFile] = []

    def full(file: RecordingFile, _: memoryview) -> None:
        files.append(file)
        raise OSError("no space left on the disk")

    monkeypatch.setattr(RecordingFile, "write", full)
    scene = Scene(tmp_path)
    scene.act(RecordAction.START)
    scene.recorders[0].bring(10)
    await scene.until(lambda: bool(scene.ends()))
    assert len(files) == 1
    assert not held_in(tmp_path)
    await scene.recordings.finish()
    await scene.place.writer.close()


def test_a_file_that_is_there_already_is_never_written_to(tmp_path: Path) -> None:
    (tmp_path / "a.wav").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="exists"):
        RecordingFile(tmp_path / "a.wav", "wav", Sides.BOTH)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("call_id", ["../../etc/passwd", "a/b", "", "."])
def test_no_name_leads_out_of_the_folder(call_id: str) -> None:
    with pytest.raises(ValueError, match="no id"):
        file_name(call_id, 1, 0.0, "wav")


@pytest.mark.parametrize(("sides", "value"), [(Sides.SAID, 1), (Sides.HEARD, 2)])
async def test_one_side_alone_is_mono(tmp_path: Path, sides: Sides, value: int) -> None:
    scene = Scene(tmp_path)
    scene.act(RecordAction.START, sides=sides)
    scene.recorders[0].say(np.array([[1, 2]] * 160 * 50, np.int16))
    await scene.recordings.finish()
    [recording] = scene.recordings.finished
    samples, _ = soundfile.read(tmp_path / recording.file, dtype="int16", always_2d=True)
    assert samples.shape == (8000, 1)
    assert set(samples[:, 0]) == {value}
    assert recording.duration_ms == 1000


class TestAgents:
    """An order for the agents holds for those who are there and for those who come later."""

    async def test_each_one_has_a_file_of_its_own(self, tmp_path: Path) -> None:
        scene = Scene(tmp_path)
        assert scene.recordings.agent_answered("agent-1", agreed=True) is None
        assert scene.act(RecordAction.START, "agent", Sides.SAID) is None
        assert scene.recordings.agent_answered("agent-2", agreed=True) is None
        assert scene.legs == ["agent-1", "agent-2"]
        await scene.recordings.finish()
        made = scene.recordings.finished
        assert {(each.leg, each.sides) for each in made} == {
            ("agent-1", Sides.SAID),
            ("agent-2", Sides.SAID),
        }
        assert len({each.file for each in made}) == 2

    async def test_an_agent_who_leaves_has_a_complete_file_while_the_call_goes_on(
        self, tmp_path: Path
    ) -> None:
        scene = Scene(tmp_path)
        scene.act(RecordAction.START, "agent")
        scene.recordings.agent_answered("agent-1", agreed=True)
        scene.recordings.agent_left("agent-1")
        await scene.until(lambda: bool(scene.ends()))
        assert scene.recordings.finished[0].failed == ""
        assert scene.act(RecordAction.START, "agent-1") is not None
        assert scene.recordings.active(Party.AGENT)
        await scene.recordings.finish()

    async def test_whoever_comes_during_a_pause_is_paused(self, tmp_path: Path) -> None:
        scene = Scene(tmp_path)
        scene.act(RecordAction.START, "agent")
        assert scene.act(RecordAction.PAUSE) is None
        scene.recordings.agent_answered("agent-1", agreed=True)
        assert scene.recorders[0].paused
        assert scene.act(RecordAction.RESUME, "agent") is None
        assert [each.paused for each in scene.recorders] == [False]
        await scene.recordings.finish()

    async def test_without_a_name_everything_is_paused_and_stopped(self, tmp_path: Path) -> None:
        scene = Scene(tmp_path)
        scene.act(RecordAction.START)
        scene.act(RecordAction.START, "agent")
        scene.recordings.agent_answered("agent-1", agreed=True)
        assert scene.act(RecordAction.PAUSE, "agent-1") is None
        assert [each.paused for each in scene.recorders] == [False, True]
        assert scene.act(RecordAction.PAUSE) is None
        assert [each.paused for each in scene.recorders] == [True, True]
        assert scene.act(RecordAction.STOP) is None
        assert scene.recordings.agent_answered("agent-2", agreed=True) is None
        assert scene.legs == ["caller", "agent-1"]
        assert scene.act(RecordAction.STOP) == "nothing is being recorded"
        await scene.recordings.finish()

    async def test_after_a_no_of_the_caller_no_agent_is_recorded(self, tmp_path: Path) -> None:
        scene = Scene(tmp_path)
        scene.act(RecordAction.START, "agent")
        refusal = scene.recordings.agent_answered("agent-1", agreed=False)
        assert refusal == "the caller has declined to be recorded"
        await scene.recordings.finish()
        assert not scene.recordings.finished

    async def test_an_agent_who_is_not_there_cannot_be_named(self, tmp_path: Path) -> None:
        scene = Scene(tmp_path)
        refusal = scene.act(RecordAction.START, "agent-7")
        assert refusal == "there is no leg 'agent-7' that has answered"
