"""runwayml as its docs have it for pictures over 5 MB: https://docs.dev.runwayml.com/assets/uploads/."""

from pathlib import Path

from measure import bench, url
from runwayml import AsyncRunwayML, RunwayML

client = RunwayML(api_key="bench", base_url=url("runway"))
async_client = AsyncRunwayML(api_key="bench", base_url=url("runway"))


def task(first, last):
    frames = [{"uri": first, "position": "first"}, {"uri": last, "position": "last"}]
    return {"model": "veo3.1_fast", "prompt_text": "dusk falls", "prompt_image": frames, "ratio": "1280:720"}


def submit(first, last):
    uris = [client.uploads.create_ephemeral(file=Path(frame)).uri for frame in (first, last)]
    return client.image_to_video.create(**task(*uris))


async def submit_async(first, last):
    uris = [(await async_client.uploads.create_ephemeral(file=Path(frame))).uri for frame in (first, last)]
    return await async_client.image_to_video.create(**task(*uris))


bench("runwayml", submit, submit_async, lambda task: client.tasks.retrieve(task.id))
