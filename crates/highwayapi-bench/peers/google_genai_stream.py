"""google-genai, the download as the docs of `files.download` advise against a memory spike: with a destination."""

from google import genai
from google.genai import types
from measure import bench, url

client = genai.Client(api_key="bench", http_options={"base_url": url("google")})


def download(file):
    # Of the link only the file's name is used.
    video = types.Video(uri="https://example.com/v1beta/files/clip:download?alt=media")
    client.files.download(file=video, destination=file)


bench("google-genai", download=download)
