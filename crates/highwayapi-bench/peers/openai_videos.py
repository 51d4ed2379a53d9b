"""openai as its guide does it: https://platform.openai.com/docs/guides/video-generation. It takes one picture only."""

from pathlib import Path

from measure import bench, url
from openai import AsyncOpenAI, OpenAI

client = OpenAI(api_key="bench", base_url=url("openai"))
async_client = AsyncOpenAI(api_key="bench", base_url=url("openai"))


def submit(first, _last):
    return client.videos.create(model="sora-2", prompt="dusk falls", input_reference=Path(first))


async def submit_async(first, _last):
    return await async_client.videos.create(model="sora-2", prompt="dusk falls", input_reference=Path(first))


def download(file):
    client.videos.download_content("video_bench").write_to_file(file)


bench("openai", submit, submit_async, lambda video: client.videos.retrieve(video.id), download)
