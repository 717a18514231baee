"""The example of a referral, as a reader runs it: DOMAIN 1.3, scenario S3 (steps that need a
signed-in person are taken by whoever asks: there is no sign-in yet)."""

import subprocess
import sys
from pathlib import Path

from whole.running import RunningHub

ROOT = Path(__file__).parents[2]


def test_s3_a_referral_up_and_back_down_tells_its_timeline(tmp_path):
    options = ("--load", str(ROOT / "examples" / "institutions.json"), "--workers", "1")
    with RunningHub(f"sqlite:{tmp_path}/hub.sqlite", *options, as_installed=True) as hub:
        script = str(ROOT / "examples" / "referral.py")
        address = f"mllp://127.0.0.1:{hub.ready['mllp']}"
        ran = subprocess.run(
            [sys.executable, script, hub.fhir, address],
            capture_output=True,
            text=True,
        )
        assert hub.stop() == 0

    assert ran.returncode == 0, ran.stderr
    _, _, timelines = ran.stdout.partition("\nup-referral")
    steps = [row.split()[1] for row in timelines.splitlines() if row[:1].isdigit()]
    assert steps[:6] == ["submit", "accept", "book", "arrive", "visit", "outcome"]
    assert steps[6:] == ["submit", "accept", "outcome"]
