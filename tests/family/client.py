"""A client of this API family, made by others and used as it is: submits, polls and downloads through a sandbox.

novita-client has no call for this endpoint; its own sender takes the path. Everything else (the wait, the reading of
answers, the download) is what its users call.
"""

import os
import sys

from novita_client import NovitaClient, V3TaskResponse
from novita_client.proto import V3TaskResponseStatus
from novita_client.utils import read_image_to_base64

SUBMIT = "/v3/async/veo-3.1-fast-generate-firstlastframe"


def main(first, last):
    client = NovitaClient(os.environ["HIGHWAY_API_KEY"], base_url=os.environ["HIGHWAY_BASE_URL"])
    picture = lambda path: "data:image/jpeg;base64," + read_image_to_base64(path)
    body = {"image": picture(first), "last_image": picture(last), "prompt": "dusk falls", "duration_seconds": 4}
    body |= {"sample_count": 2, "seed": 7, "generate_audio": True}

    task_id = client._post(SUBMIT, body)["task_id"]
    seen = []
    done: V3TaskResponse = client.wait_for_task_v3(task_id, callback=lambda task: seen.append(task.task.status))
    assert done.task.status is V3TaskResponseStatus.TASK_STATUS_SUCCEED, done
    assert done.task.task_id == task_id and done.extra.seed == 7, done
    assert seen[-1] is V3TaskResponseStatus.TASK_STATUS_SUCCEED, seen
    times = done.extra.debug_info
    assert times.submit_time_ms <= times.execute_time_ms <= times.complete_time_ms, times

    done.download_videos()
    assert len(done.video_bytes) == 2, done.videos
    assert done.video_bytes[0] != done.video_bytes[1], "two samples of one task are two clips"
    for video, clip in zip(done.videos, done.video_bytes):
        assert video.video_type == "mp4" and video.video_url_ttl > 0, video
        assert clip[4:8] == b"ftyp" and len(clip) > 100_000, clip[:64]
    print(f"novita-client: {len(seen)} polls, clips of {', '.join(str(len(clip)) for clip in done.video_bytes)} bytes")


main(*sys.argv[1:])
