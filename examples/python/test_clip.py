"""A test of a program that makes clips, against a sandbox: no key, no network, no bill. Python's own library is enough.

    python3 test_clip.py path/to/highway
"""

import base64
import json
import pathlib
import subprocess
import sys
import time
import urllib.request

FRAMES = pathlib.Path(__file__).parent.parent / "frames"


class Sandbox:
    """`highway sandbox` on a free port, for as long as a `with` block runs."""

    def __init__(self, highway):
        command = [highway, "sandbox", "--json", "--listen", "127.0.0.1:0"]
        # It ends when its standard input closes, however this program ends.
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        started = json.loads(self.process.stdout.readline())
        self.url, self.admin, self.key = started["base_url"], started["admin_url"], started["api_key"]
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(30)


def call(url, body=None, key=None):
    """The JSON answer; an error status raises."""
    request = urllib.request.Request(url, data=None if body is None else json.dumps(body).encode())
    request.add_header("content-type", "application/json")
    if key is not None:
        request.add_header("authorization", f"Bearer {key}")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def picture(name):
    return "data:image/jpeg;base64," + base64.b64encode((FRAMES / name).read_bytes()).decode()


def make_clip(url, key):
    """The program under test: two pictures and a prompt become the bytes of an MP4."""
    body = {
        "image": picture("first.jpg"),
        "last_image": picture("last.jpg"),
        "prompt": "dusk falls over the meadow",
        "duration_seconds": 4,
    }
    task_id = call(f"{url}/v3/async/veo-3.1-fast-generate-firstlastframe", body, key)["task_id"]
    while True:
        result = call(f"{url}/v3/async/task-result?task_id={task_id}", key=key)
        status = result["task"]["status"]
        if status == "TASK_STATUS_SUCCEED":
            break
        if status == "TASK_STATUS_FAILED":
            raise RuntimeError(result["task"]["reason"])
        time.sleep(0.2)
    # Without the key: the link is signed, and the file host is somebody else's.
    with urllib.request.urlopen(result["videos"][0]["video_url"], timeout=60) as answer:
        return answer.read()


def main(highway):
    with Sandbox(highway) as sandbox:
        clip = make_clip(sandbox.url, sandbox.key)
        assert clip[4:8] == b"ftyp", "an MP4 begins with its type"
        held = call(
            f"{sandbox.admin}/ledger/assert",
            {
                "submits": 1,
                "no_request_billed_twice": True,
                "no_key_leaked": True,
                "spent": {"at_most": 0.6, "price_per_second": 0.15},
            },
        )
        for assertion in held["held"]:
            print(assertion["says"])
        print(f"a clip of {len(clip)} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
