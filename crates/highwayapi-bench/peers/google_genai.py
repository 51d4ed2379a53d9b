"""google-genai as its README does it: https://googleapis.github.io/python-genai/ (videos, files).

Videos come from the enterprise client, files from the developer's one.
"""

from google import genai
from google.genai import types
from measure import bench, url

client = genai.Client(enterprise=True, api_key="bench", http_options={"base_url": url("google")})
developer = genai.Client(api_key="bench", http_options={"base_url": url("google")})


def request(first, last):
    source = types.GenerateVideosSource(prompt="dusk falls", image=types.Image.from_file(location=first))
    config = types.GenerateVideosConfig(last_frame=types.Image.from_file(location=last))
    return {"model": "veo-3.1-fast-generate-001", "source": source, "config": config}


def submit(first, last):
    return client.models.generate_videos(**request(first, last))


async def submit_async(first, last):
    return await client.aio.models.generate_videos(**request(first, last))


def download(file):
    # Of the link only the file's name is used.
    video = types.Video(uri="https://example.com/v1beta/files/clip:download?alt=media")
    developer.files.download(file=video)
    video.save(file)


bench("google-genai", submit, submit_async, poll=lambda operation: client.operations.get(operation), download=download)
