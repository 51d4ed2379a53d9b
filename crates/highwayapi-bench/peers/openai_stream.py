"""openai, the download as its README has it for large answers: https://github.com/openai/openai-python (streaming)."""

from measure import bench, url
from openai import OpenAI

client = OpenAI(api_key="bench", base_url=url("openai"))


def download(file):
    with client.videos.with_streaming_response.download_content("video_bench") as response:
        response.stream_to_file(file)


bench("openai", download=download)
