"""runwayml with the pictures in the request: https://docs.dev.runwayml.com/assets/inputs/ (data URIs)."""

import base64
from pathlib import Path

from measure import bench, url
from runwayml import AsyncRunwayML, RunwayML

client = RunwayML(api_key="bench", base_url=url("runway"))
async_client = AsyncRunwayML(api_key="bench", base_url=url("runway"))


def data_uri(frame):
    return "data:image/png;base64," + base64.b64encode(Path(frame).read_bytes()).decode()


def task(first, last):
    frames = [{"uri": data_uri(first), "position": "first"}, {"uri": data_uri(last), "position": "last"}]
    return {"model": "veo3.1_fast", "prompt_text": "dusk falls", "prompt_image": frames, "ratio": "1280:720"}


def submit(first, last):
    return client.image_to_video.create(**task(first, last))


async def submit_async(first, last):
    return await async_client.image_to_video.create(**task(first, last))


bench("runwayml", submit, submit_async)
